//! Jobs and batches in the database, and what the clock makes of them.
//!
//! A batch that waits or runs is stored as *pending*, with the moments at which it starts and ends.
//! Whether it is `Queued` or `InProgress` follows from the time of the question, so nothing has to
//! happen between two requests. What it *does* happens when the first request after its end comes
//! in (see `work`), but is dated with its end: the answers are the same whenever somebody looks.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::documents::{Fact, Facts, Wire};
use crate::format::Format;
use crate::ids;
use crate::schema;

pub(crate) const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS _meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS _object (name TEXT PRIMARY KEY COLLATE NOCASE, prefix TEXT) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS _field (n INTEGER PRIMARY KEY, object TEXT, name TEXT);
    CREATE TABLE IF NOT EXISTS _job (
        n INTEGER PRIMARY KEY, operation TEXT, object TEXT, external TEXT, serial INTEGER, content TEXT,
        version TEXT, rule TEXT, state TEXT, created INTEGER, modified INTEGER);
    CREATE TABLE IF NOT EXISTS _batch (
        n INTEGER PRIMARY KEY, job INTEGER, state TEXT, message TEXT, created INTEGER, starts INTEGER,
        ends INTEGER, processed INTEGER DEFAULT 0, failed INTEGER DEFAULT 0);
    CREATE INDEX IF NOT EXISTS _of_job ON _batch (job);
    CREATE INDEX IF NOT EXISTS _by_age ON _batch (created);
    CREATE INDEX IF NOT EXISTS _due ON _batch (ends) WHERE state = 'Pending';
    CREATE TABLE IF NOT EXISTS _said (job INTEGER, name TEXT, value TEXT, PRIMARY KEY (job, name)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS _chunk (batch INTEGER PRIMARY KEY, original INTEGER, upto INTEGER);
    CREATE INDEX IF NOT EXISTS _of_original ON _chunk (original, upto);
    CREATE TABLE IF NOT EXISTS _request (batch INTEGER PRIMARY KEY, body BLOB);
    CREATE TABLE IF NOT EXISTS _file (n INTEGER PRIMARY KEY, batch INTEGER, body BLOB);
    CREATE INDEX IF NOT EXISTS _of_batch ON _file (batch);";

/// State messages may be cut, and this one would hold a whole mistaken column if it were not.
const MESSAGE: usize = 2_000;

/// What a batch is stored as that chunks have taken the place of.
const SPLIT: &str = "Split";

/// What a job does. Read with regard to case: `INSERT` is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Insert,
    Update,
    Upsert,
    Delete,
    HardDelete,
    Query,
    QueryAll,
}

impl Operation {
    const NAMES: [(Self, &'static str); 7] = [
        (Self::Insert, "insert"),
        (Self::Update, "update"),
        (Self::Upsert, "upsert"),
        (Self::Delete, "delete"),
        (Self::HardDelete, "hardDelete"),
        (Self::Query, "query"),
        (Self::QueryAll, "queryAll"),
    ];

    pub(crate) fn read(text: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, name)| *name == text).map(|(operation, _)| *operation)
    }

    pub(crate) fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(operation, _)| *operation == self).map_or("", |(_, name)| name)
    }

    pub(crate) fn is_query(self) -> bool {
        matches!(self, Self::Query | Self::QueryAll)
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) n: i64,
    pub(crate) operation: Operation,
    pub(crate) object: String,
    pub(crate) external: Option<String>,
    pub(crate) serial: bool,
    pub(crate) content: Format,
    /// Whether its batches are archives of such records, and of files.
    pub(crate) zip: bool,
    pub(crate) version: String,
    pub(crate) rule: Option<String>,
    pub(crate) state: String,
    pub(crate) created: i64,
    pub(crate) modified: i64,
}

impl Job {
    pub(crate) fn id(&self) -> String {
        ids::long(ids::JOB, self.n)
    }

    /// The syntax of answers about this job.
    pub(crate) fn wire(&self) -> Wire {
        self.content.wire()
    }

