//! Conversations: what the machine says to the service and hears from it, one snapshot for each
//! situation. Read a changed snapshot as a change of the protocol.

use std::time::Duration;

use sfbulk::{Job, Spec};
use sfbulk_tests::dialogue;
use sfbulk_tests::document::{error, maintenance, shortened};
use sfbulk_tests::offline::{Offline, batches};
use sfbulk_tests::script::{Deviation, Kind};
use sfbulk_tests::server::{CANARY, Server};

const SOQL: &str = "SELECT Id, Name FROM Account";

/// A load of these records, two in a batch.
fn load(spec: Spec, records: &[&str], server: Server) -> Offline {
    Offline::new(Job::new(spec).unwrap(), batches("Name", records, 2), server)
}

fn query(soql: &str, rows: &[&str], server: Server) -> Offline {
    let server = server.table(rows.iter().copied(), 2);
    Offline::new(Job::new(Spec::query(soql)).unwrap(), Vec::new(), server)
}

/// Plays a conversation to its end and compares it with the snapshot of this name.
fn play(name: &str, mut world: Offline) {
    let _ = world.run();
    let text = dialogue::render(&world.log);
    assert!(!text.contains(CANARY), "a secret in the conversation:\n{text}");
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.add_filter(r"client=sfbulk/\d+\.\d+\.\d+\S*", "client=sfbulk/[version]");
    settings.bind(|| insta::assert_snapshot!(name, text));
}

