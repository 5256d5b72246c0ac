//! Loads: every row into the right file, and the right exit code.

use std::thread;
use std::time::Duration;

use crate::stage::Stage;
use crate::wire::{Fate, JOB, REQUIRED, Script, record_id, records};

const SUCCESS: &str = "in.7505g00000Ab1CdAAJ.success.csv";
const ERROR: &str = "in.7505g00000Ab1CdAAJ.error.csv";
const UNPROCESSED: &str = "in.7505g00000Ab1CdAAJ.unprocessed.csv";
const UNKNOWN: &str = "in.7505g00000Ab1CdAAJ.unknown.csv";

/// `Name` and as many rows as asked for; rows whose number is in `bad` fail.
fn rows(n: usize, bad: &[usize]) -> String {
    let row = |i| if bad.contains(&i) { format!("bad{i}\n") } else { format!("r{i}\n") };
    std::iter::once("Name\n".to_owned()).chain((0..n).map(row)).collect()
}

fn script(batches: &[(usize, Fate)]) -> Script {
    Script { batches: batches.iter().copied().collect(), ..Script::default() }
}

#[test]
fn rows_that_succeed_get_their_ids() {
    let stage = Stage::new();
    stage.file("in.csv", "Name,City\nAda,London\n\"Grace, H.\",\"New\nYork\"\n");
    let ran = stage.run(&["insert", "Account", "in.csv"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let expected = format!(
        "ID,Name,City,STATUS\n{},Ada,London,Item Created\n{},\"Grace, H.\",\"New\nYork\",Item Created\n",
        record_id(0),
        record_id(1)
    );
    assert_eq!(stage.read(SUCCESS), expected);
    assert_eq!(stage.names(), [SUCCESS, "in.csv"]);
    assert!(ran.out.is_empty() && ran.err.contains("2 ok"), "{ran:?}");
    assert_eq!(stage.wire.log().first().unwrap(), "POST ");
    assert!(stage.wire.bodies().iter().any(|body| body.contains("Closed")));
}

#[test]
fn the_bytes_of_the_input_are_kept() {
    let input =
        "\u{feff}\r\nName,City,\"N\"\"t\"\r\n\r\n A ,,\"x\r\n\"\"y\"\"\"\r\n😀,#N/A,\r\nlast,\"\",";
    let stage = Stage::new();
    let ran = stage.file("in.csv", input).run(&["insert", "Account", "in.csv"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let success = stage.read(SUCCESS);
    let mut lines = success.split_inclusive("Item Created\r\n");
    for (n, expected) in
        [" A ,,\"x\r\n\"\"y\"\"\"", "😀,#N/A,", "last,\"\","].into_iter().enumerate()
    {
        let header = if n == 0 { "ID,Name,City,\"N\"\"t\",STATUS\r\n" } else { "" };
        let id = record_id(n as u64);
        assert_eq!(lines.next(), Some(&*format!("{header}{id},{expected},Item Created\r\n")));
    }
    assert_eq!(lines.next(), None);
}

#[test]
fn the_sample_file_comes_back_byte_for_byte() {
    let sample = include_str!("../../../../tests/data/accounts.csv");
    let stage = Stage::new();
    let ran = stage.file("in.csv", sample).run(&["insert", "Account", "in.csv", "-b", "7"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let mut expected: Vec<_> = records(sample.as_bytes());
    assert_eq!(expected.len(), 25);
    for (n, record) in expected.iter_mut().enumerate() {
        let id = record_id(n as u64);
        *record = [id.as_bytes(), b",", record, b",Item Created"].concat();
    }
    // Parallel batches get their ids in any order.
    let cells = |record: &[u8]| record[18..].to_vec();
    let found = records(stage.read(SUCCESS).as_bytes());
    assert!(found.iter().map(|r| cells(r)).eq(expected.iter().map(|r| cells(r))));
}

#[test]
fn rows_that_fail_get_their_reason() {
    let stage = Stage::new();
    let ran = stage.file("in.csv", rows(4, &[1, 3])).run(&["insert", "Account", "in.csv"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert_eq!(
        stage.read(ERROR),
        format!("Name,ERROR\nbad1,\"{REQUIRED}\"\nbad3,\"{REQUIRED}\"\n")
    );
    assert_eq!(records(stage.read(SUCCESS).as_bytes()).len(), 2);
    assert!(ran.err.contains("2 ok   2 failed"), "{ran:?}");
    assert!(ran.err.contains("2 × REQUIRED_FIELD_MISSING [Name]"), "{ran:?}");
}

#[test]
fn the_servers_words_stay_on_one_line_and_quoted() {
    let row_error = Some("SAID:\u{1b}[31m \"so\"\r\nand\nso");
    let stage = Stage::with(Script { row_error, ..Script::default() });
    let ran = stage.file("in.csv", rows(1, &[0])).run(&["insert", "Account", "in.csv"]);
    assert_eq!(ran.code, Some(3));
    assert_eq!(stage.read(ERROR), "Name,ERROR\nbad0,\"SAID:\u{1b}[31m \"\"so\"\" and so\"\n");
    assert!(!ran.err.contains('\u{1b}'), "{ran:?}");
}

#[test]
fn an_error_file_is_loaded_again_without_its_errors() {
    let stage = Stage::new();
    let input = format!("Name,Note,ERROR\nmended,\"a,b\",\"{REQUIRED}\"\nbad,,\"x, \"\"y\"\"\"\n");
    let ran = stage.file("in.csv", input).run(&["insert", "Account", "in.csv"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.err.contains("ERROR") && ran.err.contains("left out"), "{ran:?}");
    assert!(stage.wire.bodies().contains(&"Name,Note\nmended,\"a,b\"\nbad,\n".to_owned()));
    let expected = format!("ID,Name,Note,STATUS\n{},mended,\"a,b\",Item Created\n", record_id(0));
    assert_eq!(stage.read(SUCCESS), expected);
    assert_eq!(stage.read(ERROR), format!("Name,Note,ERROR\nbad,,\"{REQUIRED}\"\n"));
}

#[test]
fn rows_stand_in_the_order_of_the_input_whoever_is_done_first() {
    let stage = Stage::with(script(&[(0, Fate::After(4)), (1, Fate::After(2))]));
    let ran = stage.file("in.csv", rows(8, &[])).run(&["insert", "Account", "in.csv", "-b", "2"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let found = records(stage.read(SUCCESS).as_bytes());
    let names = found.iter().map(|r| String::from_utf8_lossy(&r[19..21]).into_owned());
    assert!(names.eq((0..8).map(|i| format!("r{i}"))), "{found:?}");
}

#[test]
fn the_rows_of_a_failed_batch_fail() {
    let why = "InvalidBatch : Field name not found : Foo";
    let stage = Stage::with(script(&[(1, Fate::Failed(why))]));
    stage.file("in.csv", rows(5, &[]));
    let ran = stage.run(&["insert", "Account", "in.csv", "-b", "2", "--serial"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert_eq!(stage.read(ERROR), format!("Name,ERROR\nr2,\"{why}\"\nr3,\"{why}\"\n"));
    let hint = format!("1 batch was refused as a whole: {why}; mend that");
    assert!(ran.err.contains(&hint) && !ran.err.contains("mend these rows"), "{ran:?}");
    assert_eq!(records(stage.read(SUCCESS).as_bytes()).len(), 3);
}

#[test]
fn rows_that_never_ran_can_be_loaded_again() {
    let stage = Stage::with(script(&[(0, Fate::NotProcessed)]));
    stage.file("in.csv", rows(3, &[]));
    let ran = stage.run(&["insert", "Account", "in.csv", "-b", "2", "--serial"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert_eq!(stage.read(UNPROCESSED), "Name\nr0\nr1\n");
    assert_eq!(stage.names(), [SUCCESS, UNPROCESSED, "in.csv"]);
}

#[test]
fn a_lost_answer_is_looked_up_and_nothing_is_sent_twice() {
    let stage = Stage::with(script(&[(1, Fate::AnswerLost)]));
    stage.file("in.csv", rows(9, &[0]));
    let ran = stage.run(&["insert", "Account", "in.csv", "-b", "2", "--serial"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.err.contains("rows 3 to 4: no answer"), "{ran:?}");
    assert!(ran.err.contains("rows 3 to 4: they had arrived, as batch"), "{ran:?}");
    assert_eq!(stage.wire.count(&format!("POST /{JOB}/batch")), 5, "no batch is sent twice");
    assert_eq!(records(stage.read(SUCCESS).as_bytes()).len(), 8);
    assert_eq!(records(stage.read(ERROR).as_bytes()).len(), 1);
    assert!(!stage.path(UNKNOWN).exists() && !stage.path(UNPROCESSED).exists());
    assert!(stage.journals().is_empty(), "the run is over");
}

#[test]
fn an_update_needs_ids_and_says_item_updated() {
    let stage = Stage::new();
    stage.file("in.csv", "id,Name\n0015g00000Xb1cCAAR,x\n").file("no.csv", "Name\nx\n");
    assert_eq!(stage.run(&["update", "Account", "in.csv"]).code, Some(0));
    let expected =
        format!("ID,id,Name,STATUS\n{},0015g00000Xb1cCAAR,x,Item Updated\n", record_id(0));
    assert_eq!(stage.read(SUCCESS), expected);
    let requests = stage.wire.log().len();
    let ran = stage.run(&["update", "Account", "no.csv"]);
    assert_eq!((ran.code, stage.wire.log().len()), (Some(2), requests));
    assert!(ran.err.contains("no.csv: there is no column Id"), "{ran:?}");
}

#[test]
fn an_upsert_tells_created_from_updated() {
    let stage = Stage::new();
    stage.file("in.csv", "Key__c,Name\n1,old\n2,new\n");
    let ran = stage.run(&["upsert", "Account", "in.csv", "-k", "key__C", "--json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let success = stage.read(SUCCESS);
    assert!(success.contains("1,old,Item Updated\n") && success.contains("2,new,Item Created\n"));
    assert!(ran.out.contains("\"created\":1,\"updated\":1"), "{ran:?}");
    assert!(stage.wire.bodies()[0].contains("<externalIdFieldName>key__C<"));
    assert_eq!(stage.run(&["upsert", "Account", "in.csv", "-k", "Other__c"]).code, Some(2));
    assert_eq!(stage.run(&["upsert", "Account", "in.csv"]).code, Some(2));
}

#[test]
fn a_delete_sends_nothing_but_ids() {
    let stage = Stage::new();
    stage.file("in.csv", "Name,ID,X\n\"a,b\",0015g00000Xb1cCAAR,1\n");
    let ran = stage.run(&["delete", "Account", "in.csv"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(stage.wire.bodies().contains(&"ID\n0015g00000Xb1cCAAR\n".to_owned()));
    assert!(stage.read(SUCCESS).ends_with("\"a,b\",0015g00000Xb1cCAAR,1,Item Deleted\n"));
}

#[test]
fn a_hard_delete_must_be_meant() {
    let stage = Stage::new();
    stage.file("in.csv", "Id\n0015g00000Xb1cCAAR\n");
    let ran = stage.run(&["hard-delete", "Account", "in.csv"]);
    assert_eq!((ran.code, stage.wire.log().len()), (Some(2), 0), "{ran:?}");
    assert!(ran.err.contains("--yes"), "{ran:?}");
    assert_eq!(stage.run(&["hard-delete", "Account", "in.csv", "--yes"]).code, Some(0));
    assert!(stage.read(SUCCESS).contains(",Item Hard Deleted\n"));
    assert!(stage.wire.bodies()[0].contains("<operation>hardDelete<"));
}

#[test]
fn a_first_column_id_takes_the_servers_id() {
    let stage = Stage::new();
    stage.file("in.csv", "ID,Name\n\"x,y\",good\n7,bad\n");
    assert_eq!(stage.run(&["update", "Account", "in.csv"]).code, Some(3));
    let expected = format!("ID,Name,STATUS\n{},good,Item Updated\n", record_id(0));
    assert_eq!(stage.read(SUCCESS), expected);
    assert!(stage.read(ERROR).contains("\n7,bad,\""));
}

#[test]
fn a_success_file_is_loaded_again_without_what_was_added() {
    let stage = Stage::new();
    let id = "0015g00000Xb1cCAAR";
    stage.file("in.csv", format!("ID,Status,STATUS\n{id},\"a,b\",Item Created\n{id},bad,\n"));
    let ran = stage.run(&["update", "Lead", "in.csv"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let words = "the column STATUS, from an earlier success file, is left out\n";
    assert!(ran.err.contains(words), "{ran:?}");
    let sent = format!("ID,Status\n{id},\"a,b\"\n{id},bad\n");
    assert!(stage.wire.bodies().contains(&sent), "a real field Status is kept");
    let expected = format!("ID,Status,STATUS\n{},\"a,b\",Item Updated\n", record_id(0));
    assert_eq!(stage.read(SUCCESS), expected);
    assert_eq!(stage.read(ERROR), format!("ID,Status,ERROR\n{id},bad,\"{REQUIRED}\"\n"));
}

#[test]
fn a_success_file_with_ids_twice_is_loaded_again() {
    let stage = Stage::new();
    let id = "0015g00000Xb1cCAAR";
    let input = format!("ID,Name,id,STATUS\n{id},x,{id},Item Updated\n{id},bad,{id},\n");
    stage.file("in.csv", input);
    let ran = stage.run(&["update", "Lead", "in.csv"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(stage.wire.bodies().contains(&format!("Name,id\nx,{id}\nbad,{id}\n")));
    let expected = format!("ID,Name,id,STATUS\n{},x,{id},Item Updated\n", record_id(0));
    assert_eq!(stage.read(SUCCESS), expected);
    assert_eq!(stage.read(ERROR), format!("Name,id,ERROR\nbad,{id},\"{REQUIRED}\"\n"));
}

#[test]
fn a_delete_does_not_mind_other_columns() {
    let id = "0015g00000Xb1cCAAR";
    for header in ["ID,Name,Id,STATUS", "ID,Id,iD,ERROR", "ID,x,X, x "] {
        let stage = Stage::new();
        stage.file("in.csv", format!("{header}\n{id},b,c,d\n"));
        let ran = stage.run(&["delete", "Lead", "in.csv"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(stage.wire.bodies().contains(&format!("ID\n{id}\n")), "{header}");
    }
}

#[test]
fn rows_from_a_pipe_are_kept_if_no_job_takes_them() {
    let stage = Stage::with(Script { refuses_jobs: true, ..Script::default() });
    std::fs::create_dir(stage.path("out")).unwrap();
    let args = ["insert", "Nothing__c", "-", "--json", "--out-dir", "out"];
    let ran = stage.run_with_stdin(&args, &rows(2, &[]));
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert_eq!(stage.read("out/stdin.unprocessed.csv"), "Name\nr0\nr1\n");
    assert!(ran.err.contains("out/stdin.unprocessed.csv"), "{ran:?}");
    assert!(ran.out.contains("\"unprocessed_file\":\"out/stdin.unprocessed.csv\""), "{ran:?}");
    stage.run_with_stdin(&args, "Name\nnext\n");
    assert_eq!(stage.read("out/stdin.unprocessed.csv"), "Name\nr0\nr1\n", "it may be the only one");
    assert_eq!(stage.read("out/stdin.2.unprocessed.csv"), "Name\nnext\n");
}

#[test]
fn rows_from_a_pipe_are_kept_if_the_org_cannot_be_opened() {
    let stage = Stage::new();
    stage.file(".sfbulk", "not a folder");
    let args = ["insert", "Account", "--org", "practice", "--json"];
    let ran = stage.run_with_stdin(&args, &rows(1, &[]));
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert_eq!(stage.read("stdin.unprocessed.csv"), "Name\nr0\n");
    assert!(ran.err.contains("1 row kept in stdin.unprocessed.csv"), "{ran:?}");
    let told: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&told["unprocessed"], &told["exit_code"]), (&1.into(), &2.into()));
}

#[test]
fn quiet_is_not_silent_about_rows() {
    let stage = Stage::with(script(&[(1, Fate::NotProcessed)]));
    stage.file("in.csv", rows(4, &[1]));
    let ran = stage.run(&["insert", "Account", "in.csv", "-q", "-b", "2", "--serial"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let expected = format!(
        "sfbulk: 1 of 4 rows failed: see {ERROR}; 2 of 4 rows not processed: see {UNPROCESSED}\n"
    );
    assert_eq!(ran.err, expected);
    stage.file("in.csv", rows(2, &[]));
    assert_eq!(stage.run(&["insert", "Account", "in.csv", "-q"]).err, "");
}

#[test]
fn rows_come_from_a_pipe() {
    for args in [&["insert", "Account", "-"][..], &["insert", "Account"]] {
        let stage = Stage::new();
        let ran = stage.run_with_stdin(args, &rows(3, &[]));
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let success = stage.read("stdin.7505g00000Ab1CdAAJ.success.csv");
        assert_eq!(records(success.as_bytes()).len(), 3);
    }
}

#[test]
fn result_files_go_where_they_are_wanted() {
    let stage = Stage::new();
    std::fs::create_dir(stage.path("out")).unwrap();
    stage.file("in.csv", rows(2, &[1])).file("bad.csv", "yesterday's").file("ok.csv", "old");
    let named = ["insert", "Account", "in.csv", "--success", "ok.csv", "--error", "bad.csv"];
    assert_eq!(stage.run(&named).code, Some(3));
    assert!(stage.read("ok.csv").starts_with("ID,Name,STATUS\n"));
    assert!(stage.read("bad.csv").starts_with("Name,ERROR\n"));
    stage.file("in.csv", rows(2, &[]));
    assert_eq!(stage.run(&named).code, Some(0));
    assert_eq!(stage.names(), ["in.csv", "ok.csv", "out"], "an old error file is no result");
    stage.file("bad.csv", "yesterday's");
    let ran = stage.run(&named);
    assert!(ran.err.contains("no row failed: the earlier bad.csv was removed\n"), "{ran:?}");
    assert!(!stage.run(&named).err.contains("was removed"));
    assert_eq!(stage.run(&["insert", "Account", "in.csv", "--out-dir", "out"]).code, Some(0));
    assert_eq!(std::fs::read_dir(stage.path("out")).unwrap().count(), 1);
}

#[test]
fn results_never_overwrite_the_input_or_a_device() {
    let stage = Stage::new();
    stage.file("in.csv", rows(2, &[1]));
    for option in ["--success", "--error"] {
        let ran = stage.run(&["insert", "Account", "in.csv", option, "./in.csv"]);
        assert_eq!(ran.code, Some(2), "{ran:?}");
    }
    let ran = stage.run(&["insert", "Account", "in.csv", "--success", "no/such/folder.csv"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert_eq!((stage.wire.log().len(), stage.read("in.csv")), (0, rows(2, &[1])));
    let null = ["insert", "Account", "in.csv", "--success", "/dev/null", "--error", "/dev/null"];
    assert_eq!(stage.run(&null).code, Some(3));
    assert_eq!(stage.names(), ["in.csv"]);
}

#[test]
fn a_header_alone_is_nothing_to_do() {
    let stage = Stage::new();
    let ran = stage.file("in.csv", "Name\n\n").run(&["insert", "Account", "in.csv"]);
    assert_eq!((ran.code, stage.wire.log().len()), (Some(0), 0), "{ran:?}");
    assert!(ran.err.contains("no rows"), "{ran:?}");
    assert_eq!(stage.names(), ["in.csv"]);
    let ran = stage.run(&["insert", "Account", "in.csv", "--success", "ok.csv", "--json"]);
    assert_eq!((ran.code, &*stage.read("ok.csv")), (Some(0), "ID,Name,STATUS\n"));
    assert!(ran.out.contains("\"rows\":0"), "{ran:?}");
}

#[test]
fn one_json_object_tells_it_all() {
    let stage = Stage::new();
    stage.file("in.csv", rows(4, &[2]));
    let ran = stage.run(&["insert", "Account", "in.csv", "--json", "-q"]);
    assert_eq!(ran.code, Some(3));
    assert_eq!(ran.err, format!("sfbulk: 1 of 4 rows failed: see {ERROR}\n"));
    let told: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    for (member, value) in [
        ("state", "finished".into()),
        ("job_id", JOB.into()),
        ("operation", "insert".into()),
        ("object", "Account".into()),
        ("rows", 4.into()),
        ("succeeded", 3.into()),
        ("failed", 1.into()),
        ("unknown", 0.into()),
        ("success_file", SUCCESS.into()),
        ("error_file", ERROR.into()),
        ("unprocessed_file", serde_json::Value::Null),
        ("exit_code", 3.into()),
    ] {
        assert_eq!(told[member], value, "{member}");
    }
    assert_eq!(told["errors"][0]["code"], "REQUIRED_FIELD_MISSING");
    assert_eq!(told["errors"][0]["first_row"], 3);
    assert_eq!(told["batches"]["total"], 1);
}

#[test]
fn batches_are_as_large_as_wanted() {
    let stage = Stage::new();
    stage.file("in.csv", rows(5, &[]));
    let args = ["insert", "Account", "in.csv", "-b", "2", "--serial", "--api-version", "66.0"];
    assert_eq!(stage.run(&args).code, Some(0));
    let bodies = stage.wire.bodies();
    let batches: Vec<_> = bodies.iter().filter(|body| body.starts_with("Name")).collect();
    assert_eq!(batches, ["Name\nr0\nr1\n", "Name\nr2\nr3\n", "Name\nr4\n"]);
    assert!(bodies[0].contains("<concurrencyMode>Serial<"));
}

#[test]
fn a_refused_job_leaves_no_files() {
    let stage = Stage::with(Script { refuses_jobs: true, ..Script::default() });
    stage.file("in.csv", rows(5, &[]));
    let ran = stage.run(&["insert", "Nothing__c", "in.csv", "--json"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert_eq!(stage.names(), ["in.csv"]);
    assert!(ran.err.contains("InvalidEntity: no object\\u{1b}[31m of this name"), "{ran:?}");
    assert!(ran.err.contains("in.csv itself can be loaded again"), "{ran:?}");
    assert!(ran.out.contains("\"unprocessed\":5") && ran.out.contains("\"job_id\":null"));
}

#[test]
fn an_expired_session_wants_a_new_token() {
    let stage = Stage::with(Script { session_lasts: Some(2), ..Script::default() });
    stage.file("in.csv", rows(3, &[]));
    let ran = stage.run(&["insert", "Account", "in.csv"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("new token") && ran.err.contains(JOB), "{ran:?}");
    assert_eq!(stage.read(UNKNOWN).lines().count(), 4, "nobody can tell what became of them");
}

#[cfg(unix)]
#[test]
fn result_files_are_their_owners() {
    use std::os::unix::fs::PermissionsExt;
    let stage = Stage::new();
    stage.file("in.csv", rows(2, &[1]));
    stage.run(&["insert", "Account", "in.csv"]);
    for name in [SUCCESS, ERROR] {
        let mode = std::fs::metadata(stage.path(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[cfg(unix)]
#[test]
fn a_full_disk_is_no_success() {
    let stage = Stage::new();
    stage.file("in.csv", rows(3, &[]));
    let ran = stage.run(&["insert", "Account", "in.csv", "--success", "/dev/full"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("/dev/full cannot be written: the disk is full"), "{ran:?}");
    assert!(ran.err.contains(JOB), "{ran:?}");
    assert!(!ran.err.lines().any(|line| line.starts_with("  /dev/full")), "{ran:?}");
}

#[test]
fn a_file_that_changes_stops_the_load() {
    let stage = Stage::with(script(&[(0, Fate::Slow)]));
    stage.file("in.csv", rows(6, &[]));
    let child =
        stage.spawn(&mut stage.command(&["insert", "Account", "in.csv", "-b", "2", "--serial"]));
    while stage.wire.count(&format!("POST /{JOB}/batch")) < 1 {
        thread::sleep(Duration::from_millis(10));
    }
    stage.file("in.csv", rows(7, &[]));
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(err.contains("in.csv was changed while it was loaded"), "{err}");
    assert_eq!(stage.wire.count(&format!("POST /{JOB}/batch")), 1, "nothing more is sent");
}

#[cfg(unix)]
#[test]
fn each_line_is_written_at_once() {
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixDatagram;
    let stage = Stage::new();
    stage.file("in.csv", rows(4, &[1]));
    // What is written at once to such a socket is read at once.
    let (ours, theirs) = UnixDatagram::pair().unwrap();
    let mut command = stage.command(&["insert", "Account", "in.csv"]);
    let status = command.stderr(OwnedFd::from(theirs)).status().unwrap();
    assert_eq!(status.code(), Some(3));
    drop(command);
    ours.set_nonblocking(true).unwrap();
    let mut buffer = [0; 1000];
    let mut lines = 0;
    while let Ok(length @ 1..) = ours.recv(&mut buffer) {
        let line = String::from_utf8_lossy(&buffer[..length]);
        assert!(line.ends_with('\n') && line.lines().count() == 1, "{line:?}");
        lines += 1;
    }
    assert!(lines >= 4, "{lines}");
}
