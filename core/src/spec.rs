//! What is wanted: one operation on one object, and the bounds to keep while doing it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind};
use crate::id::RecordId;
use crate::info::{ConcurrencyMode, ContentType, Operation, Syntax, is_api_name};
use crate::soql;

/// The API version spoken unless another is asked for.
const VERSION: &str = "66.0";

/// The first version that takes archives (topic "Load Binary Attachments").
const ZIP_SINCE: u32 = 20;

/// A transformation spec is shorter than so many characters (topic "Mapping Data Fields"),
const LONGEST_TRANSFORMATION: usize = 8192;

/// and has these columns.
const TRANSFORMATION: [&str; 4] = ["Salesforce Field", "Csv Header", "Value", "Hint"];

/// The most records a chunk may have (topic "PK Chunking Header").
const LARGEST_CHUNK: u32 = 250_000;

/// A load or a query, to be handed to [`Job::new`](crate::Job::new).
///
/// ```
/// use sfbulk::Spec;
///
/// let load = Spec::upsert("Account", "Erp_Key__c").serial();
/// let query = Spec::query("SELECT Id, Name FROM Account").seed(7);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Spec {
    pub(crate) operation: Operation,
    pub(crate) object: String,
    pub(crate) external_id: Option<String>,
    pub(crate) soql: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) chunking: Option<PkChunking>,
    pub(crate) concurrency: ConcurrencyMode,
    #[serde(default = "csv")]
    pub(crate) content_type: ContentType,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) assignment_rule: Option<RecordId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) line_ending: Option<LineEnding>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) transformation: Option<String>,
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub(crate) server_retries: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) client: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) gzip: Option<bool>,
    pub(crate) version: String,
    pub(crate) seed: u64,
    pub(crate) recorded: bool,
    pub(crate) bounds: Bounds,
}

/// How a query is split by the server into many, each over a range of record ids (topic "PK Chunking
/// Header" of the vendor's guide). For tables of ten million rows and more, or when a query times out.
///
/// A query that the server cannot split, one with ORDER BY for example, simply runs as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PkChunking {
    /// Records in a range, at most 250,000; the server's default is 100,000. What a filter leaves
    /// out counts, so chunks may have fewer rows, or none.
    pub size: Option<u32>,
    /// The object whose ids are split: needed for shares and histories, `Account` for `AccountShare`.
    pub parent: Option<String>,
    /// The id at which the first chunk begins, to leave out what is before it.
    pub start_row: Option<RecordId>,
}

impl PkChunking {
    /// As the header has it.
    pub(crate) fn header(&self) -> String {
        let size = self.size.map(|size| format!("chunkSize={size}"));
        let parent = self.parent.as_ref().map(|parent| format!("parent={parent}"));
        let start = self.start_row.map(|id| format!("startRow={id}"));
        let items: Vec<String> = [size, parent, start].into_iter().flatten().collect();
        if items.is_empty() { "true".into() } else { items.join("; ") }
    }
}

/// How the server reads line ends within the values of text areas (topic "Line Ending Header").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LineEnding {
    /// A line feed, as on Unix.
    Lf,
    /// A carriage return and a line feed, as on Windows.
    Crlf,
}

impl LineEnding {
    /// As the header has it.
    pub(crate) fn header(self) -> &'static str {
        match self {
            Self::Lf => "LF",
            Self::Crlf => "CRLF",
        }
    }
}

