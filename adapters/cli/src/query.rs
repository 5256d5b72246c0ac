//! The query: rows as the server wrote them, to a file that appears whole, or to stdout.

use std::fs::{self, File};
use std::io::{self, IsTerminal, Read, Write};
use std::path::Path;

use sfbulk::rows::{Batch, CsvText, Rows};
use sfbulk_ureq::{
    Ask, Draft, Error, ErrorInfo, ErrorKind, Host, Job, Note, Page, Plain, Session, Spec, Summary,
};

use crate::args::Query;
use crate::exit::{Exit, Failure, in_words};
use crate::interrupt;
use crate::load::{common, drive, introduce, say};
use crate::org::{Choice, Org};
use crate::output;
use crate::progress::{Progress, Things, Took, complain};
use crate::report::{self, Report, What};

/// Runs one query from its arguments to its last line.
pub(crate) fn run(args: &Query) -> Result<Exit, Failure> {
    let mut asked = spec(args, String::new());
    query(args, &mut asked).inspect_err(|failure| {
        if args.json {
            Report::nothing_sent(&asked, What::Query { output_file: None }, failure).print();
        }
    })
}

/// Leaves in `asked` what is asked of the org, once this is known.
fn query(args: &Query, asked: &mut Spec) -> Result<Exit, Failure> {
    let output = output(args)?;
    let soql = soql(&args.soql)?;
    *asked = spec(args, soql);
    let mut job = Job::new(common(asked.clone(), &args.common))?;
    let org = Choice::of(args.common.org.as_deref())?;
    let sink = Sink::open(output)?;
    let org = org.open()?;
    let mut progress = Progress::new(args.common.quiet);
    introduce(&mut progress, &org);
    interrupt::watch()?;
    let silent = output.is_none() && io::stdout().is_terminal();
    let mut desk = Desk { org, sink, progress, silent, received: 0 };
    let result = drive(&mut job, &mut desk);
    Ok(desk.conclude(&job, result.err(), args))
}

fn spec(args: &Query, soql: String) -> Spec {
    if args.all { Spec::query_all(soql) } else { Spec::query(soql) }
}

/// The file for the rows; none is stdout, and so is `-`.
fn output(args: &Query) -> Result<Option<&Path>, Failure> {
    let output = args.output.as_deref().filter(|path| !output::is_stdout(path));
    if args.json && output.is_none() {
        let message = "--json needs a FILE as --output: on stdout it would stand among the rows";
        return Err(Failure::nothing_sent(message));
    }
    Ok(output)
}

/// The query's text: as it is, from a file, or from stdin; without the semicolon that other tools
/// want at its end.
fn soql(argument: &str) -> Result<String, Failure> {
    let (name, read) = match argument.strip_prefix('@') {
        Some(path) => (path, fs::read_to_string(path)),
        None if argument == "-" => {
            let mut text = String::new();
            ("stdin", io::stdin().lock().read_to_string(&mut text).map(|_| text))
        }
        None if is_file_name(argument) => {
            let message = format!("{argument:?} is no query; did you mean @{argument}?");
            return Err(Failure::nothing_sent(message));
        }
        None => ("", Ok(argument.to_owned())),
    };
    let text = read.map_err(|e| Failure::nothing_sent(in_words(&e)).of_file(name))?;
    let text = text.trim_start_matches('\u{feff}').trim();
    Ok(text.strip_suffix(';').unwrap_or(text).trim_end().to_owned())
}

fn is_file_name(argument: &str) -> bool {
    let mut words = argument.split_whitespace();
    !words.any(|word| word.eq_ignore_ascii_case("FROM")) && Path::new(argument).is_file()
}

struct Desk {
    org: Org,
    sink: Sink,
    progress: Progress,
    /// The rows themselves show how it gets on.
    silent: bool,
    received: u64,
}

impl Host for Desk {
    fn batch(&mut self, _ask: Ask) -> Result<Option<Batch>, Error> {
        Ok(None) // a query has no rows to give
    }

    fn page(&mut self, page: Page) -> Result<(), Error> {
        let Page::Rows(rows) = page else { return Ok(()) };
        self.received += rows.count;
        if !self.silent {
            self.progress.show(self.received, None, "received");
        }
        self.sink.rows(&rows)
    }

    fn login(&mut self, expired: Option<&ErrorInfo>) -> Result<Session, Error> {
        self.org.login(expired)
    }

    fn note(&mut self, note: Note, _summary: &Summary) -> Result<(), Error> {
        if let Note::Created(job) = note {
            interrupt::leaves(job, None);
        }
        say(&mut self.progress, note);
        Ok(())
    }

