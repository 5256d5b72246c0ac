//! Runs that are cut off and taken up again through the front doors, against a practice org on
//! loopback: every row lands once, and what is told of it is what an undisturbed run would tell.

use std::fs;
use std::future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, LazyLock};
use std::task::Poll;
use std::thread::sleep;
use std::time::{Duration, Instant};

use async_std::task::block_on;
use futures_lite::{Stream, StreamExt};
use sfbulk::rows::{Fate, Outcome};
use sfbulk::{Bounds, Checkpoint, Error, ErrorKind, JobId, Spec};
use sfbulk_org::{Fault, Server};
use sfbulk_tests::practice::{self, Account, NewAccount, SEVEN, SOQL, accounts, small};
use tempfile::TempDir;

/// Which client.
#[derive(Clone, Copy, Debug)]
enum Door {
    Blocking,
    Async,
}

const DOORS: [Door; 2] = [Door::Blocking, Door::Async];

/// What a run does with the file of the checkpoint.
#[derive(Clone, Copy, Debug)]
enum How {
    Anew,
    Again,
}

/// What a load came to.
#[derive(Debug, Default)]
struct Ran {
    outcomes: Vec<Outcome>,
    error: Option<Error>,
    calls: u64,
}

impl Ran {
    fn add(&mut self, outcome: Result<Outcome, Error>) {
        match outcome {
            Ok(outcome) => self.outcomes.push(outcome),
            Err(error) => assert!(self.error.replace(error).is_none(), "an error is the end"),
        }
    }
}

/// An org, and a folder for the files of its clients.
struct Stage {
    server: Arc<Server>,
    folder: TempDir,
}