/// A limit on everything the machine does or takes, each with its reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Bounds {
    /// Uploads under way at once, batches held in memory, and results fetched at once. 4: enough
    /// to keep a fast line busy.
    pub parallel: usize,
    /// Bytes of batches held in memory beyond which no further rows are asked for. 24 MB: with the
    /// batch that may still come, of 10 MB at most, and all that is around them, a program stays
    /// under 64 MB.
    pub held: usize,
    /// Tries of one request before it is given up. 8: with the waits below about a minute and a
    /// half, the length of an instance's restart.
    pub tries: u32,
    /// Tries where more will hardly help. 4: a server that was never reached has a wrong address more
    /// often than an outage, and a file that is cut at the same place each time, with no new row,
    /// will not get better.
    pub few_tries: u32,
    /// Retries of the whole run before it is given up, beside one for each ten requests that
    /// succeeded. 20: trouble must not turn a client into a flood.
    pub retries: u64,
    /// The wait before a second try; doubled for each further one.
    pub first_wait: Duration,
    /// The longest wait between tries that the machine chooses by itself.
    pub longest_wait: Duration,
    /// The longest `Retry-After` that is honoured to the second; a longer one is cut to this. An
    /// hour: a misprinted header must not put a load to sleep for a year.
    pub longest_retry_after: Duration,
    /// The wait before the second poll of a job; grows 2.5-fold to `longest_poll`. Short, because
    /// small jobs are done at once.
    pub first_poll: Duration,
    /// The longest wait between polls: every poll counts against the org's daily requests.
    pub longest_poll: Duration,
    /// Polls in a row in which a batch is missing from the job's list, or in a state that nobody
    /// knows, before the run gives up. 30: more than ten minutes.
    pub unclear_polls: u32,
    /// Sessions turned down in a row, without a request succeeding in between, before the run
    /// gives up. 3: more would lock the user out.
    pub logins: u32,
    /// Requests that the run may make, and each run that goes on with it; no limit unless one is
    /// set. A run that goes on reads all results again, so it needs as many as that and some more. Then it is left where it is, with
    /// [`ErrorKind::Unfinished`](crate::ErrorKind::Unfinished), and can be resumed.
    pub calls: u64,
    /// Batches that the run may add, and each run that goes on with it; no limit unless one is set. Then no more rows are sent, those
    /// that were are accounted for, and the run ends with
    /// [`ErrorKind::Allowance`](crate::ErrorKind::Allowance). The chunks that a
    /// server splits a query into are not counted: the server adds them.
    pub batches: u64,
    /// The largest control document taken, in bytes: 1 MiB is a hundred times a usual one.
    pub document: usize,
    /// The largest list of batches or of result files taken, in bytes. 16 MiB: the most batches an
    /// org may add in a day, 15,000 with a kilobyte each.
    pub list: usize,
    /// The largest batch taken back from the server, to learn what it holds, in bytes. 16 MiB: 10 MB,
    /// and what other quoting may add.
    pub request: usize,
    /// The largest ingest result taken, in bytes. 32 MiB: 10,000 records with 3 KB of error text.
    pub result: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            parallel: 4,
            held: 24_000_000,
            tries: 8,
            few_tries: 4,
            retries: 20,
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(60),
            longest_retry_after: Duration::from_secs(3600),
            first_poll: Duration::from_millis(50),
            longest_poll: Duration::from_secs(30),
            unclear_polls: 30,
            logins: 3,
            calls: u64::MAX,
            batches: u64::MAX,
            document: 1 << 20,
            list: 16 << 20,
            request: 16 << 20,
            result: 32 << 20,
        }
    }
}

impl Spec {
    fn new(operation: Operation, object: impl Into<String>) -> Self {
        Self {
            operation,
            object: object.into(),
            external_id: None,
            soql: None,
            chunking: None,
            concurrency: ConcurrencyMode::Parallel,
            content_type: csv(),
            assignment_rule: None,
            line_ending: None,
            transformation: None,
            server_retries: true,
            client: None,
            gzip: None,
            version: VERSION.into(),
            seed: 0,
            recorded: false,
            bounds: Bounds::default(),
        }
    }

    /// New records of `object` (its API name); the rows carry no `Id`.
    pub fn insert(object: impl Into<String>) -> Self {
        Self::new(Operation::Insert, object)
    }

    /// Changes to records of `object`; the rows carry an `Id`.
    pub fn update(object: impl Into<String>) -> Self {
        Self::new(Operation::Update, object)
    }