    /// Its `contentType`.
    fn content_type(&self) -> String {
        format!("{}{}", if self.zip { "ZIP_" } else { "" }, self.content.name())
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let content = Format::read_content(&row.get::<_, String>("content")?);
        let (content, zip) = content.unwrap_or((Format::Csv, false));
        Ok(Self {
            n: row.get("n")?,
            // Only names of `Operation` and `Format` are ever written.
            operation: Operation::read(&row.get::<_, String>("operation")?)
                .unwrap_or(Operation::Query),
            object: row.get("object")?,
            external: row.get("external")?,
            serial: row.get("serial")?,
            content,
            zip,
            version: row.get("version")?,
            rule: row.get("rule")?,
            state: row.get("state")?,
            created: row.get("created")?,
            modified: row.get("modified")?,
        })
    }

    pub(crate) fn find(db: &Connection, n: i64) -> rusqlite::Result<Option<Self>> {
        db.prepare_cached("SELECT * FROM _job WHERE n = ?")?.query_row([n], Self::read).optional()
    }

    /// Stores a new job under the next number.
    pub(crate) fn insert(mut self, db: &Connection) -> rusqlite::Result<Self> {
        db.prepare_cached(
            "INSERT INTO _job (operation, object, external, serial, content, version, rule, state, created, modified)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            self.operation.name(), self.object, self.external, self.serial, self.content_type(),
            self.version, self.rule, self.state, self.created, self.modified,
        ])?;
        self.n = db.last_insert_rowid();
        Ok(self)
    }

    pub(crate) fn set_state(
        &mut self,
        db: &Connection,
        state: &str,
        now: i64,
    ) -> rusqlite::Result<()> {
        state.clone_into(&mut self.state);
        self.touch(db, now)
    }

    pub(crate) fn touch(&mut self, db: &Connection, now: i64) -> rusqlite::Result<()> {
        self.modified = now;
        let mut update =
            db.prepare_cached("UPDATE _job SET state = ?, modified = ? WHERE n = ?")?;
        update.execute(params![self.state, now, self.n]).map(drop)
    }

    /// The `jobInfo` of this moment, in the order of the schema.
    pub(crate) fn facts(&self, db: &Connection, now: i64) -> rusqlite::Result<Facts> {
        let batches = Batch::all(db, self.n)?;
        let phases: Vec<Phase> = batches.iter().map(|batch| batch.phase(now)).collect();
        let count = |wanted: Phase| phases.iter().filter(|phase| **phase == wanted).count();
        let number = |n: usize| Fact::Count(i64::try_from(n).unwrap_or(i64::MAX));
        let sum = |of: fn(&Batch) -> i64| Fact::Count(batches.iter().map(of).sum());
        let worked = || Fact::Count(batches.iter().map(|batch| batch.spent(now)).sum());
        let latest = batches.iter().map(|batch| batch.modified(now)).max();
        Ok(vec![
            ("id", Fact::Text(self.id())),
            ("operation", Fact::text(self.operation.name())),
            ("object", Fact::text(&self.object)),
            ("createdById", Fact::Text(schema::me())),
            ("createdDate", Fact::Moment(self.created)),
            ("systemModstamp", Fact::Moment(latest.unwrap_or(0).max(self.modified))),
            ("state", Fact::text(&self.state)),
            ("externalIdFieldName", Fact::maybe(self.external.clone())),
            ("concurrencyMode", Fact::text(if self.serial { "Serial" } else { "Parallel" })),
            ("contentType", Fact::Text(self.content_type())),
            ("numberBatchesQueued", number(count(Phase::Queued))),
            ("numberBatchesInProgress", number(count(Phase::InProgress))),
            ("numberBatchesCompleted", number(count(Phase::Completed))),
            ("numberBatchesFailed", number(count(Phase::Failed))),
            (
                "numberBatchesTotal",
                number(batches.iter().filter(|batch| !batch.is_split()).count()),
            ),
            ("numberRecordsProcessed", sum(|batch| batch.processed)),
            ("numberRetries", Fact::Count(0)),
            ("apiVersion", Fact::Version(self.version.clone())),
            ("assignmentRuleId", Fact::maybe(self.rule.clone())),
            ("numberRecordsFailed", sum(|batch| batch.failed)),
            ("totalProcessingTime", worked()),
            ("apiActiveProcessingTime", worked()),
            ("apexProcessingTime", Fact::Count(0)),
            ("fastPathEnabled", Fact::JsonFalse),
        ])
    }
}