fn insert() -> Spec {
    Spec::insert("Account")
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn a_load_of_three_batches() {
    play("load", load(insert(), &["a", "b", "c", "d", "e"], Server::default()));
}

#[test]
fn a_query_with_three_files() {
    play("query", query(SOQL, &["a", "b", "c", "d", "e"], Server::default()));
}

#[test]
fn a_query_without_rows() {
    play("query_without_rows", query(SOQL, &[], Server::default()));
}

#[test]
fn an_empty_load_asks_nothing_of_the_server() {
    play("load_of_nothing", load(insert(), &[], Server::default()));
}

#[test]
fn an_upsert() {
    let spec = Spec::upsert("Account", "Erp_Key__c");
    play("upsert", load(spec, &["known a", "b"], Server::default()));
}

#[test]
fn a_batch_that_fails_as_a_whole() {
    play("failed_batch", load(insert(), &["a", "b", "broken", "d"], Server::default()));
}

#[test]
fn a_batch_that_fails_on_its_way() {
    play("partly_failed_batch", load(insert(), &["a", "broken"], Server::default()));
}

#[test]
fn rows_with_errors() {
    play("row_errors", load(insert(), &["a", "bad", "bad", "d"], Server::default()));
}

#[test]
fn a_batch_that_is_refused_while_others_go_on() {
    play("refused_batch", load(insert(), &["a", "b", "refused", "d", "e"], Server::default()));
}

#[test]
fn several_calls_find_the_session_expired_and_one_login_follows() {
    let server = Server::default().but(Kind::Submit, 1, Deviation::Expired);
    play("expired_session", load(insert(), &["a", "b", "c", "d", "e"], server));
}

#[test]
fn a_refusal_with_retry_after_is_honoured_for_a_read() {
    let server = Server::default().but(Kind::List, 1, Deviation::Instead(maintenance("7")));
    play("retry_after", load(insert(), &["a"], server));
}

#[test]
fn a_truncated_result_is_read_again() {
    let server = Server::default().but(Kind::Result, 1, Deviation::Cut(60));
    play("truncated_result", load(insert(), &["a", "b"], server));
}

#[test]
fn a_file_that_breaks_off_goes_on_where_it_stopped() {
    let server = Server::default().but(Kind::File, 2, Deviation::Cut(44));
    let mut world = query(SOQL, &["a", "b", "c", "d"], server);
    world.network.piece = 16;
    play("broken_file", world);
}

#[test]
fn a_result_that_lacks_rows_is_read_three_times_and_then_an_error() {
    let short = || Deviation::Edited(shortened);
    let server = (1..=3).fold(Server::default(), |server, n| server.but(Kind::Result, n, short()));
    play("short_result", load(insert(), &["a", "b"], server));
}

#[test]
fn a_file_that_lacks_rows_is_read_three_times_and_then_an_error() {
    let short = || Deviation::Edited(shortened);
    let server = (1..=3).fold(Server::default(), |server, n| server.but(Kind::File, n, short()));
    play("short_file", query(SOQL, &["a", "b"], server));
}

#[test]
fn an_abort_in_the_middle() {
    let server = Server::default().takes(seconds(60));
    let mut world = load(insert().serial(), &["a", "b", "c", "d", "e"], server);
    world.tell(Duration::from_millis(350), "abort", |job, _| job.abort());
    play("abort", world);
}

#[test]
fn an_abort_after_everything_was_sent() {
    let server = Server::default().takes(seconds(60));
    let mut world = load(insert(), &["a", "b", "c"], server);
    world.tell(seconds(5), "abort", |job, _| job.abort());
    play("late_abort", world);
}

#[test]
fn a_serial_load_sends_one_batch_after_the_other() {
    play("serial", load(insert().serial(), &["a", "b", "c"], Server::default()));
}

#[test]
fn a_lost_answer_to_a_batch_ends_the_load_but_not_the_accounting() {
    let arrives = Some(Duration::ZERO);
    let server = Server::default().but(Kind::Submit, 2, Deviation::Lost { arrives });
    play("lost_batch", load(insert(), &["a", "b", "c", "d", "e"], server));
}

#[test]
fn a_lost_answer_to_a_jobs_creation_is_an_orphan_at_worst() {
    let arrives = Some(Duration::ZERO);
    let server = Server::default().but(Kind::Create, 1, Deviation::Lost { arrives });
    play("lost_create", load(insert(), &["a"], server));
}

#[test]
fn a_lost_answer_to_a_close_is_settled_by_asking_again() {
    let arrives = Some(Duration::ZERO);
    let server = Server::default().but(Kind::Close, 1, Deviation::Lost { arrives });
    play("lost_close", load(insert(), &["a"], server));
}

#[test]
fn a_job_that_somebody_else_aborted() {
    let server = Server::default().takes(seconds(10));
    let server = server.but(Kind::List, 2, Deviation::ForeignAbort);
    play("foreign_abort", load(insert(), &["a", "b", "c"], server));
}

#[test]
fn a_query_that_fails_says_why() {
    play("failed_query", query("SELECT Bogus FROM Account", &["a"], Server::default()));
}

#[test]
fn a_query_that_is_refused_at_the_door() {
    let refuse = Deviation::Instead(error(400, "InvalidBatch", "Failed to read the query"));
    let server = Server::default().but(Kind::Submit, 1, refuse);
    play("refused_query", query(SOQL, &["a"], server));
}

#[test]
fn a_lost_answer_to_a_query_is_asked_for_again() {
    let lost = Deviation::Lost { arrives: Some(Duration::ZERO) };
    let server = Server::default().but(Kind::Submit, 1, lost);
    play("lost_query", query(SOQL, &["a"], server));
}

#[test]
fn a_list_without_files_is_asked_for_again_if_rows_were_promised() {
    let empty = Deviation::Edited(|_| "<result-list/>".into());
    let server = Server::default().but(Kind::Result, 1, empty);
    play("empty_list_of_files", query(SOQL, &["a"], server));
}

#[test]
fn a_login_that_fails() {
    let mut world = load(insert(), &["a", "b"], Server::default());
    world.logins = 0;
    play("failed_login", world);
}

#[test]
fn an_org_that_accepts_no_session() {
    let refuse = || Deviation::Instead(error(400, "InvalidSessionId", "Invalid session id"));
    let server = (1..=4).fold(Server::default(), |server, n| server.but(Kind::Create, n, refuse()));
    play("no_good_session", load(insert(), &["a"], server));
}

#[test]
fn a_request_that_never_left_is_sent_again() {
    let server = Server::default().but(Kind::Submit, 1, Deviation::Unsent);
    play("unsent_batch", load(insert(), &["a"], server));
}