    /// Insert or update, told apart by `external_id`: an external id field, a standard field with
    /// the property `idLookup`, or `Id` itself.
    pub fn upsert(object: impl Into<String>, external_id: impl Into<String>) -> Self {
        let external_id = Some(external_id.into());
        Self { external_id, ..Self::new(Operation::Upsert, object) }
    }

    /// Into the recycle bin; the rows carry an `Id` and nothing else.
    pub fn delete(object: impl Into<String>) -> Self {
        Self::new(Operation::Delete, object)
    }

    /// Past the recycle bin, for good; the rows carry an `Id` and nothing else. The user needs the
    /// permission "Bulk API Hard Delete".
    pub fn hard_delete(object: impl Into<String>) -> Self {
        Self::new(Operation::HardDelete, object)
    }

    /// All rows of a query. The object of the job is the one in its FROM clause.
    pub fn query(soql: impl Into<String>) -> Self {
        Self::of_soql(Operation::Query, soql.into())
    }

    /// All rows of a query, deleted and archived records included (API 39.0 and later).
    pub fn query_all(soql: impl Into<String>) -> Self {
        Self::of_soql(Operation::QueryAll, soql.into())
    }

    fn of_soql(operation: Operation, soql: String) -> Self {
        let object = soql::root_object(&soql).unwrap_or_default().to_owned();
        Self { soql: Some(soql), ..Self::new(operation, object) }
    }

    /// Has the server split a query into chunks. It is an error for anything but a query.
    #[must_use]
    pub fn pk_chunking(mut self, chunking: PkChunking) -> Self {
        self.chunking = Some(chunking);
        self
    }

    /// Has the server work on one batch at a time: slower, with fewer lock conflicts. The batches
    /// are then also sent one after the other, so that they run in the input's order.
    #[must_use]
    pub fn serial(mut self) -> Self {
        self.concurrency = ConcurrencyMode::Serial;
        self.bounds.parallel = 1;
        self
    }

    /// The format of the records: CSV unless another one is asked for. A query has no archives.
    #[must_use]
    pub fn content_type(mut self, content_type: ContentType) -> Self {
        self.content_type = content_type;
        self
    }

    /// Has this assignment rule of the org give new or changed cases or leads an owner. It is an error
    /// for other objects, and for deletes.
    #[must_use]
    pub fn assignment_rule(mut self, id: RecordId) -> Self {
        self.assignment_rule = Some(id);
        self
    }

    /// How the server is to read line ends within values. It is an error for queries.
    #[must_use]
    pub fn line_ending(mut self, ending: LineEnding) -> Self {
        self.line_ending = Some(ending);
        self
    }

    /// Has the server read CSV files whose columns are not named like the object's fields, by a
    /// *transformation spec* (topic "Mapping Data Fields"): a CSV text of less than 8,192 characters
    /// with the columns `Salesforce Field`, `Csv Header`, `Value` (where the file has none) and
    /// `Hint` (a date's pattern, or the expression for true). Columns that it does not name are left
    /// out. It is for loads of CSV.
    ///
    /// ```
    /// # use sfbulk::Spec;
    /// let spec = "Salesforce Field,Csv Header,Value,Hint\n\
    ///             LastName,Full name,,\n\
    ///             Company,Firm,Unknown Ltd,\n";
    /// let load = Spec::insert("Lead").transformation(spec);
    /// ```
    #[must_use]
    pub fn transformation(mut self, spec: impl Into<String>) -> Self {
        self.transformation = Some(spec.into());
        self
    }

    /// Has the server not try again by itself what it could not finish of a batch (topic "Batch
    /// Retry Header"): the batch fails at once, for somebody to look at.
    #[must_use]
    pub fn no_server_retries(mut self) -> Self {
        self.server_retries = false;
        self
    }

    /// The application's name and version in the org's event logs, for example `MyApp/1.0` (topic
    /// "Call Options Header"); sfbulk's own unless said. Printable ASCII without blanks at its ends,
    /// commas and semicolons.
    #[must_use]
    pub fn client(mut self, name: impl Into<String>) -> Self {
        self.client = Some(name.into());
        self
    }

