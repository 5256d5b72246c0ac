//! The front door: loads and queries as iterators.
//!
//! An iterator *is* the run. Asking it for the next item turns the loop, so a slow consumer slows
//! the load down, and dropping it stops the run where it is: nothing more is sent. The job is then
//! left open in the org, which works off the batches it has and closes it by age. To leave in good
//! order, call `abort` and read on to the end.

use std::collections::VecDeque;
use std::fmt;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sfbulk::login::Login;
use sfbulk::rows::{
    BINARY_FIELDS, Batch, Cutter, Decoder, InOrder, Limits, Outcome, RowSource, Rows, Source, Text,
};
use sfbulk::{
    Ask, Checkpoint, ContentType, Error, ErrorInfo, ErrorKind, Host, Job, Note, Page, Session,
    Spec, Summary, Transcript,
};
use sfbulk_draft::{CheckpointFile, Draft, FileSource, Start};

use crate::executor::Executor;
use crate::source::CsvSource;
use crate::transport::Transport;

/// Gives a session, another one than that which has expired.
type LogIn = dyn Fn(&Transport, Option<&Session>) -> Result<Session, Error> + Send + Sync;
type OnNote = dyn Fn(&Note, &Summary) + Send + Sync;

/// Access to one org. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct Client {
    transport: Transport,
    log_in: Arc<LogIn>,
    on_note: Arc<OnNote>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

/// The session of the environment's variables; see [`Session::from_vars`].
pub fn session_from_env() -> Result<Session, Error> {
    Session::from_vars(|name| std::env::var(name).ok())
}

impl Client {
    /// Access to the org whose sessions `login` gives: [`session_from_env`], or a closure that
    /// logs in. It is called when a session is first needed and whenever one has expired.
    pub fn new(login: impl Fn() -> Result<Session, Error> + Send + Sync + 'static) -> Self {
        Self::with(move |_, _| login())
    }

    /// Access to the org that `login` logs in to, with the client's time-outs and proxy. All clones
    /// and runs share the session. One that has expired is renewed once, whoever notices it, and a
    /// login that was refused for good is not tried again.
    ///
    /// ```no_run
    /// use sfbulk_ureq::Client;
    /// use sfbulk_ureq::login::{App, Login, LoginServer};
    ///
    /// let server = LoginServer::at("https://acme.my.salesforce.com")?;
    /// let app = App::with_secret("3MVG9…", std::env::var("SF_CLIENT_SECRET").unwrap_or_default());
    /// let org = Client::logging_in(Login::client_credentials(server, app)?);
    /// # Ok::<(), sfbulk_ureq::Error>(())
    /// ```
    pub fn logging_in(login: Login) -> Self {
        let login = Mutex::new(login);
        Self::with(move |transport, expired| {
            // Whoever comes second waits here, and is given the first one's session.
            let mut login = login.lock().unwrap_or_else(PoisonError::into_inner);
            transport.log_in(&mut login, expired)
        })
    }

    fn with(
        log_in: impl Fn(&Transport, Option<&Session>) -> Result<Session, Error> + Send + Sync + 'static,
    ) -> Self {
        let on_note = Arc::new(|_: &Note, _: &Summary| {});
        Self { transport: Transport::default(), log_in: Arc::new(log_in), on_note }
    }

    /// A session of the org, another one than that which has `expired`: for a [`Host`] of your own.
    pub fn session(&self, expired: Option<&Session>) -> Result<Session, Error> {
        (self.log_in)(&self.transport, expired)
    }

    /// Other bounds than 30 s on how long a connection may take to be made (TLS included), and than
    /// 120 s on how long the server may be silent. A call that passes the second one is lost, so a
    /// short one is for tests and for services that are known to be quick.
    #[must_use]
    pub fn timeouts(mut self, connect: Duration, silence: Duration) -> Self {
        self.transport = Transport::with_timeouts(connect, silence);
        self
    }

    /// Has `listener` told of what happens in every run from now on: a job created, a batch
    /// accepted or finished, a request tried again; with what the run has come to until then.
    #[must_use]
    pub fn on_note(mut self, listener: impl Fn(&Note, &Summary) + Send + Sync + 'static) -> Self {
        self.on_note = Arc::new(listener);
        self
    }

    /// New records of `object`.
    pub fn insert(&self, object: impl Into<String>) -> Load {
        self.load(Spec::insert(object))
    }

