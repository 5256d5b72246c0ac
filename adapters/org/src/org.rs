//! The org: a database, a clock that the caller drives, and `handle`.

use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderValue, LOCATION, WARNING};
use http::{Request, Response, StatusCode};
use rusqlite::Connection;
use sfbulk::Time;

use crate::answer::{self, Refusal};
use crate::calendar;
use crate::config::Config;
use crate::documents::{self, Wire};
use crate::error::OrgError;
use crate::format::Format;
use crate::gzip;
use crate::headers;
use crate::ids;
use crate::jobs::{Batch, Job, Operation, Phase};
use crate::route::{self, Route};
use crate::schema::{self, Schema};
use crate::trouble::Troubles;
use crate::usage::Usage;
use crate::wanted::{
    Wanted, assignment_rule, brief, check_archive_type, check_batch_type, document_wire,
    media_type, read_document, wanted_state,
};
use crate::{login, rest, store, transform, work};

/// Objects that every org has and the Bulk API does not take (some of them).
const NOT_BULK: [&str; 8] = [
    "AcceptedEventRelation",
    "CaseStatus",
    "ContractStatus",
    "DeclinedEventRelation",
    "PartnerRole",
    "RecentlyViewed",
    "TaskPriority",
    "TaskStatus",
];

/// What is said beside each answer of a version that will be retired.
const DEPRECATED: HeaderValue =
    HeaderValue::from_static("299 - \"This API version is deprecated and will be retired.\"");

/// A practice org. See the crate's first page.
#[derive(Debug)]
pub struct Org {
    pub(crate) db: Connection,
    pub(crate) schema: Schema,
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    pub(crate) troubles: Troubles,
    session: String,
    sessions: u64,
    pub(crate) usage: Usage,
    /// REST queries that can be gone on with.
    pub(crate) cursors: VecDeque<rest::Cursor>,
    /// What logins were given.
    pub(crate) given: login::Given,
}

/// The org's time in milliseconds since 1970: the caller's, set off, and never going back.
#[derive(Debug)]
pub(crate) struct Clock {
    origin: i64,
    last: i64,
}

impl Clock {
    pub(crate) fn at(&mut self, now: Time) -> i64 {
        let elapsed = i64::try_from(now.elapsed().as_millis()).unwrap_or(i64::MAX);
        self.last = self.last.max(self.origin.saturating_add(elapsed).min(MOST));
        self.last
    }
}

/// The end of the year 9999; sums of moments and latencies stay far from overflow.
const MOST: i64 = 253_402_300_799_999;

impl Org {
    /// A new org in memory; it is gone when dropped.
    pub fn in_memory() -> Result<Self, OrgError> {
        Self::in_memory_with(Config::new())
    }

    /// The same, with settings.
    pub fn in_memory_with(config: Config) -> Result<Self, OrgError> {
        Self::start(Connection::open_in_memory()?, config)
    }