    /// Whether bodies are compressed on their way, in both directions. Unless said they are, but not
    /// to an org on this machine, where nothing is gained. Batches below 4 KB and archives go as
    /// they are in any case, and so do those that the server transforms.
    #[must_use]
    pub fn gzip(mut self, gzip: bool) -> Self {
        self.gzip = Some(gzip);
        self
    }

    /// So many uploads at a time, and results fetched at a time. What may be held in memory grows
    /// with it, so that each upload keeps its share.
    #[must_use]
    pub fn parallel(mut self, parallel: usize) -> Self {
        self.bounds.held = self.bounds.held / self.bounds.parallel.max(1) * parallel;
        self.bounds.parallel = parallel;
        self
    }

    /// Speaks another API version, for example `64.0`.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = version.into();
        self
    }

    /// The seed of the jitter in waits. Clients that start together should differ in it.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Keeps a [`Transcript`](crate::Transcript) of the run, with all that was said in memory. A
    /// job gives it out by [`transcript`](crate::Job::transcript), a front door by its outcomes' or
    /// records' method of that name.
    #[must_use]
    pub fn record(mut self) -> Self {
        self.recorded = true;
        self
    }

    /// Other bounds than the default.
    #[must_use]
    pub fn bounds(mut self, bounds: Bounds) -> Self {
        self.bounds = bounds;
        self
    }

    /// What the job does.
    pub fn operation(&self) -> &Operation {
        &self.operation
    }

    /// The API name of the object the job is about; for a query, the one in its FROM clause.
    pub fn object(&self) -> &str {
        &self.object
    }

    /// How its records are written.
    pub fn syntax(&self) -> Syntax {
        self.content_type.syntax()
    }

    /// Whether its batches are archives, of records and the files they name.
    pub fn is_zip(&self) -> bool {
        self.content_type.is_zip()
    }

    /// Whether the columns of its rows are foreign, and the server transforms them.
    pub fn transforms(&self) -> bool {
        self.transformation.is_some()
    }

    /// The columns a query selects, if its list holds nothing but field names: the header of a
    /// result that has no rows, and therefore none of the server's.
    pub fn columns(&self) -> Option<Vec<&str>> {
        soql::columns(self.soql.as_deref()?)
    }

    /// Fails with [`ErrorKind::Usage`] if the service could not possibly accept this.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let bad = |message: String| Err(Error::new(ErrorKind::Usage, message));
        if self.operation.is_query() && self.object.is_empty() {
            return bad("the query names no object: it has no SELECT, or no FROM clause".into());
        }
        let csv = self.syntax() == Syntax::Csv;
        if let Some((what, advice)) = self.soql.as_ref().and_then(|soql| soql::refused(soql, csv)) {
            let message = format!("the Bulk API does not take {what} in a query");
            return Err(Error::new(ErrorKind::Usage, message).advise(advice));
        }
        if let Some(chunking) = &self.chunking {
            if !self.operation.is_query() {
                return bad("only a query can be split into chunks".into());
            }
            if chunking.size.is_some_and(|size| !(1..=LARGEST_CHUNK).contains(&size)) {
                return bad(format!("a chunk has between 1 and {LARGEST_CHUNK} records"));
            }
        }
        let parent = self.chunking.as_ref().and_then(|chunking| chunking.parent.as_ref());
        let names = [
            ("an object", Some(&self.object)),
            ("an object", parent),
            ("a field", self.external_id.as_ref()),
        ];
        for (what, name) in names {
            if let Some(name) = name.filter(|name| !is_api_name(name)) {
                let shown: String = name.chars().take(80).collect();
                return bad(format!("{shown:?} is not the API name of {what}"));
            }
        }
        let Some(version) = number(&self.version) else {
            return bad(format!("{:?} is not an API version; they look like 66.0", self.version));
        };
        if let ContentType::Other(name) = &self.content_type {
            let shown: String = name.chars().take(80).collect();
            return bad(format!("{shown:?} is no content type: they are CSV, XML, JSON and ZIP_…"));
        }
        if self.is_zip() && self.operation.is_query() {
            return bad("a query has no archives: its content type is CSV, XML or JSON".into());
        }
        if self.is_zip() && version < ZIP_SINCE {
            return bad(format!("archives need the API version {ZIP_SINCE}.0 or a later one"));
        }
        self.check_headers().or_else(|why| bad(why.into()))?;
        if let Some(text) = &self.transformation {
            self.check_transformation(text)
                .or_else(|why| bad(format!("the transformation spec {why}")))?;
        }
        if self.bounds.parallel == 0 {
            return bad("at least one upload must be allowed at a time".into());
        }
        Ok(())
    }
}