    /// Changes to records of `object`, named by their `Id`.
    pub fn update(&self, object: impl Into<String>) -> Load {
        self.load(Spec::update(object))
    }

    /// Insert or update, told apart by the field `external_id`.
    pub fn upsert(&self, object: impl Into<String>, external_id: impl Into<String>) -> Load {
        self.load(Spec::upsert(object, external_id))
    }

    /// Into the recycle bin; the rows have an `Id` and nothing else.
    pub fn delete(&self, object: impl Into<String>) -> Load {
        self.load(Spec::delete(object))
    }

    /// Past the recycle bin, for good.
    pub fn hard_delete(&self, object: impl Into<String>) -> Load {
        self.load(Spec::hard_delete(object))
    }

    /// Any load, from a [`Spec`] with bounds, seed or version of your own.
    pub fn load(&self, spec: Spec) -> Load {
        let start = Start::new(spec);
        Load {
            client: self.clone(),
            start,
            limits: Limits::default(),
            columns: None,
            binary: BINARY_FIELDS.map(Into::into).into(),
        }
    }

    /// The rows of a query, decoded. Columns are matched with the names of `T`'s fields as serde
    /// sees them; an empty cell is `None`, since CSV cannot tell null from empty. (A
    /// [query](Self::fetch) in XML or JSON can.)
    pub fn query<T: DeserializeOwned>(&self, soql: impl Into<String>) -> Result<Records<T>, Error> {
        self.fetch(Spec::query(soql)).records()
    }

    /// Writes the rows of a query as CSV; see [`Query::write`].
    pub fn query_csv(
        &self,
        soql: impl Into<String>,
        out: &mut impl Write,
    ) -> Result<Summary, Error> {
        self.fetch(Spec::query(soql)).write(out)
    }

    /// Writes the rows of a query into a file; see [`Query::file`].
    pub fn query_file(
        &self,
        soql: impl Into<String>,
        name: impl AsRef<Path>,
    ) -> Result<Summary, Error> {
        self.fetch(Spec::query(soql)).file(name)
    }

    /// Any query, from a [`Spec`]: [`Spec::query_all`], or one with bounds, seed or version of your
    /// own; and one that keeps a checkpoint, or may take only so long.
    ///
    /// A table of many millions, split by the server into chunks:
    ///
    /// ```no_run
    /// use sfbulk_ureq::{PkChunking, Spec};
    ///
    /// # fn extract(org: sfbulk_ureq::Client) -> Result<(), sfbulk_ureq::Error> {
    /// let chunks = PkChunking { size: Some(250_000), ..PkChunking::default() };
    /// let query = Spec::query("SELECT Id, Name FROM Account").pk_chunking(chunks);
    /// org.fetch(query).file("accounts.csv")?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn fetch(&self, spec: Spec) -> Query {
        Query { client: self.clone(), start: Start::new(spec) }
    }
}

/// A load about to start.
#[must_use]
#[derive(Debug)]
pub struct Load {
    client: Client,
    start: Start,
    limits: Limits,
    columns: Option<Vec<String>>,
    binary: Vec<String>,
}

impl Load {
    /// One batch at a time: slower, with fewer lock conflicts.
    pub fn serial(mut self) -> Self {
        self.start.spec = self.start.spec.serial();
        self
    }

    /// So many uploads at a time, and results fetched at a time; 4 unless said.
    pub fn parallel(mut self, parallel: usize) -> Self {
        self.start.spec = self.start.spec.parallel(parallel);
        self
    }

    /// Sends [`rows`](Self::rows) in another format than CSV. What they say is the same in each, but
    /// only XML and JSON can send an empty value, and need not have the same fields in all rows.
    pub fn content_type(mut self, content_type: ContentType) -> Self {
        self.start.spec = self.start.spec.content_type(content_type);
        self
    }

    /// Before it creates a job, asks the org whether it takes so many batches today, of 10,000 rows
    /// unless the [`limits`](Self::limits) are lower; see [`Job::preflight`]. If not, the load ends
    /// with [`ErrorKind::Allowance`], and nothing was sent.
    pub fn preflight(mut self, batches: u64) -> Self {
        self.start.preflight = Some(batches);
        self
    }

    /// Of a CSV text, sends only these columns: a delete takes nothing but `Id`.
    pub fn keep_only<S: Into<String>>(mut self, columns: impl IntoIterator<Item = S>) -> Self {
        self.columns = Some(columns.into_iter().map(Into::into).collect());
        self
    }

