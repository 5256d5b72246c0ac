//! The front door: loads and queries as streams.
//!
//! A stream *is* the run. Polling it turns the loop, so a slow consumer slows the load down, and
//! dropping it stops the run where it is: nothing more is sent, and what was under way is cut off.
//! The job is then left open in the org, which works off the batches it has and closes it by age.
//! To leave in good order, call `abort` and read on to the end.

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use blocking::unblock;
use futures_core::Stream;
use futures_io::{AsyncRead, AsyncWrite};
use futures_lite::{AsyncWriteExt, stream};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sfbulk::login::Login;
use sfbulk::rows::{BINARY_FIELDS, Cutter, Decoder, InOrder, Limits, Outcome, Rows, Text};
use sfbulk::{
    ContentType, Error, ErrorKind, Host, Job, Note, Page, Session, Spec, Summary, Transcript, Turn,
};
use sfbulk_draft::{FileSource, Start};

use crate::calls::{Calls, Event};
use crate::file;
use crate::keeper;
use crate::net::Mutex;
use crate::run::Run;
use crate::source::{Csv, Files, Nothing, Source, Values};
use crate::tls::Tls;
use crate::transport::{Settings, Transport};

/// A login under way.
pub(crate) type LoggingIn = Pin<Box<dyn Future<Output = Result<Session, Error>> + Send>>;

/// Gives a session, another one than that which has expired.
type LogIn = dyn Fn(Transport, Option<Session>) -> LoggingIn + Send + Sync;
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
pub async fn session_from_env() -> Result<Session, Error> {
    Session::from_vars(|name| std::env::var(name).ok())
}