/// What is said beside the operation and the records.
impl Spec {
    fn check_headers(&self) -> Result<(), &'static str> {
        let loads =
            matches!(self.operation, Operation::Insert | Operation::Update | Operation::Upsert);
        let assigned = ["Case", "Lead"].iter().any(|name| self.object.eq_ignore_ascii_case(name));
        if self.assignment_rule.is_some() && !(loads && assigned) {
            return Err("assignmentRuleId is for inserts, updates and upserts of Case and Lead");
        }
        if self.line_ending.is_some() && self.operation.is_query() {
            return Err("Sforce-Line-Ending is for loads: a query sends no values");
        }
        let good = |byte: u8| matches!(byte, b' '..=b'~') && !matches!(byte, b',' | b';');
        let is_name =
            |name: &str| !name.is_empty() && name.trim() == name && name.bytes().all(good);
        if self.client.as_deref().is_some_and(|name| !is_name(name)) {
            return Err("the client's name is printable ASCII without commas and semicolons");
        }
        Ok(())
    }

    /// Topic "Mapping Data Fields". The server judges what its rows say.
    fn check_transformation(&self, text: &str) -> Result<(), String> {
        if self.operation.is_query() || self.content_type != ContentType::Csv {
            return Err("is for loads of CSV".into());
        }
        if text.chars().count() >= LONGEST_TRANSFORMATION {
            return Err(format!("has {LONGEST_TRANSFORMATION} characters or more"));
        }
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let unreadable = |error: csv::Error| format!("is no CSV text: {error}");
        if reader.headers().map_err(unreadable)?.iter().ne(TRANSFORMATION) {
            return Err(format!("has not the columns {}", TRANSFORMATION.join(",")));
        }
        let fields = reader.records().map(|row| row.map(|row| !row[0].trim().is_empty()));
        let fields: Vec<bool> = fields.collect::<Result<_, _>>().map_err(unreadable)?;
        match fields.iter().position(|named| !named) {
            Some(row) => Err(format!("names no Salesforce Field in its row {}", row + 1)),
            None if fields.is_empty() => Err("has no rows".into()),
            None => Ok(()),
        }
    }
}

/// The number of an API version: `66` of `66.0`.
fn number(version: &str) -> Option<u32> {
    let number = version.strip_suffix(".0")?;
    let is_one = (2..=3).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit());
    number.parse().ok().filter(|_| is_one)
}

/// The format of records unless another one is asked for: the fastest (topic "Content Type Header").
fn csv() -> ContentType {
    ContentType::Csv
}

fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_that_cannot_be_is_refused_before_anything_is_sent() {
        for bad in [
            Spec::insert(""),
            Spec::insert("Acc ount"),
            Spec::insert("../job"),
            Spec::insert("1Account"),
            Spec::upsert("Account", "Key\r\nX: y"),
            Spec::query("SELECT Id"),
            Spec::query(""),
            Spec::query("SELECT COUNT() FROM Account"),
            Spec::query("SELECT Id, (SELECT Id FROM Contacts) FROM Account"),
            Spec::insert("Account").version("v66.0"),
            Spec::insert("Account").version("66"),
            Spec::insert("Account").pk_chunking(PkChunking::default()),
            Spec::query("SELECT Id FROM Account")
                .pk_chunking(PkChunking { size: Some(250_001), ..PkChunking::default() }),
            Spec::query("SELECT Id FROM Account")
                .pk_chunking(PkChunking { parent: Some("a; b".into()), ..PkChunking::default() }),
            Spec::insert("Account").content_type(ContentType::Other("YAML".into())),
            Spec::query("SELECT Id FROM Account").content_type(ContentType::ZipCsv),
            Spec::insert("Attachment").content_type(ContentType::ZipXml).version("19.0"),
            Spec::insert("Account").assignment_rule(RULE.parse().unwrap()),
            Spec::delete("Lead").assignment_rule(RULE.parse().unwrap()),
            Spec::query("SELECT Id FROM Lead").assignment_rule(RULE.parse().unwrap()),
            Spec::query("SELECT Id FROM Account").line_ending(LineEnding::Lf),
            Spec::insert("Account").client(""),
            Spec::insert("Account").client("MyApp/1.0, debug"),
            Spec::insert("Account").client("a;b"),
            Spec::insert("Account").client("a\r\nx: y"),
            Spec::insert("Account").client("Müller"),
            Spec::insert("Account").client("MyApp "),
            Spec::insert("Account").bounds(Bounds { parallel: 0, ..Bounds::default() }),
        ] {
            assert_eq!(bad.check().unwrap_err().kind(), ErrorKind::Usage, "{bad:?}");
        }
    }

    #[test]
    fn what_is_good_for_an_operation_is_taken() {
        let rule = || RULE.parse::<RecordId>().unwrap();
        for good in [
            Spec::insert("case").assignment_rule(rule()).client("MyApp/1.0 (nightly)"),
            Spec::upsert("Lead", "Erp_Key__c").assignment_rule(rule()).line_ending(LineEnding::Lf),
            Spec::query("SELECT Id FROM Account").no_server_retries().gzip(false),
        ] {
            good.check().unwrap();
            let text = serde_json::to_string(&good).unwrap();
            assert_eq!(serde_json::from_str::<Spec>(&text).unwrap(), good);
        }
    }

    #[test]
    fn a_transformation_that_cannot_be_is_refused() {
        let head = "Salesforce Field,Csv Header,Value,Hint\n";
        let load = |rows: &str| Spec::insert("Lead").transformation(format!("{head}{rows}"));
        load("Name,\"Contact, person\",,\nSeen__c,Seen on,,dd.MM.yyyy\n").check().unwrap();
        for (bad, why) in [
            (load(""), "has no rows"),
            (load("Name,Firm,\n"), "no CSV text"),
            (load("Name,Firm,,\n,Other,,\n"), "in its row 2"),
            (load(&"Name,Firm,,\n".repeat(800)), "8192 characters"),
            (Spec::insert("Lead").transformation(""), "has not the columns"),
            (
                Spec::insert("Lead").transformation("Field,Header\nName,Firm\n"),
                "has not the columns",
            ),
            (load("Name,Firm,,\n").content_type(ContentType::Json), "loads of CSV"),
            (Spec::query("SELECT Id FROM Lead").transformation(head), "loads of CSV"),
        ] {
            let error = bad.check().unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    const RULE: &str = "01Q5g000000AbCdEAK";

    #[test]
    fn each_upload_keeps_its_share_of_memory() {
        let Bounds { parallel, held, .. } = Spec::insert("Account").parallel(16).bounds;
        assert_eq!((parallel, held), (16, 4 * Bounds::default().held));
        assert!(Spec::insert("Account").parallel(0).check().is_err());
    }

    #[test]
    fn a_query_knows_its_object_and_columns() {
        let query = Spec::query("SELECT Id, Name FROM Account WHERE Name LIKE 'A%'");
        query.check().unwrap();
        assert_eq!(query.object(), "Account");
        assert_eq!(query.columns(), Some(vec!["Id", "Name"]));
        assert_eq!(Spec::insert("Account").columns(), None);
    }
}