/// The state of a batch as a client sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Queued,
    InProgress,
    Completed,
    Failed,
    NotProcessed,
}

impl Phase {
    fn name(self) -> &'static str {
        match self {
            Self::Queued => "Queued",
            Self::InProgress => "InProgress",
            Self::Completed => "Completed",
            Self::Failed => "Failed",
            Self::NotProcessed => "NotProcessed",
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Batch {
    pub(crate) n: i64,
    pub(crate) job: i64,
    state: String,
    message: Option<String>,
    created: i64,
    starts: i64,
    pub(crate) ends: i64,
    pub(crate) processed: i64,
    failed: i64,
}

impl Batch {
    pub(crate) fn id(&self) -> String {
        ids::long(ids::BATCH, self.n)
    }

    /// Were chunks put in its place? It is not counted among the batches of its job then.
    fn is_split(&self) -> bool {
        self.state == SPLIT
    }

    pub(crate) fn phase(&self, now: i64) -> Phase {
        match self.state.as_str() {
            "Completed" => Phase::Completed,
            "Failed" => Phase::Failed,
            "NotProcessed" | SPLIT => Phase::NotProcessed,
            _ if now < self.starts => Phase::Queued,
            _ => Phase::InProgress,
        }
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            n: row.get("n")?,
            job: row.get("job")?,
            state: row.get("state")?,
            message: row.get("message")?,
            created: row.get("created")?,
            starts: row.get("starts")?,
            ends: row.get("ends")?,
            processed: row.get("processed")?,
            failed: row.get("failed")?,
        })
    }

    pub(crate) fn find(db: &Connection, job: i64, n: i64) -> rusqlite::Result<Option<Self>> {
        let mut find = db.prepare_cached("SELECT * FROM _batch WHERE n = ? AND job = ?")?;
        find.query_row([n, job], Self::read).optional()
    }

    /// The batches of a job in the order they came.
    pub(crate) fn all(db: &Connection, job: i64) -> rusqlite::Result<Vec<Self>> {
        let mut all = db.prepare_cached("SELECT * FROM _batch WHERE job = ? ORDER BY n")?;
        all.query_map([job], Self::read)?.collect()
    }

    /// When the youngest batch of a job was added.
    pub(crate) fn youngest(db: &Connection, job: i64) -> rusqlite::Result<Option<i64>> {
        let mut youngest = db.prepare_cached("SELECT max(created) FROM _batch WHERE job = ?")?;
        youngest.query_row([job], |row| row.get(0))
    }

    /// The pending batch that was done first, if its end has come.
    pub(crate) fn due(db: &Connection, now: i64) -> rusqlite::Result<Option<Self>> {
        db.prepare_cached(
            "SELECT * FROM _batch WHERE state = 'Pending' AND ends <= ? ORDER BY ends, n LIMIT 1",
        )?
        .query_row([now], Self::read)
        .optional()
    }

    /// Queues a batch. Those of serial jobs run one after another, across all serial jobs.
    pub(crate) fn insert(
        db: &Connection,
        job: &Job,
        body: &[u8],
        now: i64,
        latency: i64,
    ) -> rusqlite::Result<Self> {
        let wait = latency / 3;
        let (mut starts, mut ends) = (now + wait, now + latency);
        if job.serial {
            let free: Option<i64> = db
                .prepare_cached(
                    "SELECT max(b.ends) FROM _batch b JOIN _job j ON j.n = b.job
                     WHERE b.state = 'Pending' AND j.serial",
                )?
                .query_row([], |row| row.get(0))?;
            starts = starts.max(free.unwrap_or(now));
            ends = starts + (latency - wait);
        }
        db.prepare_cached(
            "INSERT INTO _batch (job, state, created, starts, ends) VALUES (?, 'Pending', ?, ?, ?)",
        )?
        .execute([job.n, now, starts, ends])?;
        let n = db.last_insert_rowid();
        db.prepare_cached("INSERT INTO _request (batch, body) VALUES (?, ?)")?
            .execute(params![n, body])?;
        let state = "Pending".to_owned();
        Ok(Self {
            n,
            job: job.n,
            state,
            message: None,
            created: now,
            starts,
            ends,
            processed: 0,
            failed: 0,
        })
    }