    /// Other fields that name [`files`](Self::files) than `Body` and `VersionData`.
    pub fn binary_fields<S: Into<String>>(mut self, fields: impl IntoIterator<Item = S>) -> Self {
        self.binary = fields.into_iter().map(Into::into).collect();
        self
    }

    /// Smaller batches than the service allows.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Keeps a checkpoint in this file while the load runs, so that [`resume_from`](Self::resume_from)
    /// can go on with it, whatever ends it: a crash, a power cut, a network that stays away, a
    /// dropped iterator. It holds neither records nor a session, and can be read by its owner alone.
    /// When all has ended well and the last outcome was taken, it is removed.
    ///
    /// The file comes when the job was created. Meanwhile `<name>.lock` keeps other processes away.
    ///
    /// Fails with [`ErrorKind::Usage`] if the file is there, since an unfinished run may need it,
    /// and with [`ErrorKind::Local`] if it cannot be, or another run has it.
    pub fn checkpoint_to(mut self, name: impl AsRef<Path>) -> Result<Self, Error> {
        self.start = self.start.checkpoint_to(name.as_ref())?;
        Ok(self)
    }

    /// Goes on with the load whose checkpoint is in this file, and keeps it there on.
    ///
    /// Give the same rows again, from the first, with the same [`limits`](Self::limits) and
    /// [columns](Self::keep_only): each batch is compared with what the earlier run had cut, and if
    /// one differs, the load ends with
    /// [`ErrorKind::InputChanged`] before anything is sent. Then the org is asked what arrived, and
    /// only what did not is sent. Every outcome comes again, from row 0. Version, concurrency and
    /// bounds are those the load began with.
    ///
    /// Fails with [`ErrorKind::Usage`] if that load has another operation, object or external id,
    /// and with [`ErrorKind::Local`] if there is no file, or it is damaged, or another run has it.
    pub fn resume_from(mut self, name: impl AsRef<Path>) -> Result<Self, Error> {
        self.start = self.start.resume_from(name.as_ref())?;
        Ok(self)
    }

    /// Leaves the load after so long, wherever it is, with [`ErrorKind::Unfinished`]. Nothing is
    /// changed in the org, which works off the batches it has; with a checkpoint, the load can be
    /// resumed.
    pub fn leave_after(mut self, wait: Duration) -> Self {
        self.start.leave_after = Some(wait);
        self
    }

    /// Loads a CSV text as it is: UTF-8, a header of API names, records of any shape RFC 4180
    /// allows. Nothing is read before it is needed.
    ///
    /// Fails with [`ErrorKind::Usage`] if the load has another [content type](Self::content_type).
    pub fn csv(self, reader: impl Read + Send + 'static) -> Result<Outcomes, Error> {
        self.start.takes_csv()?;
        let cutter = Cutter::new(self.limits);
        let cutter = match self.columns.clone() {
            Some(columns) => cutter.keep_only(columns),
            None => cutter,
        };
        self.from(Box::new(CsvSource::new(reader, cutter)))
    }

    /// Loads rows: structs whose fields are named like the object's (`#[serde(rename = "Name")]`;
    /// custom fields keep their `__c`), or maps.
    ///
    /// `None` leaves the field as it is, in an update too; so does an empty cell of CSV, and the
    /// service has it so. The text `#N/A` clears a field, in every format. A struct or a map in a row
    /// is a parent, found by a key of it; see [`RowCutter`](sfbulk::rows::RowCutter) for what becomes
    /// of each value.
    ///
    /// ```no_run
    /// # use sfbulk_ureq::{Client, session_from_env};
    /// use sfbulk::ContentType;
    ///
    /// #[derive(serde::Serialize)]
    /// #[serde(rename_all = "PascalCase")]
    /// struct Contact { last_name: &'static str, phone: Option<&'static str>, account: Account }
    ///
    /// #[derive(serde::Serialize)]
    /// struct Account { #[serde(rename = "Erp_Key__c")] key: &'static str }
    ///
    /// let client = Client::new(session_from_env);
    /// let rows = [Contact { last_name: "King", phone: Some("#N/A"), account: Account { key: "A-17" } }];
    /// // Sent as {"LastName":"King","Phone":null,"Account":{"Erp_Key__c":"A-17"}}
    /// for outcome in client.insert("Contact").content_type(ContentType::Json).rows(rows)? {
    ///     println!("{:?}", outcome?.id);
    /// }
    /// # Ok::<(), sfbulk::Error>(())
    /// ```
    pub fn rows<I>(self, rows: I) -> Result<Outcomes, Error>
    where
        I: IntoIterator<IntoIter: Send + 'static, Item: Serialize + Send + 'static>,
    {
        self.start.takes_rows()?;
        let source =
            RowSource::with_syntax(self.start.spec.syntax(), rows.into_iter(), self.limits);
        self.from(Box::new(source))
    }

