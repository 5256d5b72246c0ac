//! What can be typed. The help is written here, and nowhere else.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use sfbulk_org::login::{CLIENT_ID, CLIENT_SECRET, PASSWORD, USERNAME};
use sfbulk_ureq::{ContentType, LineEnding, RecordId};

const EXAMPLES: &str = "\
Examples:
  sfbulk insert Account accounts.csv --org practice     try it: no account needed
  sfbulk upsert Account accounts.csv -k Erp_Key__c
  pg_dump_leads | sfbulk insert Lead -                  CSV from a pipe
  sfbulk query 'SELECT Id, Name FROM Account' > accounts.csv
  sfbulk query @big.soql --output big.csv               appears only when it is whole
  sfbulk insert Account accounts.*.error.csv            after mending the rows that failed
  sfbulk insert ContentVersion contracts/               a folder of files
  sfbulk resume                                         after a crash or Ctrl-C

The org:
  --org practice (or SFBULK_ORG=practice) is an org of your own, embedded in this command and
  kept in ./.sfbulk/practice.db. --org NAME is an org that the Salesforce CLI, sf, is logged in to,
  by its alias or user name there. Without --org it is the one of SF_ACCESS_TOKEN and
  SF_ORG_INSTANCE_URL if they are set, else the one sf would use: SF_TARGET_ORG, or its default.
  Secrets are never taken from the command line and never printed.

Exit codes:
  0    finished, every row is good
  1    the operation failed: network, login, refused by the server
  2    wrong usage, configuration or input; nothing was sent
  3    finished, but rows failed or are unknown (see the files named)
  4    not finished: --wait has passed, or --detach; sfbulk resume goes on
  130  stopped by Ctrl-C; sfbulk resume goes on

A run that is not over has a journal, in $XDG_STATE_HOME/sfbulk or else ~/.local/state/sfbulk. Should
it be stopped or killed, or the network stay away, sfbulk resume goes on: no row is lost or loaded
twice.";

/// The longest `--wait`, in seconds: after seven days the service forgets a job.
const LONGEST_WAIT: u64 = 7 * 24 * 3600;

const LOAD_HELP: &str = "\
Result files, in the current folder unless told otherwise; every row of FILE is in exactly one:
  <name>.<job>.success.csv      ID, the columns of FILE, STATUS
  <name>.<job>.error.csv        the columns of FILE, ERROR: mend the rows and load this file
  <name>.<job>.unprocessed.csv  the columns of FILE only: rows the server never took or never
                                ran, safe to load again
  <name>.<job>.unknown.csv      the columns of FILE, ERROR (the reason): rows whose answer was
                                lost; look for them in the org before you load them again
The last three exist only if there are such rows. All are UTF-8 without a byte order mark. If
no job could be created, rows from a pipe are kept in <name>.unprocessed.csv.

Cells are never changed on their way. An empty cell leaves a field alone; #N/A clears it. A last
column ERROR is left out, and so is a last column STATUS if the first one is ID: result files
can be loaded as they are. If such a success file has a column Id too, its ID is left out as well.

With --format json or xml each row is sent as a record of that format: an empty cell is left out,
#N/A is null, and a column Parent.Field or Type:Parent.Field is a field of a parent. It means the
same to the org, which reads CSV faster.

With --files rows name files: Body or VersionData is a path in FILE's folder, such as scans/1.pdf.
No link is followed and no path leads out of the folder. Files are packed, as many into a batch as
fit (10 MB, 20 MB unpacked, 1,000 files), and sent as they are. If FILE is a folder, each file below
it, hidden ones too, becomes a record of ContentVersion, Document (with --set FolderId=…) or
Attachment (with --set ParentId=…). To load a result file again, put it into that folder and say
--files.

A run that was cut off is taken up by sfbulk resume, which needs FILE as it was, and the files that
its rows name, and writes the result files anew. Do not load one of them before: the run may load
its rows itself.

With --json one object is printed on stdout, also when nothing was sent (but not for arguments
that cannot be understood; org is null then, and what is not known is 0). The state is finished,
aborted, unfinished, interrupted or failed:
state, job_id, org, operation, object, rows, succeeded, created, updated, failed, unprocessed,
unknown, batches {total, completed, failed, not_processed}, duration_ms, bytes_sent, api_calls,
retries, success_file, error_file, unprocessed_file, unknown_file,
errors [{code, fields, count, first_row}], error, exit_code.";

const QUERY_HELP: &str = "\
With --chunk the rows come in the order in which chunks are done. A query that the server cannot
split, with ORDER BY, LIMIT or a filter on an id, runs as it is. Each chunk counts against the
org's daily batches.

With --format json or xml the rows come as the org writes them, in one document: null is not empty
there, parents are records of their own, and dates are milliseconds since 1970 in JSON.

