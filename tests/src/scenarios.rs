//! The situations a client gets into, each as data: what is wanted, what goes wrong, and what the
//! application does meanwhile. They are played offline for the snapshots of conversations, by every
//! executor, to see that all come to the same, and with one more fault at every place there is.

use std::time::Duration;

use sfbulk::rows::Batch;
use sfbulk::{ContentType, Job, Note, PkChunking, Spec, Step};

use crate::document::{error, maintenance, shortened};
use crate::offline::{Offline, batches};
use crate::records::{batches_of, records};
use crate::script::{Deviation, Kind};
use crate::server::Server;

const SOQL: &str = "SELECT Id, Name FROM Account";

/// A situation.
#[derive(Debug)]
pub struct Scenario {
    /// The name of its snapshot.
    pub name: &'static str,
    /// What happens in it.
    pub title: &'static str,
    pub spec: Spec,
    /// What the application feeds, two records in a batch.
    pub batches: Vec<Batch>,
    pub server: Server,
    /// How many sessions the application can get.
    pub logins: u32,
    /// How many bytes of an answer arrive at once.
    pub piece: usize,
    /// What makes the application abort.
    pub aborts_after: fn(&Note) -> bool,
    /// After what it is killed, so that another one has to go on.
    pub killed_after: Option<fn(&Note) -> bool>,
}

impl Scenario {
    fn new(name: &'static str, title: &'static str, spec: Spec, server: Server) -> Self {
        let (logins, piece) = (u32::MAX, usize::MAX);
        Self {
            name,
            title,
            spec,
            batches: Vec::new(),
            server,
            logins,
            piece,
            aborts_after: |_| false,
            killed_after: None,
        }
    }

    /// A load of these records.
    fn load(name: &'static str, title: &'static str, records: &[&str], server: Server) -> Self {
        let scenario = Self::new(name, title, Spec::insert("Account"), server);
        Self { batches: batches("Name", records, 2), ..scenario }
    }

    /// A query that finds these records, two in a file.
    fn query(name: &'static str, title: &'static str, rows: &[&str], server: Server) -> Self {
        let server = server.table(rows.iter().copied(), 2);
        Self::new(name, title, Spec::query(SOQL), server)
    }

    /// The same load in another format.
    fn sent_as(self, content_type: ContentType) -> Self {
        let spec = self.spec.content_type(content_type);
        let records: Vec<String> =
            self.batches.iter().flat_map(|batch| records(&batch.body)).collect();
        Self { batches: batches_of(spec.syntax(), &records, 2), spec, ..self }
    }

    fn spec(self, spec: Spec) -> Self {
        Self { spec, ..self }
    }

    /// A world in which it is about to happen.
    pub fn offline(self) -> Offline {
        let mut offline = Offline::new(Job::new(self.spec).unwrap(), self.batches, self.server);
        (offline.logins, offline.aborts_after) = (self.logins, self.aborts_after);
        offline.network.piece = self.piece;
        offline
    }

    /// Lets it happen.
    pub fn play(mut self) -> Offline {
        let (killed_after, batches) = (self.killed_after.take(), self.batches.clone());
        let mut world = self.offline();
        let mut killed_after = killed_after;
        loop {
            let step = world.poll();
            let kills = matches!((&step, killed_after), (Step::Note(note), Some(f)) if f(note));
            if world.perform(step).is_some() {
                return world;
            }
            if kills {
                killed_after = None;
                world.crash(|| None);
                let saved = world.saved.as_ref().expect("a checkpoint was stored");
                let job = Job::resume(serde_json::from_str(saved).unwrap()).unwrap();
                world.resume(job, batches.clone());
            }
        }
    }
}

fn server() -> Server {
    Server::default()
}

/// Whose batches take longer than anybody waits.
fn slow() -> Server {
    server().takes(Duration::from_secs(24 * 3600))
}

/// The nth request of this kind goes otherwise.
fn but(kind: Kind, nth: usize, deviation: Deviation) -> Server {
    server().but(kind, nth, deviation)
}

/// The first so many requests of this kind go otherwise.
fn first(times: usize, kind: Kind, deviation: &Deviation) -> Server {
    (1..=times).fold(server(), |server, n| server.but(kind, n, deviation.clone()))
}

/// It is carried out, and its answer is lost.
fn lost() -> Deviation {
    Deviation::Lost { arrives: Some(Duration::ZERO) }
}