    /// Loads rows and the files that they name, into a job of archives: say
    /// [`content_type(ContentType::ZipCsv)`](Self::content_type) before, and before
    /// [`resume_from`](Self::resume_from).
    ///
    /// A row is as for [`rows`](Self::rows), and its field `Body` or `VersionData` holds `#` and the
    /// path of a file in `folder`, with forward slashes: `#photos/ada.png`.
    /// [`Attachment`](sfbulk::rows::Attachment), [`ContentVersion`](sfbulk::rows::ContentVersion) and
    /// [`Document`](sfbulk::rows::Document) are such rows. Files are read and packed while the load
    /// runs, as many into a batch as fit; no link is followed, and no path leads out of the folder.
    ///
    /// ```no_run
    /// # use sfbulk_ureq::{Client, ContentType, Error};
    /// use sfbulk_ureq::rows::ContentVersion;
    ///
    /// # fn load(org: &Client) -> Result<(), Error> {
    /// let rows = ["logo.png", "contracts/acme.pdf"].map(ContentVersion::new);
    /// let load = org.insert("ContentVersion").content_type(ContentType::ZipCsv);
    /// for outcome in load.files("to/be/loaded", rows)? {
    ///     println!("{}", outcome?.message());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn files<I>(self, folder: impl AsRef<Path>, rows: I) -> Result<Outcomes, Error>
    where
        I: IntoIterator<IntoIter: Send + 'static, Item: Serialize + Send + 'static>,
    {
        let rows = rows.into_iter().map(Ok);
        let source = FileSource::open(&self.start.spec, self.limits, folder.as_ref(), rows)?;
        let source = source.binary(self.binary.clone());
        self.from(Box::new(source))
    }

    fn from(self, source: Box<dyn Source + Send>) -> Result<Outcomes, Error> {
        let run = Run::new(&self.client, self.start, source)?;
        Ok(Outcomes { run, in_order: InOrder::new(), ready: VecDeque::new() })
    }
}

/// A query about to start. What it keeps and how long it may take is said first, as for a [`Load`],
/// and then once, however its rows are wanted.
#[must_use]
#[derive(Debug)]
pub struct Query {
    client: Client,
    start: Start,
}

impl Query {
    /// Keeps a checkpoint in this file, as [`Load::checkpoint_to`] does. It is removed once all rows
    /// were taken or written.
    pub fn checkpoint_to(mut self, name: impl AsRef<Path>) -> Result<Self, Error> {
        self.start = self.start.checkpoint_to(name.as_ref())?;
        Ok(self)
    }

    /// Goes on with the query whose checkpoint is in this file, and keeps it there on. Every row
    /// comes again, from the first; the org works them out again only if it was not stored yet that
    /// it had begun to.
    ///
    /// Fails as [`Load::resume_from`] does, and if it is another query.
    pub fn resume_from(mut self, name: impl AsRef<Path>) -> Result<Self, Error> {
        self.start = self.start.resume_from(name.as_ref())?;
        Ok(self)
    }

    /// Leaves the query after so long, as [`Load::leave_after`] does.
    pub fn leave_after(mut self, wait: Duration) -> Self {
        self.start.leave_after = Some(wait);
        self
    }

    /// The rows, decoded from the format that the [`Spec`] asks for, each as a
    /// [`Decoder`] says. Null and empty are told apart in XML and JSON:
    ///
    /// ```no_run
    /// use sfbulk_ureq::rows::Moment;
    /// use sfbulk_ureq::{Client, ContentType, Spec, session_from_env};
    ///
    /// #[derive(serde::Deserialize)]
    /// #[serde(rename_all = "PascalCase")]
    /// struct Event { subject: Option<String>, activity_date_time: Option<Moment>, who: Option<Who> }
    ///
    /// #[derive(serde::Deserialize)]
    /// #[serde(rename_all = "PascalCase")]
    /// struct Who { name: String }
    ///
    /// let spec = Spec::query("SELECT Subject, ActivityDateTime, Who.Name FROM Event");
    /// let query = Client::new(session_from_env).fetch(spec.content_type(ContentType::Json));
    /// let events: Result<Vec<Event>, _> = query.records()?.collect();
    /// # Ok::<(), sfbulk_ureq::Error>(())
    /// ```
    pub fn records<T: DeserializeOwned>(self) -> Result<Records<T>, Error> {
        Ok(Records { run: self.run()?, decoder: Decoder::new() })
    }