impl Client {
    /// Access to the org whose sessions `login` gives: [`session_from_env`], or a closure whose
    /// future logs in. It is called at the beginning of each run, and whenever a session has
    /// expired.
    ///
    /// TLS is verified with the platform's roots; the proxy is the environment's (`HTTPS_PROXY`,
    /// `ALL_PROXY`, `NO_PROXY`).
    pub fn new<F>(login: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Session, Error>> + Send + 'static,
    {
        Self::with(move |_, _| Box::pin(login()))
    }

    /// Access to the org that `login` logs in to, with the client's time-outs, proxy and trust. All
    /// clones and runs share the session. One that has expired is renewed once, whoever notices it,
    /// and a login that was refused for good is not tried again.
    ///
    /// ```no_run
    /// use sfbulk_async_std::Client;
    /// use sfbulk_async_std::login::{App, Login, LoginServer};
    ///
    /// let server = LoginServer::at("https://acme.my.salesforce.com")?;
    /// let token = std::env::var("SF_REFRESH_TOKEN").unwrap_or_default();
    /// let login = Login::refresh_token(server, App::new("3MVG9…"), token);
    /// let org = Client::logging_in(login.on_refresh_token(|new| store(new.reveal())));
    /// # fn store(_: &str) -> Result<(), sfbulk_async_std::Error> { Ok(()) }
    /// # Ok::<(), sfbulk_async_std::Error>(())
    /// ```
    pub fn logging_in(login: Login) -> Self {
        let login = Arc::new(Mutex::new(login));
        Self::with(move |transport, expired| {
            let login = Arc::clone(&login);
            Box::pin(async move {
                // Whoever comes second waits here, and is given the first one's session.
                let mut login = login.lock().await;
                transport.log_in(&mut login, expired.as_ref()).await
            })
        })
    }

    fn with(
        log_in: impl Fn(Transport, Option<Session>) -> LoggingIn + Send + Sync + 'static,
    ) -> Self {
        let on_note = Arc::new(|_: &Note, _: &Summary| {});
        let transport = Transport::new(Settings::default());
        Self { transport, log_in: Arc::new(log_in), on_note }
    }

    /// A session of the org, another one than that which has `expired`: for a [`Host`] of your own.
    pub async fn session(&self, expired: Option<Session>) -> Result<Session, Error> {
        self.log_in(expired).await
    }

    /// Trusts these certificate authorities too, besides the platform's: a PEM text, for an org
    /// behind an inspecting proxy.
    ///
    /// Fails with [`ErrorKind::Usage`] if the text holds no certificate.
    pub fn trusting(mut self, pem: &[u8]) -> Result<Self, Error> {
        let tls = Tls::with_extra(pem)?;
        self.transport = Transport::new(Settings { tls, ..self.transport.settings() });
        Ok(self)
    }

    /// Other bounds than 30 s on how long a connection may take to be made (TLS included), and than
    /// 120 s on how long the server may be silent. A call that passes the second one is lost, so a
    /// short one is for tests and for services that are known to be quick.
    #[must_use]
    pub fn timeouts(mut self, connect: Duration, silence: Duration) -> Self {
        self.transport = Transport::new(Settings { connect, silence, ..self.transport.settings() });
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
    pub async fn query_csv(
        &self,
        soql: impl Into<String>,
        out: &mut (impl AsyncWrite + Unpin),
    ) -> Result<Summary, Error> {
        self.fetch(Spec::query(soql)).write(out).await
    }

    /// Writes the rows of a query into a file; see [`Query::file`].
    pub async fn query_file(
        &self,
        soql: impl Into<String>,
        name: impl AsRef<Path>,
    ) -> Result<Summary, Error> {
        self.fetch(Spec::query(soql)).file(name).await
    }

    /// Any query, from a [`Spec`]: [`Spec::query_all`], or one with bounds, seed or version of your
    /// own; and one that keeps a checkpoint, or may take only so long.
    ///
    /// A table of many millions, split by the server into chunks:
    ///
    /// ```no_run
    /// use sfbulk_async_std::{PkChunking, Spec};
    ///
    /// # async fn extract(org: sfbulk_async_std::Client) -> Result<(), sfbulk_async_std::Error> {
    /// let chunks = PkChunking { size: Some(250_000), ..PkChunking::default() };
    /// let query = Spec::query("SELECT Id, Name FROM Account").pk_chunking(chunks);
    /// org.fetch(query).file("accounts.csv").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn fetch(&self, spec: Spec) -> Query {
        Query { client: self.clone(), start: Start::new(spec) }
    }

    /// Drives a job of your own, with a host of your own, over this client's connections. The host
    /// logs in and hears the notes; its methods are called in between, and should not take long.
    ///
    /// Dropping the future stops the run where it is; the job is then spent, since nobody will ever
    /// answer the calls that were under way.
    pub async fn run(&self, job: &mut Job, host: &mut impl Host) -> Result<Summary, Error> {
        let mut calls = Calls::new(self.transport());
        loop {
            match job.turn(calls.now(), host) {
                None => {}
                Some(Turn::Send(call)) => calls.begin(call),
                Some(Turn::Wait(until)) => match poll_fn(|cx| calls.poll(cx, until)).await {
                    Event::Page(tag, page) => job.deliver(tag, page, host),
                    Event::Reply(tag, reply) => job.reply(tag, calls.now(), reply),
                    Event::Time => {}
                },
                Some(Turn::Done(result)) => return result,
            }
        }
    }

    pub(crate) fn transport(&self) -> Transport {
        self.transport.clone()
    }

    pub(crate) fn log_in(&self, expired: Option<Session>) -> LoggingIn {
        (self.log_in)(self.transport(), expired)
    }

    pub(crate) fn note(&self, note: &Note, summary: &Summary) {
        (self.on_note)(note, summary);
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
    /// dropped stream. It holds neither records nor a session, and can be read by its owner alone.
    /// When all has ended well and the last outcome was taken, it is removed.
    ///
    /// The file comes when the job was created. Meanwhile `<name>.lock` keeps other processes away.
    ///
    /// Fails with [`ErrorKind::Usage`] if the file is there, since an unfinished run may need it,
    /// and with [`ErrorKind::Local`] if it cannot be, or another run has it.
    pub async fn checkpoint_to(mut self, name: impl AsRef<Path>) -> Result<Self, Error> {
        self.start = keeper::checkpoint_to(self.start, name.as_ref()).await?;
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
    pub async fn resume_from(mut self, name: impl AsRef<Path>) -> Result<Self, Error> {
        self.start = keeper::resume_from(self.start, name.as_ref()).await?;
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
    pub fn csv(self, reader: impl AsyncRead + Send + 'static) -> Result<Outcomes, Error> {
        self.start.takes_csv()?;
        let cutter = Cutter::new(self.limits);
        let cutter = match self.columns.clone() {
            Some(columns) => cutter.keep_only(columns),
            None => cutter,
        };
        self.from(Csv::new(reader, cutter))
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
    /// # use futures_lite::StreamExt as _;
    /// # use sfbulk_async_std::{Client, session_from_env};
    /// use sfbulk::ContentType;
    ///
    /// #[derive(serde::Serialize)]
    /// #[serde(rename_all = "PascalCase")]
    /// struct Contact { last_name: &'static str, phone: Option<&'static str>, account: Account }
    ///
    /// #[derive(serde::Serialize)]
    /// struct Account { #[serde(rename = "Erp_Key__c")] key: &'static str }
    ///
    /// # async fn load() -> Result<(), sfbulk::Error> {
    /// let client = Client::new(session_from_env);
    /// let rows = [Contact { last_name: "King", phone: Some("#N/A"), account: Account { key: "A-17" } }];
    /// // Sent as {"LastName":"King","Phone":null,"Account":{"Erp_Key__c":"A-17"}}
    /// let mut outcomes = client.insert("Contact").content_type(ContentType::Json).rows(rows)?;
    /// while let Some(outcome) = outcomes.next().await {
    ///     println!("{:?}", outcome?.id);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn rows<I>(self, rows: I) -> Result<Outcomes, Error>
    where
        I: IntoIterator<IntoIter: Send + 'static, Item: Serialize + Send + 'static>,
    {
        self.stream(stream::iter(rows))
    }

    /// Loads [`rows`](Self::rows) that come one by one, from a database or another query.
    pub fn stream<S>(self, rows: S) -> Result<Outcomes, Error>
    where
        S: Stream<Item: Serialize + Send + 'static> + Send + 'static,
    {
        self.start.takes_rows()?;
        let source = Values::new(self.start.spec.syntax(), rows, self.limits);
        self.from(source)
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
    /// Threads of a pool read and pack them, a batch at a time.
    pub async fn files<I>(self, folder: impl AsRef<Path>, rows: I) -> Result<Outcomes, Error>
    where
        I: IntoIterator<IntoIter: Send + 'static, Item: Serialize + Send + 'static>,
    {
        let (spec, limits) = (self.start.spec.clone(), self.limits);
        let (folder, rows) = (folder.as_ref().to_owned(), rows.into_iter().map(Ok));
        let opened = unblock(move || FileSource::open(&spec, limits, &folder, rows)).await;
        let source = opened?.binary(self.binary.clone());
        self.from(Files::new(source))
    }

    fn from(self, source: impl Source + 'static) -> Result<Outcomes, Error> {
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
    pub async fn checkpoint_to(mut self, name: impl AsRef<Path>) -> Result<Self, Error> {
        self.start = keeper::checkpoint_to(self.start, name.as_ref()).await?;
        Ok(self)
    }

    /// Goes on with the query whose checkpoint is in this file, and keeps it there on. Every row
    /// comes again, from the first; the org works them out again only if it was not stored yet that
    /// it had begun to.
    ///
    /// Fails as [`Load::resume_from`] does, and if it is another query.
    pub async fn resume_from(mut self, name: impl AsRef<Path>) -> Result<Self, Error> {
        self.start = keeper::resume_from(self.start, name.as_ref()).await?;
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
    /// use futures_lite::StreamExt;
    /// use sfbulk_async_std::rows::Moment;
    /// use sfbulk_async_std::{Client, ContentType, Spec, session_from_env};
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
    /// # futures_lite::future::block_on(async {
    /// let events: Vec<Event> = query.records()?.try_collect().await?;
    /// # Ok::<(), sfbulk_async_std::Error>(())
    /// # })?;
    /// # Ok::<(), sfbulk_async_std::Error>(())
    /// ```
    pub fn records<T: DeserializeOwned>(self) -> Result<Records<T>, Error> {
        Ok(Records { run: self.run()?, decoder: Decoder::new() })
    }

    /// Writes the rows as the server wrote them, as one document of the format that the [`Spec`]
    /// asks for: a CSV text with one header, a JSON list, a `queryResult` in XML. If this fails,
    /// or is dropped half-way, what was written is not the whole result.
    pub async fn write(self, out: &mut (impl AsyncWrite + Unpin)) -> Result<Summary, Error> {
        let local = |e: std::io::Error| {
            Error::new(ErrorKind::Local, format!("the rows could not be written: {e}"))
        };
        let mut run = self.run()?;
        let mut text = Text::new(run.job().spec().syntax());
        while let Some(rows) = poll_fn(|cx| poll_rows(&mut run, cx)).await {
            for piece in text.pieces(&rows?) {
                out.write_all(piece).await.map_err(local)?;
            }
        }
        out.write_all(text.end(run.job().spec().columns()).as_bytes()).await.map_err(local)?;
        out.flush().await.map_err(local)?;
        poll_fn(|cx| run.poll_end(cx)).await
    }

    /// Writes the rows, as [`write`](Self::write) does, into a file that has its name only once the
    /// result is whole and on the disk; until then it is called `<name>.partial`. If this fails, or
    /// is dropped half-way, there is no file, or the one that had the name before.
    ///
    /// No task waits for the disk: a pool of threads does what blocks, one thing at a time for each
    /// file. If this is dropped while the file, whole by then, is getting its name, it may get it.
    pub async fn file(self, name: impl AsRef<Path>) -> Result<Summary, Error> {
        let name = name.as_ref();
        let local = |e: std::io::Error| {
            Error::new(ErrorKind::Local, format!("{} cannot be written: {e}", name.display()))
        };
        let mut draft = file::create(name).await.map_err(local)?;
        let mut run = self.run()?;
        let syntax = run.job().spec().syntax();
        let mut writer = file::Writer::new(&draft, syntax).map_err(local)?;
        while let Some(rows) = poll_fn(|cx| poll_rows(&mut run, cx)).await {
            match rows {
                Ok(rows) => writer.write(rows).await.map_err(local)?,
                Err(error) if !run.start_over() => return Err(error),
                Err(_) => {
                    drop((writer, draft));
                    draft = file::create(name).await.map_err(local)?;
                    writer = file::Writer::new(&draft, syntax).map_err(local)?;
                }
            }
        }
        writer.end(run.job().spec().columns()).await.map_err(local)?;
        file::publish(draft).await.map_err(local)?;
        poll_fn(|cx| run.poll_end(cx)).await
    }

    fn run(self) -> Result<Run, Error> {
        Run::new(&self.client, self.start, Nothing)
    }
}

/// What became of each row of a load, in the order of the rows.
///
/// After an error there are outcomes of the rows before it and no more; see
/// [`summary`](Self::summary) for how many rows are in what state.
pub struct Outcomes {
    run: Run,
    in_order: InOrder,
    ready: VecDeque<Outcome>,
}

impl Outcomes {
    /// What the load came to until now. Results are counted when they were read whole, so it lags
    /// behind what was given out, and is exact at the end.
    pub fn summary(&self) -> &Summary {
        self.run.job().summary()
    }

    /// What was said until now, if the [`Spec`] asked to [`record`](Spec::record) it.
    pub fn transcript(&self) -> Option<&Transcript> {
        self.run.job().transcript()
    }

    /// Stops the load: what has not started on the server never will. Go on reading to learn what
    /// became of every row.
    pub fn abort(&mut self) {
        self.run.abort();
    }

    /// Leaves the load where it is; see [`Load::leave_after`]. What follows is the error.
    pub fn leave(&mut self) {
        self.run.leave();
    }
}

impl Stream for Outcomes {
    type Item = Result<Outcome, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(outcome) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(outcome)));
            }
            if let Some(outcomes) = self.in_order.next() {
                self.ready = outcomes.into();
                continue;
            }
            match ready!(self.run.poll_page(cx)) {
                Some(Ok(Page::Outcomes(outcomes))) => self.in_order.add(outcomes),
                Some(Ok(Page::Rows(_))) => {}
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return self.run.poll_end(cx).map(|end| end.err().map(Err)),
            }
        }
    }
}

impl fmt::Debug for Outcomes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outcomes").field("job", self.run.job()).finish_non_exhaustive()
    }
}

/// The rows of a query, in the server's order.
///
/// The last item is an error if the result was not whole; every row before it is good.
pub struct Records<T> {
    run: Run,
    decoder: Decoder<T>,
}

impl<T> Records<T> {
    /// What the query came to until now. Results are counted when they were read whole, so it lags
    /// behind what was given out, and is exact at the end.
    pub fn summary(&self) -> &Summary {
        self.run.job().summary()
    }