/// All of them.
pub fn all() -> Vec<Scenario> {
    [good(), bad_data(), trouble(), lost_answers(), crashes(), ends(), sessions()]
        .into_iter()
        .flatten()
        .collect()
}

fn good() -> Vec<Scenario> {
    let five = &["a", "b", "c", "d", "e"];
    let upsert = Spec::upsert("Account", "Erp_Key__c");
    let serial = Spec::insert("Account").serial();
    vec![
        Scenario::load("load", "a load of three batches", five, server()),
        Scenario::query("query", "a query with three files", five, server()),
        Scenario::query("query_without_rows", "a query without rows", &[], server()),
        Scenario::query(
            "chunked_query",
            "a query that the server splits into chunks",
            five,
            server(),
        )
        .spec(Spec::query(SOQL).pk_chunking(PkChunking { size: Some(3), ..PkChunking::default() })),
        Scenario::load(
            "load_of_nothing",
            "an empty load asks nothing of the server",
            &[],
            server(),
        ),
        Scenario::load("upsert", "an upsert", &["known a", "b"], server()).spec(upsert),
        Scenario::load(
            "serial",
            "a serial load sends one batch after the other",
            &["a", "b", "c"],
            server(),
        )
        .spec(serial),
    ]
}

fn bad_data() -> Vec<Scenario> {
    let refuse = Deviation::Instead(error(400, "InvalidBatch", "Failed to read the query"));
    vec![
        Scenario::load(
            "failed_batch",
            "a batch that fails as a whole",
            &["a", "b", "broken", "d"],
            server(),
        ),
        Scenario::load(
            "partly_failed_batch",
            "a batch that fails on its way",
            &["a", "broken"],
            server(),
        ),
        Scenario::load("row_errors", "rows with errors", &["a", "bad", "bad", "d"], server()),
        Scenario::load(
            "refused_batch",
            "a batch that is refused while others go on",
            &["a", "b", "refused", "d", "e"],
            server(),
        ),
        Scenario::query("failed_query", "a query that fails says why", &["a"], server())
            .spec(Spec::query("SELECT Bogus FROM Account")),
        Scenario::query(
            "refused_query",
            "a query that is refused at the door",
            &["a"],
            but(Kind::Submit, 1, refuse),
        ),
    ]
}

fn trouble() -> Vec<Scenario> {
    let short = Deviation::Edited(shortened);
    let empty = Deviation::Edited(|_| "<result-list/>".into());
    vec![
        Scenario::load(
            "retry_after",
            "a refusal with Retry-After is honoured for a read",
            &["a"],
            but(Kind::List, 1, Deviation::Instead(maintenance("7"))),
        ),
        Scenario::load(
            "truncated_result",
            "a truncated result is read again",
            &["a", "b"],
            but(Kind::Result, 1, Deviation::Cut(60)),
        ),
        Scenario {
            piece: 16,
            ..Scenario::query(
                "broken_file",
                "a file that breaks off goes on where it stopped",
                &["a", "b", "c", "d"],
                but(Kind::File, 2, Deviation::Cut(44)),
            )
        },
        Scenario::load(
            "short_result",
            "a result that lacks rows is read four times, and then an error",
            &["a", "b"],
            first(4, Kind::Result, &short),
        ),
        Scenario::query(
            "short_file",
            "a file that lacks rows is read four times, and then an error",
            &["a", "b"],
            first(4, Kind::File, &short),
        ),
        Scenario::query(
            "empty_list_of_files",
            "a list without files is asked for again if rows were promised",
            &["a"],
            but(Kind::Result, 1, empty),
        ),
        Scenario::load(
            "unsent_batch",
            "a request that never left is sent again",
            &["a"],
            but(Kind::Submit, 1, Deviation::Unsent),
        ),
    ]
}