    /// Writes the rows as the server wrote them, as one document of the format that the [`Spec`]
    /// asks for: a CSV text with one header, a JSON list, a `queryResult` in XML. If this fails,
    /// what was written is not the whole result.
    pub fn write(self, out: &mut impl Write) -> Result<Summary, Error> {
        let mut run = self.run()?;
        run.write(out)?;
        run.end()
    }

    /// Writes the rows, as [`write`](Self::write) does, into a file that has its name only once the
    /// result is whole and on the disk; until then it is a [`Draft`]. If this fails there is no
    /// file, or the one that had the name before.
    pub fn file(self, name: impl AsRef<Path>) -> Result<Summary, Error> {
        let name = name.as_ref();
        let local = |e: std::io::Error| {
            Error::new(ErrorKind::Local, format!("{} cannot be written: {e}", name.display()))
        };
        let mut draft = Draft::create(name).map_err(local)?;
        let mut run = self.run()?;
        while let Err(error) = run.write(&mut draft.file()) {
            if !run.start_over() {
                return Err(error);
            }
            drop(draft);
            draft = Draft::create(name).map_err(local)?;
        }
        draft.publish().map_err(local)?;
        run.end()
    }

    fn run(self) -> Result<Run, Error> {
        Run::new(&self.client, self.start, Box::new(Nothing))
    }
}

/// What became of each row of a load, in the order of the rows.
///
/// After an error there are outcomes of the rows before it and no more; see
/// [`summary`](Self::summary) for how many rows are in what state.
#[derive(Debug)]
pub struct Outcomes {
    run: Run,
    in_order: InOrder,
    ready: VecDeque<Outcome>,
}

impl Outcomes {
    /// What the load came to until now. Results are counted when they were read whole, so it lags
    /// behind what was given out, and is exact at the end.
    pub fn summary(&self) -> &Summary {
        self.run.job.summary()
    }

    /// What was said until now, if the [`Spec`] asked to [`record`](Spec::record) it.
    pub fn transcript(&self) -> Option<&Transcript> {
        self.run.job.transcript()
    }

    /// Stops the load: what has not started on the server never will. Go on reading to learn what
    /// became of every row.
    pub fn abort(&mut self) {
        self.run.job.abort();
    }

    /// Leaves the load where it is; see [`Load::leave_after`]. What follows is the error.
    pub fn leave(&mut self) {
        self.run.job.leave();
    }
}

