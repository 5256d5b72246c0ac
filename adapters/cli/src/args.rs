//! What can be typed. The help is written here, and nowhere else.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use sfbulk_org::login::{CLIENT_ID, CLIENT_SECRET, PASSWORD, USERNAME};

const EXAMPLES: &str = "\
Examples:
  sfbulk insert Account accounts.csv --org practice     try it: no account needed
  sfbulk upsert Account accounts.csv -k Erp_Key__c
  pg_dump_leads | sfbulk insert Lead -                  CSV from a pipe
  sfbulk query 'SELECT Id, Name FROM Account' > accounts.csv
  sfbulk query @big.soql --output big.csv               appears only when it is whole
  sfbulk insert Account accounts.*.error.csv            after mending the rows that failed
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

A run that was cut off is taken up by sfbulk resume, which needs FILE as it was, and writes the
result files anew. Do not load one of them before: the run may load its rows itself.

With --json one object is printed on stdout, also when nothing was sent (but not for arguments
that cannot be understood; org is null then, and what is not known is 0). The state is finished,
aborted, unfinished, interrupted or failed:
state, job_id, org, operation, object, rows, succeeded, created, updated, failed, unprocessed,
unknown, batches {total, completed, failed, not_processed}, duration_ms, bytes_sent, api_calls,
retries, success_file, error_file, unprocessed_file, unknown_file,
errors [{code, fields, count, first_row}], error, exit_code.";

const QUERY_HELP: &str = "\
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
    /// The rows of a SOQL query as CSV
    #[command(after_help = QUERY_HELP)]
    Query(Query),
    /// Goes on with a run that was stopped or killed, or that failed before its end
    ///
    /// The input of a load must be as it was. The org is asked what had arrived, and only what had
    /// not is sent. Result files are written anew, as if nothing had happened.
    Resume(Resume),
    /// Ends a run that was cut off: what the org has not begun never will be
    ///
    /// Rows that are in the org stay there. The result files tell of every row.
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
    /// The CSV file: UTF-8, a header of API names; - or nothing is stdin
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(flatten)]
    pub(crate) manner: Manner,
    /// The most rows in a batch; a batch also ends at 10 MB
    #[arg(short, long, value_name = "N", default_value_t = 10_000,
          value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub(crate) batch_size: u64,
    /// One batch at a time: slower, with fewer lock conflicts
    #[arg(long)]
    pub(crate) serial: bool,
    /// Batches under way at once [default: 4]
    #[arg(long, value_name = "N", conflicts_with = "serial",
          value_parser = clap::value_parser!(u8).range(1..=16))]
    pub(crate) parallel: Option<u8>,
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
    /// The file for the rows, which appears only when it is whole; - is stdout
    #[arg(short = 'O', long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
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
}