    /// What was said until now, if the [`Spec`] asked to [`record`](Spec::record) it.
    pub fn transcript(&self) -> Option<&Transcript> {
        self.run.job().transcript()
    }

    /// Stops the query.
    pub fn abort(&mut self) {
        self.run.abort();
    }

    /// Leaves the query where it is; see [`Load::leave_after`]. What follows is the error.
    pub fn leave(&mut self) {
        self.run.leave();
    }
}

impl<T: DeserializeOwned> Stream for Records<T> {
    type Item = Result<T, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(row) = self.decoder.next() {
                return Poll::Ready(Some(row));
            }
            match ready!(poll_rows(&mut self.run, cx)) {
                Some(Ok(rows)) => self.decoder.push(&rows),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return self.run.poll_end(cx).map(|end| end.err().map(Err)),
            }
        }
    }
}

impl<T> fmt::Debug for Records<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records").field("job", self.run.job()).finish_non_exhaustive()
    }
}

/// The next page of a query's run.
fn poll_rows(run: &mut Run, cx: &mut Context<'_>) -> Poll<Option<Result<Rows, Error>>> {
    loop {
        match ready!(run.poll_page(cx)) {
            Some(Ok(Page::Rows(rows))) => return Poll::Ready(Some(Ok(rows))),
            Some(Ok(Page::Outcomes(_))) => {}
            Some(Err(error)) => return Poll::Ready(Some(Err(error))),
            None => return Poll::Ready(None),
        }
    }
}