    fn aborts(&mut self) -> bool {
        interrupt::pending()
    }
}

impl Desk {
    fn conclude(mut self, job: &Job, failed: Option<Error>, args: &Query) -> Exit {
        let summary = job.summary();
        self.progress.clear();
        if self.sink.nobody_reads {
            return Exit::Good; // `| head` has what it wanted
        }
        let interrupted = summary.aborted;
        let not_whole = self.sink.not_whole(args);
        let written = match failed {
            Some(error) => Err(error),
            None if interrupted => Ok(()),
            None => self.sink.publish(job.spec()),
        };
        let exit = match &written {
            _ if interrupted => Exit::Interrupted,
            Ok(()) => Exit::Good,
            Err(_) if summary.calls == 0 => Exit::NothingSent,
            Err(_) => Exit::Failed,
        };
        if let Err(error) = &written {
            complain(error);
        }
        let how = match exit {
            Exit::Good | Exit::RowsFailed => "done",
            Exit::Interrupted => "stopped",
            Exit::Failed | Exit::NothingSent => "failed",
        };
        let (took, rows) = (Took(self.progress.elapsed()), Things(summary.rows, "row"));
        let which =
            summary.jobs.last().map_or("no job was created".into(), |id| format!("job {id}"));
        self.progress.say(format_args!("{how} in {took}   {rows}   ({which})"));
        if let Some(message) = not_whole.filter(|_| exit != Exit::Good) {
            complain(&message);
        }
        if args.json {
            let file = args.output.as_deref().filter(|_| exit == Exit::Good);
            let what = What::Query { output_file: report::path(file) };
            let run = (job, self.org.name.as_str(), summary.rows);
            Report::new(run, self.progress.elapsed(), what, (exit, written.as_ref().err())).print();
        }
        exit
    }
}

/// Where the rows go.
struct Sink {
    to: To,
    text: CsvText,
    /// Whether rows came.
    begun: bool,
    nobody_reads: bool,
}

enum To {
    Stdout(io::Stdout),
    /// A device or a pipe: nothing to rename.
    Device(File),
    Draft(Draft),
}

impl Sink {
    fn open(path: Option<&Path>) -> Result<Self, Failure> {
        let to = match path {
            None => Ok(To::Stdout(io::stdout())),
            Some(path) if output::is_device(path) => output::create(path).map(To::Device),
            Some(path) => Draft::create(path).map(To::Draft),
        };
        let to = to.map_err(|error| {
            let name = path.map(|path| path.display().to_string()).unwrap_or_default();
            Failure::nothing_sent(in_words(&error)).of_file(&name)
        })?;
        Ok(Self { to, text: CsvText::new(), begun: false, nobody_reads: false })
    }

    /// What is to be said of the rows that came if they are not all.
    fn not_whole(&self, args: &Query) -> Option<String> {
        match &self.to {
            To::Draft(_) => {
                let name = args.output.as_deref().unwrap_or(Path::new("")).display().to_string();
                Some(format!("{} was not written: the result is not whole", Plain(&name)))
            }
            To::Stdout(_) if self.begun => {
                Some("what was written to stdout is not the whole result".into())
            }
            To::Device(_) if self.begun => Some("what was written is not the whole result".into()),
            To::Stdout(_) | To::Device(_) => None,
        }
    }

    fn rows(&mut self, rows: &Rows) -> Result<(), Error> {
        self.begun = true;
        self.text.pieces(rows).into_iter().try_for_each(|piece| self.write(piece))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let written = match &mut self.to {
            To::Stdout(stdout) => stdout.write_all(bytes).and_then(|()| stdout.flush()),
            To::Device(file) => file.write_all(bytes),
            To::Draft(draft) => draft.file().write_all(bytes),
        };
        written.map_err(|error| {
            self.nobody_reads = error.kind() == io::ErrorKind::BrokenPipe;
            local(&error)
        })
    }

    /// The result is whole: if it is a file, it gets its name now.
    fn publish(mut self, spec: &Spec) -> Result<(), Error> {
        let end = std::mem::take(&mut self.text).end(spec.columns());
        self.write(end.as_bytes())?;
        match self.to {
            To::Draft(draft) => draft.publish().map_err(|error| local(&error)),
            To::Stdout(_) | To::Device(_) => Ok(()),
        }
    }
}

fn local(error: &io::Error) -> Error {
    let message = format!("the rows cannot be written: {}", in_words(error));
    Error::new(ErrorKind::Local, message)
}