impl Stage {
    fn new() -> Self {
        Self { server: practice::org(), folder: tempfile::tempdir().unwrap() }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn checkpoint(&self) -> PathBuf {
        self.file("run.checkpoint")
    }

    fn blocking(&self) -> sfbulk_ureq::Client {
        let known = Arc::clone(&self.server);
        sfbulk_ureq::Client::new(move || practice::session(&known))
    }

    fn asynchronous(&self) -> sfbulk_async_std::Client {
        let known = Arc::clone(&self.server);
        sfbulk_async_std::Client::new(move || future::ready(practice::session(&known)))
    }

    /// A load in small batches, by the blocking door.
    fn load<I>(&self, how: How, spec: Spec, rows: I) -> Result<sfbulk_ureq::Outcomes, Error>
    where
        I: IntoIterator<Item = NewAccount, IntoIter: Send + 'static>,
    {
        let load = self.blocking().load(spec).limits(small());
        let load = match how {
            How::Anew => load.checkpoint_to(self.checkpoint()),
            How::Again => load.resume_from(self.checkpoint()),
        };
        load?.rows(rows)
    }

    /// The same, by the other one.
    async fn stream(
        &self,
        how: How,
        spec: Spec,
        rows: Vec<NewAccount>,
    ) -> Result<sfbulk_async_std::Outcomes, Error> {
        let load = self.asynchronous().load(spec).limits(small());
        let load = match how {
            How::Anew => load.checkpoint_to(self.checkpoint()).await,
            How::Again => load.resume_from(self.checkpoint()).await,
        };
        load?.rows(rows)
    }

    /// A load to its end; fails if it cannot begin.
    fn run(&self, door: Door, how: How, spec: Spec, rows: Vec<NewAccount>) -> Result<Ran, Error> {
        let mut ran = Ran::default();
        match door {
            Door::Blocking => {
                let mut outcomes = self.load(how, spec, rows)?;
                outcomes.by_ref().for_each(|outcome| ran.add(outcome));
                ran.calls = outcomes.summary().calls;
            }
            Door::Async => block_on(async {
                let mut outcomes = self.stream(how, spec, rows).await?;
                (&mut outcomes).for_each(|outcome| ran.add(outcome)).await;
                ran.calls = outcomes.summary().calls;
                Ok::<_, Error>(())
            })?,
        }
        Ok(ran)
    }

    /// Goes on with a load that may have been cut off before there was a checkpoint. A thread may
    /// still be storing it.
    fn take_up(&self, door: Door) -> Vec<Outcome> {
        let start = Instant::now();
        let mut how = How::Again;
        loop {
            match self.run(door, how, Spec::insert("Account"), twelve()) {
                Ok(ran) => {
                    assert!(ran.error.is_none(), "{ran:?}");
                    return ran.outcomes;
                }
                Err(error) if error.message().contains("there is no checkpoint") => {
                    how = How::Anew;
                }
                Err(error) if error.message().contains("is locked") => {
                    assert!(start.elapsed() < Duration::from_secs(10), "{error}");
                    sleep(Duration::from_millis(1));
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Every row of [`twelve`] is there once, if it could be, and has the id that it was told of.
    fn assert_whole(&self, outcomes: &[Outcome]) {
        assert_eq!(told(outcomes), *UNDISTURBED);
        let told: Vec<(String, String)> = outcomes
            .iter()
            .filter_map(|outcome| {
                let row = usize::try_from(outcome.row).unwrap();
                Some((twelve().swap_remove(row).name, outcome.id?.to_string()))
            })
            .collect();
        let found = self.blocking().query::<Account>(SOQL).unwrap().map(|account| {
            let Account { id, name, .. } = account.unwrap();
            (name, id)
        });
        assert_eq!(found.collect::<Vec<_>>(), told, "both are in the order of the names");
        assert!(practice::names(self.folder.path()).is_empty(), "nobody will resume it any more");
    }
}

/// Accounts in the order of their names, in four batches; two of them are refused.
fn twelve() -> Vec<NewAccount> {
    accounts(&["a", "b", "", "d", "e", "f", "g", "", "i", "j", "k", "l"])
}

/// What is told of rows, without the ids, which are other ones in each org.
fn told(outcomes: &[Outcome]) -> Vec<(u64, Fate, String)> {
    outcomes.iter().map(|row| (row.row, row.fate, row.message().to_string())).collect()
}

/// What a run tells that keeps no checkpoint.
static UNDISTURBED: LazyLock<Vec<(u64, Fate, String)>> = LazyLock::new(|| {
    let load = Stage::new().blocking().insert("Account").limits(small());
    told(&load.rows(twelve()).unwrap().collect::<Result<Vec<_>, _>>().unwrap())
});

#[test]
fn a_run_that_is_not_disturbed_leaves_no_checkpoint() {
    for door in DOORS {
        let stage = Stage::new();
        let ran = stage.run(door, How::Anew, Spec::insert("Account"), twelve()).unwrap();
        assert!(ran.error.is_none());
        stage.assert_whole(&ran.outcomes);
    }
}

/// A load that was dropped when it had told of so many rows.
fn cut_off(taken: usize) -> Stage {
    let stage = Stage::new();
    let outcomes = stage.load(How::Anew, Spec::insert("Account"), twelve()).unwrap();
    assert_eq!(outcomes.take(taken).map(Result::unwrap).count(), taken);
    stage
}

#[test]
fn a_load_that_is_dropped_after_any_outcome_goes_on() {
    for taken in 0..=12 {
        let stage = cut_off(taken);
        stage.assert_whole(&stage.take_up(DOORS[taken % 2]));
    }
}

#[test]
fn a_load_that_dies_at_any_row_goes_on() {
    for dies_at in 0..=12 {
        let stage = Stage::new();
        let rows = (0..).zip(twelve().into_iter().map(Some).chain([None])).map_while(
            move |(row, account)| {
                if row == dies_at { resume_unwind(Box::new("crash")) } else { account }
            },
        );
        let died = catch_unwind(AssertUnwindSafe(|| {
            stage.load(How::Anew, Spec::insert("Account"), rows).unwrap().count()
        }));
        assert!(died.is_err());
        stage.assert_whole(&stage.take_up(DOORS[dies_at % 2]));
    }
}

#[test]
fn a_load_that_is_dropped_at_any_look_goes_on() {
    let mut looks = 0;
    loop {
        let stage = Stage::new();
        let told = block_on(async {
            let spec = Spec::insert("Account");
            told_within(looks, stage.stream(How::Anew, spec, twelve()).await.unwrap()).await
        });
        if told == 12 {
            break; // nobody would resume it
        }
        stage.assert_whole(&stage.take_up(DOORS[looks % 2]));
        looks += 1;
    }
    assert!(looks > 20, "only {looks} looks: was anything ever dropped?");
}

/// Looks so often whether there is an outcome and drops the stream; returns how many there were.
async fn told_within(looks: usize, stream: impl Stream) -> usize {
    let (mut stream, mut left, mut told) = (pin!(stream), looks, 0);
    future::poll_fn(|cx| {
        while let Some(fewer) = left.checked_sub(1) {
            left = fewer;
            match stream.as_mut().poll_next(cx) {
                Poll::Ready(Some(_)) => told += 1,
                Poll::Ready(None) => break,
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(told)
    })
    .await
}

#[test]
fn a_load_that_is_left_ends_unfinished_and_goes_on() {
    for door in DOORS {
        let stage = Stage::new();
        let spec = Spec::insert("Account");
        let error = match door {
            Door::Blocking => {
                let mut outcomes = stage.load(How::Anew, spec, twelve()).unwrap();
                outcomes.next().unwrap().unwrap();
                outcomes.leave();
                outcomes.find_map(Result::err)
            }
            Door::Async => block_on(async {
                let mut outcomes = stage.stream(How::Anew, spec, twelve()).await.unwrap();
                outcomes.next().await.unwrap().unwrap();
                outcomes.leave();
                outcomes.find_map(Result::err).await
            }),
        };
        assert_eq!(error.unwrap().kind(), ErrorKind::Unfinished);
        stage.assert_whole(&stage.take_up(door));
    }
}

#[test]
fn a_changed_input_is_refused_before_anything_is_sent() {
    let changed = |row: usize, name: &str| {
        let mut rows = twelve();
        rows[row].name = name.into();
        rows
    };
    let inputs =
        [changed(1, "B"), twelve().split_off(1), twelve().drain(..2).collect(), Vec::new()];
    let stage = cut_off(4);
    let before = fs::read(stage.checkpoint()).unwrap();
    for door in DOORS {
        for rows in inputs.clone() {
            let ran = stage.run(door, How::Again, Spec::insert("Account"), rows).unwrap();
            assert_eq!(ran.error.unwrap().kind(), ErrorKind::InputChanged);
            assert!(ran.outcomes.is_empty());
            assert_eq!(ran.calls, 0);
            assert_eq!(fs::read(stage.checkpoint()).unwrap(), before);
        }
    }
    stage.assert_whole(&stage.take_up(Door::Blocking));
}

#[test]
fn a_second_run_is_refused_while_the_first_goes_on() {
    let stage = Stage::new();
    let mut first = stage.load(How::Anew, Spec::insert("Account"), twelve()).unwrap();
    let mut outcomes = vec![first.next().unwrap().unwrap()];
    for door in DOORS {
        for how in [How::Anew, How::Again] {
            let error = stage.run(door, how, Spec::insert("Account"), twelve()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Local);
            assert!(error.to_string().contains("run.checkpoint.lock is locked"), "{error}");
        }
    }
    outcomes.extend(first.map(Result::unwrap));
    stage.assert_whole(&outcomes);
}

#[test]
fn a_new_run_does_not_take_the_file_of_an_unfinished_one() {
    let stage = cut_off(4);
    for door in DOORS {
        let error = stage.run(door, How::Anew, Spec::insert("Account"), twelve()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(error.to_string().contains("resume_from"), "{error}");
    }
    stage.assert_whole(&stage.take_up(Door::Async));
}

#[test]
fn a_checkpoint_is_its_owners_alone_and_holds_no_session_and_no_row() {
    let stage = Stage::new();
    let rows = accounts(&["Hildegard"; 9]);
    let mut outcomes = stage.load(How::Anew, Spec::insert("Account"), rows).unwrap();
    outcomes.next().unwrap().unwrap();
    outcomes.leave();
    assert!(outcomes.find_map(Result::err).is_some());
    let text = fs::read_to_string(stage.checkpoint()).unwrap();
    let checkpoint: Checkpoint = serde_json::from_str(&text).unwrap();
    assert_eq!(checkpoint.jobs().collect::<Vec<_>>(), outcomes.summary().jobs);
    assert!(checkpoint.batches().1 > 0);
    assert!(!text.contains(&stage.server.session()) && !text.contains("Hildegard"), "{text}");
    #[cfg(unix)]
    {
        let permissions = stage.checkpoint().metadata().unwrap().permissions();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&permissions) & 0o777, 0o600);
    }
}

/// Clients that would begin by logging in, which nobody wants of them.
fn refusals(file: &Path, spec: &Spec) -> [Error; 2] {
    let blocking = sfbulk_ureq::Client::new(|| panic!("nobody needs a session yet"));
    let asynchronous = sfbulk_async_std::Client::new(|| -> future::Ready<_> {
        panic!("nobody needs a session yet");
    });
    if spec.operation().is_query() {
        return [
            blocking.fetch(spec.clone()).resume_from(file).unwrap_err(),
            block_on(asynchronous.fetch(spec.clone()).resume_from(file)).unwrap_err(),
        ];
    }
    [
        blocking.load(spec.clone()).resume_from(file).unwrap_err(),
        block_on(asynchronous.load(spec.clone()).resume_from(file)).unwrap_err(),
    ]
}

#[test]
fn a_damaged_checkpoint_is_refused_and_stays_as_it_is() {
    let stage = cut_off(4);
    let whole = fs::read(stage.checkpoint()).unwrap();
    let version =
        String::from_utf8(whole.clone()).unwrap().replace("\"version\":2", "\"version\":3");
    assert_ne!(version.as_bytes(), whole, "the version is another one by now");
    let cuts = (0..whole.len()).step_by(7).map(|at| whole[..at].to_vec());
    let others = [b"no JSON".to_vec(), b"[]".to_vec(), vec![0xFF; 40], version.into_bytes()];
    for content in cuts.chain(others) {
        fs::write(stage.checkpoint(), &content).unwrap();
        for error in refusals(&stage.checkpoint(), &Spec::insert("Account")) {
            assert_eq!(error.kind(), ErrorKind::Local);
            let name = stage.checkpoint().display().to_string();
            assert!(error.to_string().starts_with(&name), "{error}");
        }
        assert_eq!(fs::read(stage.checkpoint()).unwrap(), content);
        assert_eq!(practice::names(stage.folder.path()), ["run.checkpoint"]);
    }
    fs::write(stage.checkpoint(), whole).unwrap();
    stage.assert_whole(&stage.take_up(Door::Blocking));
}

#[test]
fn another_runs_checkpoint_is_refused() {
    let stage = cut_off(4);
    for spec in [
        Spec::insert("Contact"),
        Spec::update("Account"),
        Spec::upsert("Account", "Key__c"),
        Spec::query(SOQL),
    ] {
        for error in refusals(&stage.checkpoint(), &spec) {
            assert_eq!(error.kind(), ErrorKind::Usage);
            assert!(error.to_string().contains("another run, insert of Account"), "{error}");
        }
    }
    let serial = Spec::insert("Account").serial().seed(7).version("64.0");
    let ran = stage.run(Door::Blocking, How::Again, serial, twelve()).unwrap();
    assert!(ran.error.is_none(), "how it is done may differ");
    stage.assert_whole(&ran.outcomes);
}

#[test]
fn what_is_not_there_cannot_be_resumed() {
    let stage = Stage::new();
    for error in refusals(&stage.checkpoint(), &Spec::insert("Account")) {
        assert_eq!(error.kind(), ErrorKind::Local);
        assert!(error.to_string().contains("there is no checkpoint"), "{error}");
    }
    assert!(practice::names(stage.folder.path()).is_empty());
}

/// A load that can store nothing from the moment on when so many outcomes were taken.
fn without_a_disk(door: Door, taken: usize) -> (Stage, Ran) {
    let (stage, spec, mut ran) = (Stage::new(), Spec::insert("Account"), Ran::default());
    let lose_the_folder = || fs::remove_dir_all(stage.folder.path()).unwrap();
    match door {
        Door::Blocking => {
            let mut outcomes = stage.load(How::Anew, spec, twelve()).unwrap();
            outcomes.by_ref().take(taken).for_each(|outcome| ran.add(outcome));
            lose_the_folder();
            outcomes.for_each(|outcome| ran.add(outcome));
        }
        Door::Async => block_on(async {
            let mut outcomes = stage.stream(How::Anew, spec, twelve()).await.unwrap();
            (&mut outcomes).take(taken).for_each(|outcome| ran.add(outcome)).await;
            lose_the_folder();
            outcomes.for_each(|outcome| ran.add(outcome)).await;
        }),
    }
    (stage, ran)
}

#[test]
fn no_row_is_sent_if_the_checkpoint_cannot_be_stored() {
    for door in DOORS {
        let (stage, ran) = without_a_disk(door, 0);
        let error = ran.error.unwrap();
        assert_eq!(error.kind(), ErrorKind::Local);
        assert!(error.to_string().contains("cannot be stored"), "{error}");
        assert!(ran.outcomes.iter().all(|row| row.fate == Fate::Unprocessed));
        assert_eq!(stage.blocking().query::<Account>(SOQL).unwrap().count(), 0);
    }
}

#[test]
fn a_checkpoint_that_cannot_be_removed_is_told_of_when_all_is_done() {
    for door in DOORS {
        let (_stage, ran) = without_a_disk(door, 12);
        let error = ran.error.unwrap();
        assert!(error.to_string().contains("the run has ended well all the same"), "{error}");
        assert_eq!(told(&ran.outcomes), *UNDISTURBED);
    }
}

/// A query of seven rows in two files, which are read one after the other.
fn query(stage: &Stage) -> Spec {
    let load = stage.blocking().insert("Account").csv(SEVEN.as_bytes()).unwrap();
    assert!(load.map(Result::unwrap).all(|outcome| outcome.success()));
    Spec::query(SOQL).parallel(1)
}

/// The query; its second file is cut once, and read again after a minute.
fn stalling(stage: &Stage) -> Spec {
    let query = query(stage);
    stage.server.fault(Fault::CutResult { result: 2, bytes: 40 });
    let first_wait = Duration::from_secs(60);
    query.bounds(Bounds { first_wait, parallel: 1, ..Bounds::default() })
}

/// The jobs of the run whose checkpoint is kept.
fn jobs(stage: &Stage) -> Vec<JobId> {
    let checkpoint = fs::read(stage.checkpoint()).unwrap();
    serde_json::from_slice::<Checkpoint>(&checkpoint).unwrap().jobs().collect()
}

#[test]
fn a_query_that_was_left_in_time_goes_on_and_gives_the_same_file() {
    for door in DOORS {
        let stage = Stage::new();
        let query = stalling(&stage);
        let (file, checkpoint) = (stage.file("accounts.csv"), stage.checkpoint());
        let (wait, start) = (Duration::from_millis(500), Instant::now());
        let left = match door {
            Door::Blocking => {
                let query = stage.blocking().fetch(query.clone()).leave_after(wait);
                query.checkpoint_to(&checkpoint).unwrap().file(&file)
            }
            Door::Async => block_on(async {
                let query = stage.asynchronous().fetch(query.clone()).leave_after(wait);
                query.checkpoint_to(&checkpoint).await.unwrap().file(&file).await
            }),
        };
        assert_eq!(left.unwrap_err().kind(), ErrorKind::Unfinished);
        assert!((wait..Duration::from_secs(30)).contains(&start.elapsed()));
        assert_eq!(practice::names(stage.folder.path()), ["run.checkpoint"]);
        let jobs = jobs(&stage);
        let summary = match door {
            Door::Blocking => {
                stage.blocking().fetch(query).resume_from(&checkpoint).unwrap().file(&file)
            }
            Door::Async => block_on(async {
                let query = stage.asynchronous().fetch(query);
                query.resume_from(&checkpoint).await.unwrap().file(&file).await
            }),
        }
        .unwrap();
        assert_eq!((summary.rows, summary.jobs), (7, jobs), "the org does not work it out again");
        assert_eq!(practice::names(stage.folder.path()), ["accounts.csv"]);
        let mut whole = Vec::new();
        stage.blocking().query_csv(SOQL, &mut whole).unwrap();
        assert_eq!(fs::read(&file).unwrap(), whole);
    }
}

#[test]
fn a_query_that_is_dropped_gives_all_its_rows_again() {
    for (door, taken) in DOORS.into_iter().flat_map(|door| [(door, 1), (door, 5)]) {
        let stage = Stage::new();
        let (query, checkpoint) = (query(&stage), stage.checkpoint());
        let (blocking, asynchronous) = (stage.blocking(), stage.asynchronous());
        let (blocking, asynchronous) = (blocking.fetch(query.clone()), asynchronous.fetch(query));
        let found: Result<Vec<Account>, Error> = match door {
            Door::Blocking => {
                let rows = blocking.checkpoint_to(&checkpoint).unwrap().records::<Account>();
                assert_eq!(rows.unwrap().take(taken).map(Result::unwrap).count(), taken);
                block_on(async {
                    asynchronous.resume_from(&checkpoint).await?.records()?.try_collect().await
                })
            }
            Door::Async => {
                block_on(async {
                    let query = asynchronous.checkpoint_to(&checkpoint).await.unwrap();
                    let rows = query.records::<Account>().unwrap().take(taken);
                    assert_eq!(rows.map(Result::unwrap).count().await, taken);
                });
                blocking.resume_from(&checkpoint).unwrap().records().unwrap().collect()
            }
        };
        let all = stage.blocking().query(SOQL).unwrap().collect::<Result<Vec<Account>, _>>();
        assert_eq!(found.unwrap(), all.unwrap());
        assert!(practice::names(stage.folder.path()).is_empty());
    }
}