    /// How many batches were added after a moment.
    pub(crate) fn added_since(db: &Connection, moment: i64) -> rusqlite::Result<u64> {
        let mut count = db.prepare_cached("SELECT count(*) FROM _batch WHERE created > ?")?;
        count.query_row([moment], |row| row.get::<_, i64>(0)).map(i64::unsigned_abs)
    }

    /// What an abort does: batches that run go on to their end, those that wait never start.
    pub(crate) fn forget_queued(db: &Connection, job: i64, now: i64) -> rusqlite::Result<()> {
        db.prepare_cached(
            "UPDATE _batch SET state = 'NotProcessed', ends = ?2
             WHERE job = ?1 AND state = 'Pending' AND starts > ?2",
        )?
        .execute([job, now])
        .map(drop)
    }

    pub(crate) fn complete(
        &self,
        db: &Connection,
        (processed, failed): (i64, i64),
    ) -> rusqlite::Result<()> {
        db.prepare_cached(
            "UPDATE _batch SET state = 'Completed', processed = ?, failed = ? WHERE n = ?",
        )?
        .execute([processed, failed, self.n])
        .map(drop)
    }

    /// Leaves a batch in progress for a while.
    pub(crate) fn go_on(&self, db: &Connection, time: i64) -> rusqlite::Result<()> {
        db.prepare_cached("UPDATE _batch SET ends = ? WHERE n = ?")?
            .execute([self.ends.saturating_add(time), self.n])
            .map(drop)
    }

    /// Ends a batch in whose place there are others.
    pub(crate) fn end_split(&self, db: &Connection) -> rusqlite::Result<()> {
        db.prepare_cached("UPDATE _batch SET state = ? WHERE n = ?")?
            .execute(params![SPLIT, self.n])
            .map(drop)
    }

    /// Ends a batch badly, after so many of its records were processed.
    pub(crate) fn fail(
        &self,
        db: &Connection,
        message: &str,
        (processed, failed): (i64, i64),
    ) -> rusqlite::Result<()> {
        let message: String = message.chars().take(MESSAGE).collect();
        db.prepare_cached(
            "UPDATE _batch SET state = 'Failed', message = ?, processed = ?, failed = ? WHERE n = ?",
        )?
        .execute(params![message, processed, failed, self.n])
        .map(drop)
    }

    /// Milliseconds of work up to now.
    fn spent(&self, now: i64) -> i64 {
        match self.phase(now) {
            Phase::Completed | Phase::Failed => self.ends - self.starts,
            Phase::Queued | Phase::InProgress | Phase::NotProcessed => 0,
        }
    }

    fn modified(&self, now: i64) -> i64 {
        match self.phase(now) {
            Phase::Queued => self.created,
            Phase::InProgress => self.starts,
            Phase::Completed | Phase::Failed | Phase::NotProcessed => self.ends,
        }
    }

    /// The `batchInfo` of this moment, in the order of the schema.
    pub(crate) fn facts(&self, now: i64) -> Facts {
        vec![
            ("id", Fact::Text(self.id())),
            ("jobId", Fact::Text(ids::long(ids::JOB, self.job))),
            ("state", Fact::text(self.phase(now).name())),
            ("stateMessage", Fact::maybe(self.message.clone())),
            ("createdDate", Fact::Moment(self.created)),
            ("systemModstamp", Fact::Moment(self.modified(now))),
            ("numberRecordsProcessed", Fact::Count(self.processed)),
            ("numberRecordsFailed", Fact::Count(self.failed)),
            ("totalProcessingTime", Fact::Count(self.spent(now))),
            ("apiActiveProcessingTime", Fact::Count(self.spent(now))),
            ("apexProcessingTime", Fact::Count(0)),
        ]
    }
}