With --output the rows go to FILE.partial, which gets its name once the whole result is on disk.
Without it, or with -O -, they go to stdout as they come: see the exit code before you trust them.
A query with --output that was cut off is taken up by sfbulk resume; one to stdout cannot be.

With --json (and --output FILE) one object is printed on stdout, also when nothing was sent (but
not for arguments that cannot be understood; org is null then): state, job_id, org, operation,
object, rows, batches, duration_ms, api_calls, retries, output_file, error, exit_code.";

/// Loads, deletes and extracts Salesforce records with the Bulk API.
#[derive(Debug, Parser)]
#[command(name = "sfbulk", version, after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// New records, one for each row of a CSV file
    #[command(after_help = LOAD_HELP)]
    Insert(Load),
    /// Changes to records, named by the column Id
    #[command(after_help = LOAD_HELP)]
    Update(Load),
    /// Changes or new records, told apart by a key
    #[command(after_help = LOAD_HELP)]
    Upsert {
        #[command(flatten)]
        load: Load,
        /// The column that tells records apart: an external id field, or Id
        #[arg(short, long, value_name = "FIELD")]
        key: String,
    },
    /// Records into the recycle bin, named by the column Id; other columns are not sent
    #[command(after_help = LOAD_HELP)]
    Delete(Load),
    /// Records past the recycle bin, for good; asks first
    #[command(after_help = LOAD_HELP)]
    HardDelete {
        #[command(flatten)]
        load: Load,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
    /// The rows of a SOQL query
    #[command(after_help = QUERY_HELP)]
    Query(Query),
    /// Goes on with a run that was stopped or killed, or that failed before its end
    ///
    /// The input of a load must be as it was. The org is asked what had arrived, and only what had
    /// not is sent. Result files are written anew, as if nothing had happened.
    Resume(Resume),
    /// Ends a run that was cut off: what the org has not begun never will be
    ///
    /// Rows that are in the org stay there. The result files tell of every row, so the input of a
    /// load must be as it was.
    Abort(Resume),
    /// The runs on this machine that are not over, the newest first
    Jobs,
    /// The practice org, for other programs
    #[command(after_help = practice_help())]
    Practice {
        #[command(subcommand)]
        verb: Practice,
    },
}

/// Who may log in; and the faults tell of themselves.
fn practice_help() -> String {
    format!(
        "Any login is granted to the user {USERNAME}, password {PASSWORD}, and to the app \
         {CLIENT_ID} with {CLIENT_SECRET}.\n\n\
         Faults, to see how a client takes them, for example --fault lose-answer:2:\n{}",
        sfbulk_org::Fault::help()
    )
}

#[derive(Debug, Subcommand)]
pub(crate) enum Practice {
    /// Serves ./.sfbulk/practice.db on this machine until Ctrl-C
    #[command(after_help = practice_help())]
    Serve {
        /// The port; 0 takes a free one
        #[arg(long, value_name = "N", default_value_t = 0)]
        port: u16,
        /// Something that goes wrong; may be given several times
        #[arg(long = "fault", value_name = "FAULT")]
        faults: Vec<sfbulk_org::Fault>,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Load {
    /// The API name of the object, for example Account
    pub(crate) object: String,
    /// The CSV file: UTF-8, a header of API names; - or nothing is stdin. Of a folder, every file in
    /// it becomes a record
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(flatten)]
    pub(crate) manner: Manner,
    /// The column Body or VersionData, or COLUMN, has paths of files in FILE's folder
    #[arg(long, value_name = "COLUMN", num_args = 0..=1, require_equals = true,
          default_missing_value = "")]
    pub(crate) files: Option<String>,
    /// In each record made of a folder, for example ParentId=001…; may be given several times
    #[arg(long, value_name = "FIELD=VALUE")]
    pub(crate) set: Vec<String>,
    /// The most rows in a batch; a batch also ends at 10 MB
    #[arg(short, long, value_name = "N", default_value_t = 10_000,
          value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub(crate) batch_size: u64,
    /// What the rows are sent as; the files are CSV all the same
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Csv)]
    pub(crate) format: Format,
    /// One batch at a time: slower, with fewer lock conflicts
    #[arg(long)]
    pub(crate) serial: bool,
    /// Batches under way at once [default: 4]
    #[arg(long, value_name = "N", conflicts_with = "serial",
          value_parser = clap::value_parser!(u8).range(1..=16))]
    pub(crate) parallel: Option<u8>,
    /// A transformation spec: FILE tells which columns go into which fields
    #[arg(long, value_name = "FILE")]
    pub(crate) transformation: Option<PathBuf>,
    /// The assignment rule that gives cases or leads their owner
    #[arg(long, value_name = "ID", value_parser = record_id)]
    pub(crate) assignment_rule: Option<RecordId>,
    /// How the org reads line ends within values
    #[arg(long, value_name = "HOW", value_parser = line_ending)]
    pub(crate) line_ending: Option<LineEnding>,
    /// The file for rows that succeeded
    #[arg(long, value_name = "FILE")]
    pub(crate) success: Option<PathBuf>,
    /// The file for rows that failed; an earlier one is removed if no row fails
    #[arg(long, value_name = "FILE")]
    pub(crate) error: Option<PathBuf>,
    /// The folder for result files [default: the current one]
    #[arg(long, value_name = "DIR", default_value = ".", hide_default_value = true)]
    pub(crate) out_dir: PathBuf,
}