fn lost_answers() -> Vec<Scenario> {
    let five = &["a", "b", "c", "d", "e"];
    let never = Deviation::Lost { arrives: None };
    let late = Deviation::Lost { arrives: Some(Duration::from_secs(60)) };
    vec![
        Scenario::load(
            "lost_batch",
            "a batch whose answer was lost is found on the server",
            five,
            but(Kind::Submit, 2, lost()).rewrites(),
        ),
        Scenario::load(
            "lost_batch_of_json",
            "a batch of JSON whose answer was lost is found on the server",
            five,
            but(Kind::Submit, 2, lost()).rewrites(),
        )
        .sent_as(ContentType::Json),
        Scenario::load(
            "lost_batch_of_xml",
            "a batch of XML whose answer was lost is found on the server",
            &["a", "bad", "c", "<d> & d", "e"],
            but(Kind::Submit, 1, lost()).rewrites(),
        )
        .sent_as(ContentType::Xml),
        Scenario::load(
            "lost_batch_that_never_arrived",
            "a batch that never arrived is sent again behind a fence",
            five,
            but(Kind::Submit, 2, never.clone()),
        ),
        Scenario::load(
            "late_batch",
            "a batch that arrives after the fence is turned away",
            five,
            but(Kind::Submit, 2, late),
        ),
        Scenario::load(
            "equal_batches",
            "of two equal batches with lost answers one arrived",
            &["a", "a", "a", "a", "a"],
            but(Kind::Submit, 1, lost()).but(Kind::Submit, 2, never.clone()),
        ),
        Scenario::load(
            "uncounted_batches",
            "a server that does not count its batches is asked for the list twice",
            &["a", "b"],
            but(Kind::Submit, 1, never).counts_no_batches(),
        ),
        Scenario::load(
            "list_that_breaks_off",
            "a list that lacks a batch known to be there is not believed",
            &["a", "b", "c"],
            (3..=5).fold(but(Kind::Submit, 2, lost()).counts_no_batches(), |server, n| {
                server.but(Kind::List, n, Deviation::Unlisted)
            }),
        ),
        Scenario::load(
            "unreadable_batch",
            "a server that cannot be asked leaves rows unknown",
            &["a", "b", "c"],
            (1..=8).fold(but(Kind::Submit, 1, lost()), |server, n| {
                server.but(Kind::List, n, Deviation::Masked(maintenance("")))
            }),
        ),
        Scenario::load(
            "lost_create",
            "a lost answer to a job's creation leaves an orphan at worst",
            &["a"],
            but(Kind::Create, 1, lost()),
        ),
        Scenario::load(
            "lost_close",
            "a lost answer to a close is settled by asking again",
            &["a"],
            but(Kind::Close, 1, lost()),
        ),
        Scenario::query(
            "lost_query",
            "a lost answer to a query is asked for again",
            &["a"],
            but(Kind::Submit, 1, lost()),
        ),
    ]
}

fn crashes() -> Vec<Scenario> {
    let five = &["a", "b", "c", "d", "e"];
    vec![
        Scenario {
            killed_after: Some(|note| matches!(note, Note::Accepted { rows, .. } if rows.end == 5)),
            ..Scenario::load(
                "killed_load",
                "a load is killed, and another client goes on",
                five,
                but(Kind::Submit, 2, Deviation::Lost { arrives: None }),
            )
        },
        Scenario {
            killed_after: Some(|note| matches!(note, Note::Finished { .. })),
            ..Scenario::query(
                "killed_query",
                "a query is killed, and another goes on",
                five,
                server(),
            )
        },
    ]
}

fn ends() -> Vec<Scenario> {
    vec![
        Scenario {
            aborts_after: |note| matches!(note, Note::Accepted { .. }),
            ..Scenario::load(
                "abort",
                "an abort while batches are on their way",
                &["a", "b", "c", "d", "e"],
                slow(),
            )
        },
        Scenario {
            aborts_after: |note| matches!(note, Note::Closed(_)),
            ..Scenario::load(
                "late_abort",
                "an abort after everything was sent",
                &["a", "b", "c"],
                slow(),
            )
        },
        Scenario::load(
            "foreign_abort",
            "a job that somebody else aborted",
            &["a", "b"],
            slow().but(Kind::List, 2, Deviation::ForeignAbort),
        ),
    ]
}

fn sessions() -> Vec<Scenario> {
    let refuse = Deviation::Instead(error(400, "InvalidSessionId", "Invalid session id"));
    vec![
        Scenario::load(
            "expired_session",
            "several calls find the session expired, and one login follows",
            &["a", "b", "c", "d", "e"],
            but(Kind::Submit, 1, Deviation::Expired),
        ),
        Scenario {
            logins: 0,
            ..Scenario::load("failed_login", "a login that fails", &["a", "b"], server())
        },
        Scenario::load(
            "no_good_session",
            "an org that accepts no session",
            &["a"],
            first(4, Kind::Create, &refuse),
        ),
    ]
}