impl Iterator for Outcomes {
    type Item = Result<Outcome, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(outcome) = self.ready.pop_front() {
                return Some(Ok(outcome));
            }
            if let Some(outcomes) = self.in_order.next() {
                self.ready = outcomes.into();
                continue;
            }
            match self.run.page() {
                Ok(Some(Page::Outcomes(outcomes))) => self.in_order.add(outcomes),
                Ok(Some(Page::Rows(_))) => {}
                Ok(None) => return self.run.end().err().map(Err),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// The rows of a query, in the server's order.
///
/// The last item is an error if the result was not whole; every row before it is good.
#[derive(Debug)]
pub struct Records<T> {
    run: Run,
    decoder: Decoder<T>,
}

impl<T> Records<T> {
    /// What the query came to until now. Results are counted when they were read whole, so it lags
    /// behind what was given out, and is exact at the end.
    pub fn summary(&self) -> &Summary {
        self.run.job.summary()
    }

    /// What was said until now, if the [`Spec`] asked to [`record`](Spec::record) it.
    pub fn transcript(&self) -> Option<&Transcript> {
        self.run.job.transcript()
    }

    /// Stops the query.
    pub fn abort(&mut self) {
        self.run.job.abort();
    }

    /// Leaves the query where it is; see [`Load::leave_after`]. What follows is the error.
    pub fn leave(&mut self) {
        self.run.job.leave();
    }
}

impl<T: DeserializeOwned> Iterator for Records<T> {
    type Item = Result<T, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(row) = self.decoder.next() {
                return Some(row);
            }
            match self.run.rows() {
                Ok(Some(rows)) => self.decoder.push(&rows),
                Ok(None) => return self.run.end().err().map(Err),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// A job under way, pulled by whoever wants its pages.
#[derive(Debug)]
struct Run {
    executor: Executor,
    job: Job,
    desk: Desk,
    /// Once it is over: whether all is well.
    over: Option<bool>,
}

/// The host of a run that is pulled: pages are laid down until they are taken.
struct Desk {
    source: Box<dyn Source + Send>,
    client: Client,
    /// The last one it was given.
    session: Session,
    pages: VecDeque<Page>,
    checkpoint: Option<CheckpointFile>,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").field("pages", &self.pages.len()).finish_non_exhaustive()
    }
}

impl Run {
    fn new(client: &Client, start: Start, source: Box<dyn Source + Send>) -> Result<Self, Error> {
        let (mut job, checkpoint) = start.job()?;
        // Asked before any row: who has no session should hear of it first, and of nothing else.
        let session = client.session(None)?;
        job.login(session.clone());
        let executor = Executor::new(client.transport.clone());
        let (client, pages) = (client.clone(), VecDeque::new());
        let desk = Desk { source, client, session, pages, checkpoint };
        Ok(Self { executor, job, desk, over: None })
    }

    /// The next page; `None` once all is well over.
    fn page(&mut self) -> Result<Option<Page>, Error> {
        loop {
            if let Some(page) = self.desk.pages.pop_front() {
                return Ok(Some(page));
            }
            if self.over.is_some() {
                return Ok(None);
            }
            if let Some(result) = self.executor.turn(&mut self.job, &mut self.desk) {
                self.over = Some(result.is_ok());
                result?;
            }
        }
    }

    fn rows(&mut self) -> Result<Option<Rows>, Error> {
        loop {
            match self.page()? {
                Some(Page::Rows(rows)) => return Ok(Some(rows)),
                Some(Page::Outcomes(_)) => {}
                None => return Ok(None),
            }
        }
    }

    /// Writes all rows as one document.
    fn write(&mut self, out: &mut impl Write) -> Result<(), Error> {
        let local = |e: std::io::Error| {
            Error::new(ErrorKind::Local, format!("the rows could not be written: {e}"))
        };
        let mut text = Text::new(self.job.spec().syntax());
        while let Some(rows) = self.rows()? {
            for piece in text.pieces(&rows) {
                out.write_all(piece).map_err(local)?;
            }
        }
        out.write_all(text.end(self.job.spec().columns()).as_bytes()).map_err(local)?;
        out.flush().map_err(local)
    }

    /// Begins a query anew that ended with an error, if that can help, for a caller who forgets the
    /// rows it was given.
    fn start_over(&mut self) -> bool {
        let again = self.job.start_over();
        if again {
            self.executor.cut_off();
            self.over = None;
        }
        again
    }

    /// All is over, and in the application's hands. If it is well, nobody will resume this run.
    fn end(&mut self) -> Result<Summary, Error> {
        let checkpoint = self.desk.checkpoint.take().filter(|_| self.over == Some(true));
        checkpoint.map_or(Ok(()), CheckpointFile::remove)?;
        Ok(self.job.summary().clone())
    }
}

impl Host for Desk {
    fn batch(&mut self, _ask: Ask) -> Result<Option<Batch>, Error> {
        self.source.batch()
    }

    fn page(&mut self, page: Page) -> Result<(), Error> {
        self.pages.push_back(page);
        Ok(())
    }

    fn login(&mut self, _expired: Option<&ErrorInfo>) -> Result<Session, Error> {
        self.session = self.client.session(Some(&self.session))?;
        Ok(self.session.clone())
    }

    fn note(&mut self, note: Note, summary: &Summary) -> Result<(), Error> {
        (self.client.on_note)(&note, summary);
        Ok(())
    }

    fn save(&mut self, checkpoint: &Checkpoint) -> Result<(), Error> {
        self.checkpoint.as_mut().map_or(Ok(()), |file| file.save(checkpoint))
    }
}

/// The source of a query: it has no rows to give.
struct Nothing;

impl Source for Nothing {
    fn batch(&mut self) -> Result<Option<Batch>, Error> {
        Ok(None)
    }
}