/// How records are written on the wire.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Format {
    Csv,
    Json,
    Xml,
}

impl Format {
    /// That of a job of such records, alone or with files.
    pub(crate) fn content_type(self, with_files: bool) -> ContentType {
        match (self, with_files) {
            (Self::Csv, false) => ContentType::Csv,
            (Self::Json, false) => ContentType::Json,
            (Self::Xml, false) => ContentType::Xml,
            (Self::Csv, true) => ContentType::ZipCsv,
            (Self::Json, true) => ContentType::ZipJson,
            (Self::Xml, true) => ContentType::ZipXml,
        }
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct Query {
    /// 'SELECT …', @FILE for a file that holds it, or - for stdin
    pub(crate) soql: String,
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(flatten)]
    pub(crate) manner: Manner,
    /// Deleted and archived records too
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) chunks: Chunks,
    /// What the rows are written as: a CSV text, a JSON list, or an XML document
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Csv)]
    pub(crate) format: Format,
    /// The file for the rows, which appears only when it is whole; - is stdout
    #[arg(short = 'O', long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// How the server splits a query.
#[derive(Debug, clap::Args)]
pub(crate) struct Chunks {
    /// Have the server split the query into chunks of N ids, 100,000 if it is not said; for tables
    /// of millions, and queries that time out
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true,
          default_missing_value = "100000")]
    pub(crate) chunk: Option<u32>,
    /// The object whose ids are split, if FROM names its share or history
    #[arg(long, value_name = "OBJECT", requires = "chunk")]
    pub(crate) chunk_parent: Option<String>,
    /// The id at which the first chunk begins
    #[arg(long, value_name = "ID", requires = "chunk")]
    pub(crate) chunk_start: Option<RecordId>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Resume {
    /// A job of the run, or the beginning of its id [default: the newest run]
    pub(crate) job: Option<String>,
    #[command(flatten)]
    pub(crate) manner: Manner,
}

/// How a run is followed, and for how long; a query only with --output.
#[derive(Debug, clap::Args)]
pub(crate) struct Manner {
    /// Say only what went wrong, each thing in a line
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// One JSON object on stdout at the end
    #[arg(long)]
    pub(crate) json: bool,
    /// Leave after so long, for example 30s, 10m or 2h; sfbulk resume goes on
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) wait: Option<Duration>,
    /// Leave once all is sent; sfbulk resume fetches the results
    #[arg(long)]
    pub(crate) detach: bool,
}

fn record_id(text: &str) -> Result<RecordId, String> {
    text.parse().map_err(|error: sfbulk_ureq::Error| error.message().to_owned())
}

fn line_ending(text: &str) -> Result<LineEnding, &'static str> {
    match text {
        "lf" => Ok(LineEnding::Lf),
        "crlf" => Ok(LineEnding::Crlf),
        _ => Err("lf or crlf"),
    }
}

fn on_or_off(text: &str) -> Result<bool, &'static str> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("on or off"),
    }
}

/// A whole number and its unit.
fn duration(text: &str) -> Result<Duration, &'static str> {
    let units = [("s", 1), ("m", 60), ("h", 3600)];
    let of = |(unit, seconds): (&str, u64)| {
        text.strip_suffix(unit)?.parse::<u64>().ok()?.checked_mul(seconds)
    };
    let seconds = units.into_iter().find_map(of).filter(|seconds| *seconds <= LONGEST_WAIT);
    seconds.map(Duration::from_secs).ok_or("a duration looks like 30s, 10m or 2h")
}

#[derive(Debug, clap::Args)]
pub(crate) struct Common {
    /// The org: practice, or a name that sf knows [default: see sfbulk --help]
    #[arg(short, long, value_name = "NAME", env = "SFBULK_ORG")]
    pub(crate) org: Option<String>,
    /// The API version to speak, for example 64.0 [default: 66.0]
    #[arg(long, value_name = "VERSION")]
    pub(crate) api_version: Option<String>,
    /// Whether bodies are compressed on their way [default: on, but off within this machine]
    #[arg(long, value_name = "on|off", value_parser = on_or_off)]
    pub(crate) gzip: Option<bool>,
    /// A batch that the org cannot finish at once fails, instead of being tried again by the org
    #[arg(long)]
    pub(crate) no_server_retry: bool,
}