    /// The org kept in a file; a new one if there is no such file. Only one process can have it
    /// open.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OrgError> {
        Self::open_with(path, Config::new())
    }

    /// The same, with settings.
    pub fn open_with(path: impl AsRef<Path>, config: Config) -> Result<Self, OrgError> {
        Self::start(Connection::open(path)?, config)
    }

    fn start(db: Connection, config: Config) -> Result<Self, OrgError> {
        config.check()?;
        let schema = store::prepare(&db)?;
        let epoch = millis(config.epoch);
        let origin = store::clock(&db)?.map_or(epoch, |stopped| stopped.max(epoch));
        let session = config.session.clone();
        let clock = Clock { origin, last: origin };
        Ok(Self {
            db,
            schema,
            config,
            clock,
            troubles: Troubles::default(),
            session,
            sessions: 1,
            usage: Usage::default(),
            cursors: VecDeque::new(),
            given: login::Given::default(),
        })
    }

    /// The session id clients must send in `X-SFDC-Session`.
    pub fn session(&self) -> &str {
        &self.session
    }

    /// Ends the session, as hours of work or an administrator would: the old id is refused from now
    /// on. Returns the new one.
    pub fn expire_session(&mut self) -> &str {
        self.sessions += 1;
        self.session = format!("{}.{}", self.config.session, self.sessions);
        &self.session
    }

    /// What the request that created a job said in a header that is kept with it:
    /// `Sforce-Enable-PKChunking`, `Sforce-Line-Ending`, `Sforce-Disable-Batch-Retry` or
    /// `Sforce-Call-Options`.
    pub fn header(&self, job: &str, name: &str) -> Option<String> {
        let job = self.job(job).ok()?;
        store::said(&self.db, job.n, &name.to_ascii_lowercase()).ok().flatten()
    }

    /// Answers a request at a moment of the caller's clock. The same requests at the same moments
    /// get the same answers, byte for byte, from any org that began the same; a moment before an
    /// earlier one counts as that.
    pub fn handle(&mut self, now: Time, request: Request<Bytes>) -> Response<Bytes> {
        let now = self.arrive(now);
        let packed = gzip::wanted(request.headers());
        let response = self.respond(now, request);
        if packed { gzip::pack(response) } else { response }
    }

    /// The answer to a request at a moment of the org's clock, unpacked.
    pub(crate) fn respond(&mut self, now: i64, request: Request<Bytes>) -> Response<Bytes> {
        let (head, body) = request.into_parts();
        if let Some(place) = login::Place::of(&head.method, head.uri.path()) {
            return login::respond(self, now, place, &head, &body);
        }
        let Some(parts) = route::parts(head.uri.path()) else {
            return rest::respond(self, now, &head);
        };
        let mut response = self.answer(now, &head, &parts, body).unwrap_or_else(|refusal| {
            refusal.response(self.wire_of_refusal(&head.headers, &parts))
        });
        if parts.first().is_some_and(|version| route::is_deprecated(version)) {
            response.headers_mut().insert(WARNING, DEPRECATED);
        }
        response
    }

    /// Refuses a request without looking at it.
    pub(crate) fn refuse(&self, request: &Request<Bytes>, refusal: &Refusal) -> Response<Bytes> {
        if let Some(place) = login::Place::of(request.method(), request.uri().path()) {
            return login::refuse(place, refusal);
        }
        let parts = route::parts(request.uri().path()).unwrap_or_default();
        refusal.response(self.wire_of_refusal(request.headers(), &parts))
    }

    fn answer(
        &mut self,
        now: i64,
        head: &http::request::Parts,
        parts: &[&str],
        body: Bytes,
    ) -> Result<Response<Bytes>, Refusal> {
        let body = gzip::unpack(&head.headers, body, self.config.max_body)?;
        self.check_session(&head.headers)?;
        self.check_permissions()?;
        self.count_request(now)?;
        let (version, parts) = parts.split_first().unwrap_or((&"", &[]));
        let version = route::version(version)?;
        let route = route::route(&head.method, parts)?;
        work::settle(self, now)?;
        if let Route::CreateJob = route {
            return self.create(now, version, &head.headers, &body);
        }
        let job = self.job(route.job().unwrap_or_default())?;
        if job.version != version {
            let message =
                format!("The job was created with version {}, not {version}", job.version);
            return Err(Refusal::bad("InvalidVersion", message));
        }
        match route {
            Route::CreateJob | Route::Job { .. } => {
                self.job_info(now, &job, job.wire(), StatusCode::OK)
            }
            Route::UpdateJob { .. } => self.update(now, job, &head.headers, &body),
            Route::AddBatch { .. } => self.add(now, job, &head.headers, &body),
            Route::Spec { .. } => self.add_spec(now, &job, &head.headers, &body),
            Route::Batches { .. } => {
                let batches = Batch::all(&self.db, job.n)?;
                let mut facts = batches.iter().map(|batch| batch.facts(now)).collect();
                self.troubles.distort(&mut facts);
                Ok(answer::control(
                    StatusCode::OK,
                    job.wire(),
                    documents::batch_list(job.wire(), &facts),
                ))
            }
            Route::Batch { batch, .. } => {
                let batch = self.batch(&job, batch)?;
                Ok(batch_info(now, &job, &batch, StatusCode::OK))
            }
            Route::Request { batch, .. } => {
                let batch = self.batch(&job, batch)?;
                let media =
                    if job.zip { job.content.archive_type() } else { job.content.media_type() };
                Ok(answer::typed(StatusCode::OK, media, store::request(&self.db, batch.n)?.into()))
            }
            Route::Result { batch, .. } => self.result(now, &job, batch),
            Route::File { batch, file, .. } => self.file(now, &job, batch, file),
        }
    }

    /// Which syntax a refusal has: the job's where the path names one, else the request's.
    fn wire_of_refusal(&self, headers: &HeaderMap, parts: &[&str]) -> Wire {
        let job = parts.get(2).and_then(|id| self.job(id).ok());
        match job {
            Some(job) => job.wire(),
            None if media_type(headers).as_deref() == Some("application/json") => Wire::Json,
            None => Wire::Xml,
        }
    }

    fn check_session(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        match headers.get("x-sfdc-session") {
            Some(sent) if sent.as_bytes() == self.session.as_bytes() => Ok(()),
            Some(_) => Err(Refusal::bad("InvalidSessionId", "Invalid session id")),
            None => Err(Refusal::bad("InvalidSessionId", "Unable to find session id")),
        }
    }

    fn check_permissions(&self) -> Result<(), Refusal> {
        let may = &self.config.permissions;
        if !may.api {
            return Err(Refusal::bad("InvalidUser", "The user is not allowed to use the API"));
        }
        if !may.bulk_api {
            let message = "Async API is not enabled for this organization";
            return Err(Refusal::bad("FeatureNotEnabled", message));
        }
        Ok(())
    }

    /// Counts a request against the day's allocation, or refuses it.
    pub(crate) fn count_request(&mut self, now: i64) -> Result<(), Refusal> {
        if self.usage.of_a_day(now) >= self.config.limits.daily_requests {
            let refusal = Refusal::bad("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.");
            return Err(refusal.with_status(StatusCode::FORBIDDEN));
        }
        self.usage.count(now);
        Ok(())
    }

    pub(crate) fn job(&self, id: &str) -> Result<Job, Refusal> {
        let number = ids::number(ids::JOB, id);
        let found = number.map(|n| Job::find(&self.db, n)).transpose()?.flatten();
        let found = found.map(|job| self.is_kept(&job).map(|kept| kept.then_some(job)));
        let found = found.transpose()?.flatten();
        found.ok_or_else(|| Refusal::bad("InvalidJob", format!("Invalid job id: {}", brief(id))))
    }

    /// A job is known for a while after its youngest batch, or its creation, and never again.
    fn is_kept(&self, job: &Job) -> rusqlite::Result<bool> {
        let oldest = self.clock.last.saturating_sub(millis(self.config.limits.retention));
        Ok(job.created >= oldest || Batch::youngest(&self.db, job.n)? >= Some(oldest))
    }

    fn batch(&self, job: &Job, id: &str) -> Result<Batch, Refusal> {
        let number = ids::number(ids::BATCH, id);
        let found = number.map(|n| Batch::find(&self.db, job.n, n)).transpose()?.flatten();
        found
            .ok_or_else(|| Refusal::bad("InvalidBatch", format!("Invalid batch id: {}", brief(id))))
    }

    fn job_info(
        &self,
        now: i64,
        job: &Job,
        wire: Wire,
        status: StatusCode,
    ) -> Result<Response<Bytes>, Refusal> {
        let facts = job.facts(&self.db, now)?;
        Ok(answer::control(status, wire, documents::document(wire, "jobInfo", &facts)))
    }

    fn create(
        &mut self,
        now: i64,
        version: &str,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Response<Bytes>, Refusal> {
        let wire = document_wire(headers)?;
        let wanted = Wanted::read(&read_document(wire, body)?)?;
        self.check_operation(wanted.operation, version)?;
        let object = self.object(&wanted.object)?;
        let external = self.external(&wanted, &object)?;
        let rule = assignment_rule(&wanted, &object)?;
        let job = Job {
            n: 0,
            operation: wanted.operation,
            object,
            external,
            serial: wanted.serial,
            content: wanted.content,
            zip: wanted.zip,
            version: version.to_owned(),
            rule,
            state: "Open".into(),
            created: now,
            modified: now,
        };
        let kept = headers::kept(headers, job.operation, self.schema.object(&job.object))?;
        let change = self.db.unchecked_transaction()?;
        let job = job.insert(&change)?;
        kept.iter().try_for_each(|(name, value)| store::say(&change, job.n, name, value))?;
        store::set_clock(&change, now)?;
        change.commit()?;
        self.job_info(now, &job, wire, StatusCode::CREATED)
    }

    fn check_operation(&self, operation: Operation, version: &str) -> Result<(), Refusal> {
        match operation {
            Operation::HardDelete if !self.config.permissions.hard_delete => Err(Refusal::bad(
                "FeatureNotEnabled",
                "hardDelete operation requires special user profile permission, please contact your system administrator",
            )),
            // Two digits and a zero: texts compare as numbers.
            Operation::QueryAll if version < "39.0" => {
                let message = format!("queryAll is not allowed in version {version}");
                Err(Refusal::bad("InvalidOperation", message))
            }
            _ => Ok(()),
        }
    }

    /// The object a job names, as the schema spells it; a custom one is made on first use.
    fn object(&mut self, name: &str) -> Result<String, Refusal> {
        if let Some(object) = self.schema.object(name) {
            return Ok(object.name.clone());
        }
        if let Some(name) = NOT_BULK.iter().find(|known| known.eq_ignore_ascii_case(name)) {
            let message = format!("Entity '{name}' is not supported by the Bulk API.");
            return Err(Refusal::bad("InvalidEntity", message));
        }
        let unknown =
            || Refusal::bad("InvalidJob", format!("Unable to find object: {}", brief(name)));
        let customs = self.schema.objects().iter().filter(|object| object.is_custom()).count();
        if !schema::is_custom_name(name) || customs >= self.config.limits.custom_objects {
            return Err(unknown());
        }
        store::add_object(&self.db, &mut self.schema, name)?.ok_or_else(unknown)
    }

    /// The key of an upsert, as the schema spells it; a custom one is made, and indexed, on first
    /// use.
    fn external(&mut self, wanted: &Wanted, object: &str) -> Result<Option<String>, Refusal> {
        let bad = |message| Err(Refusal::bad("InvalidJob", message));
        let name = match (&wanted.external, wanted.operation) {
            (None, Operation::Upsert) => {
                return bad(format!(
                    "External ID was blank for {object}. An External ID must be specified for upsert."
                ));
            }
            (Some(_), operation) if operation != Operation::Upsert => {
                return bad("External ID can only be specified for upsert".into());
            }
            (None, _) => return Ok(None),
            (Some(name), _) => name,
        };
        let field = store::ensure_field(&self.db, &mut self.schema, object, name)?;
        match field.filter(schema::Field::is_key) {
            Some(field) => {
                store::index(&self.db, object, &field)?;
                Ok(Some(field.name))
            }
            None => bad(format!(
                "Field name provided, {} does not match an External ID, Salesforce Id, or indexed field for {object}",
                brief(name)
            )),
        }
    }

    /// Closes or aborts a job; nothing else about it can change.
    fn update(
        &mut self,
        now: i64,
        mut job: Job,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Response<Bytes>, Refusal> {
        let wire = document_wire(headers)?;
        let wanted = wanted_state(&job, &read_document(wire, body)?)?;
        let refused = |message: String| Err(Refusal::bad("InvalidJobState", message));
        let was = job.state.to_ascii_lowercase();
        match (wanted.as_str(), job.state.as_str()) {
            ("Closed", "Open") | ("Aborted", "Open" | "Closed") => {}
            ("Closed", "Closed") => {
                return refused("Closing already closed Job not allowed".into());
            }
            ("Closed", _) => return refused(format!("Closing already {was} Job not allowed")),
            ("Aborted", _) => return refused(format!("Aborting already {was} Job not allowed")),
            (other, _) => return refused(format!("Invalid job state: {}", brief(other))),
        }
        let change = self.db.unchecked_transaction()?;
        if wanted == "Aborted" {
            Batch::forget_queued(&change, job.n, now)?;
        }
        job.set_state(&change, &wanted, now)?;
        store::set_clock(&change, now)?;
        change.commit()?;
        let answers_json = wire == Wire::Json || job.wire() == Wire::Json;
        self.job_info(now, &job, if answers_json { Wire::Json } else { Wire::Xml }, StatusCode::OK)
    }

    fn add(
        &mut self,
        now: i64,
        mut job: Job,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Response<Bytes>, Refusal> {
        if job.zip {
            check_archive_type(job.content, headers)?;
        } else {
            check_batch_type(job.content, headers)?;
        }
        if job.state != "Open" {
            let message = format!("Job already {}", job.state.to_ascii_lowercase());
            return Err(Refusal::bad("InvalidJobState", message));
        }
        if now - job.created > millis(self.config.limits.job_open) {
            let message = "Job has been open for too long to take another batch";
            return Err(Refusal::bad("InvalidJobState", message));
        }
        if body.trim_ascii().is_empty() {
            return Err(Refusal::bad(
                "ClientInputError",
                "Unable to find any data to create batch",
            ));
        }
        if Batch::added_since(&self.db, now - calendar::DAY)? >= self.config.limits.daily_batches {
            return Err(answer::quota());
        }
        let latency = millis(self.config.latency);
        let change = self.db.unchecked_transaction()?;
        let batch = Batch::insert(&change, &job, body, now, latency)?;
        job.touch(&change, now)?;
        store::set_clock(&change, now)?;
        change.commit()?;
        let fate = self.troubles.take_fate();
        self.troubles.seal(batch.n, fate);
        // Even without latency the answer is `Queued`: nothing is looked at before the next request.
        let mut response = batch_info(now.min(batch.ends - 1), &job, &batch, StatusCode::CREATED);
        let path = format!("/services/async/{}/job/{}/batch/{}", job.version, job.id(), batch.id());
        if let Ok(path) = HeaderValue::try_from(path) {
            response.headers_mut().insert(LOCATION, path);
        }
        Ok(response)
    }

    /// Keeps a transformation spec with its job; the answer is empty. A second one takes the place
    /// of the first, until there are batches.
    fn add_spec(
        &mut self,
        now: i64,
        job: &Job,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Response<Bytes>, Refusal> {
        check_batch_type(Format::Csv, headers)?;
        if job.content != Format::Csv || job.zip || job.operation.is_query() {
            let message = "A transformation spec is for loads of contentType CSV";
            return Err(Refusal::bad("InvalidJob", message));
        }
        if job.state != "Open" || Batch::youngest(&self.db, job.n)?.is_some() {
            let message = "A transformation spec must come before the first batch";
            return Err(Refusal::bad("InvalidJobState", message));
        }
        let bad = |message: String| Refusal::bad("ClientInputError", message);
        let text = std::str::from_utf8(body).map_err(|_| bad("The spec is not UTF-8".into()))?;
        transform::check(text).map_err(bad)?;
        store::say(&self.db, job.n, transform::NAME, text)?;
        store::set_clock(&self.db, now)?;
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = StatusCode::CREATED;
        Ok(response)
    }

    /// The result of a batch: outcomes for records, a list of files for a query.
    fn result(&self, now: i64, job: &Job, batch: &str) -> Result<Response<Bytes>, Refusal> {
        let batch = self.done(now, job, batch)?;
        let files = store::files(&self.db, batch.n)?;
        if job.operation.is_query() {
            let files: Vec<String> = files.iter().map(|n| ids::short(ids::RESULT, *n)).collect();
            let body = documents::result_list(job.wire(), &files);
            return Ok(answer::control(StatusCode::OK, job.wire(), body));
        }
        match files.first() {
            Some(file) => self.stored(job, *file),
            None => Err(Refusal::bad("InvalidBatch", "Records not processed")),
        }
    }

    /// One file of a query's result.
    fn file(
        &self,
        now: i64,
        job: &Job,
        batch: &str,
        file: &str,
    ) -> Result<Response<Bytes>, Refusal> {
        let batch = self.done(now, job, batch)?;
        let number = ids::number(ids::RESULT, file);
        match number.filter(|_| job.operation.is_query()) {
            Some(n) if store::files(&self.db, batch.n)?.contains(&n) => self.stored(job, n),
            _ => Err(Refusal::bad("InvalidBatch", format!("Invalid result id: {}", brief(file)))),
        }
    }

    /// A result file, which is written in the job's format.
    fn stored(&self, job: &Job, n: i64) -> Result<Response<Bytes>, Refusal> {
        let body = store::file(&self.db, n)?.into();
        Ok(answer::typed(StatusCode::OK, job.content.media_type(), body))
    }

    /// A batch whose result can be fetched.
    fn done(&self, now: i64, job: &Job, batch: &str) -> Result<Batch, Refusal> {
        let batch = self.batch(job, batch)?;
        match batch.phase(now) {
            Phase::Completed => Ok(batch),
            Phase::Failed if batch.processed > 0 => Ok(batch),
            Phase::Queued | Phase::InProgress => {
                Err(Refusal::bad("InvalidBatch", "Batch not completed"))
            }
            Phase::Failed | Phase::NotProcessed => {
                Err(Refusal::bad("InvalidBatch", "Records not processed"))
            }
        }
    }
}

fn batch_info(now: i64, job: &Job, batch: &Batch, status: StatusCode) -> Response<Bytes> {
    let document = documents::document(job.wire(), "batchInfo", &batch.facts(now));
    answer::control(status, job.wire(), document)
}

/// Milliseconds, no more than the clock can go on.
pub(crate) fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(MOST).min(MOST)
}
