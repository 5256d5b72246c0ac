//! The query: rows as the server wrote them, to a file that appears whole, or to stdout.

use std::fs::{self, File};
use std::io::{self, IsTerminal, Read, Seek, Write};
use std::path::Path;

use sfbulk::rows::{Batch, Rows, Text};
use sfbulk_ureq::{
    Ask, Checkpoint, Draft, Error, ErrorInfo, ErrorKind, Host, Job, JobId, Note, Page, PkChunking,
    Plain, Session, Spec, Summary, Syntax,
};

use crate::args::{Chunks, Manner, Query};
use crate::exit::{Exit, Failure, in_words};
use crate::interrupt;
use crate::journal::{Entry, Journal, Task};
use crate::org::{Choice, Org};
use crate::output;
use crate::progress::{Progress, Things, Took, complain};
use crate::report::{self, Report, What};
use crate::run::{command, common, drive, exit_of, introduce, say};

/// Runs one query from its arguments to its last line.
pub(crate) fn run(args: &Query) -> Result<Exit, Failure> {
    let mut asked = spec(args, String::new());
    query(args, &mut asked).inspect_err(|failure| {
        if args.manner.json {
            Report::nothing_sent(Some(&asked), What::Query { output_file: None }, failure).print();
        }
    })
}

/// Goes on with the query of a journal, or ends it.
pub(crate) fn resume(
    (journal, entry): (Journal, Entry),
    output: &Path,
    manner: &Manner,
    aborts: bool,
) -> Result<Exit, Failure> {
    let org = Choice::again(entry.org)?;
    let job = Job::resume(entry.checkpoint)?;
    let output = output::from_here(output.to_owned());
    Begin { job, org, journal: Some(journal), output: Some(&output), manner, aborts }.run()
}

/// Leaves in `asked` what is asked of the org, once this is known.
fn query(args: &Query, asked: &mut Spec) -> Result<Exit, Failure> {
    let output = output(args)?;
    let soql = soql(&args.soql)?;
    *asked = spec(args, soql);
    let job = Job::new(common(asked.clone(), &args.common))?;
    let org = Choice::of(args.common.org.as_deref())?;
    // Rows on their way to stdout or a device cannot be taken back.
    let kept = output.filter(|path| !output::is_device(path));
    let journal = kept.map(|_| Journal::begin()).transpose()?;
    Begin { job, org, journal, output, manner: &args.manner, aborts: false }.run()
}

/// A query about to start.
struct Begin<'a> {
    job: Job,
    org: Choice,
    journal: Option<Journal>,
    output: Option<&'a Path>,
    manner: &'a Manner,
    aborts: bool,
}

impl Begin<'_> {
    fn run(self) -> Result<Exit, Failure> {
        let Self { mut job, org, mut journal, output, manner, aborts } = self;
        let sink = Sink::open(output, job.spec().syntax())?;
        let target = org.target();
        let org = org.open()?;
        let mut progress = Progress::new(manner.quiet);
        introduce(&mut progress, &org);
        interrupt::watch()?;
        if let Some((journal, output)) = journal.as_mut().zip(output) {
            let task = Task::Query { output: output::absolute(output) };
            journal.store(Entry::new(target, task, job.checkpoint()))?;
        }
        let mut desk = Desk {
            org,
            sink,
            journal,
            progress,
            silent: output.is_none() && io::stdout().is_terminal(),
            received: 0,
            job: job.summary().jobs.first().copied(),
            aborts,
            detaches: manner.detach,
            closed: false,
        };
        let result = drive(&mut job, &mut desk, manner.wait, Desk::forget);
        Ok(desk.conclude(&job, result.err(), output, manner.json))
    }
}

fn spec(args: &Query, soql: String) -> Spec {
    let spec = if args.all { Spec::query_all(soql) } else { Spec::query(soql) };
    let spec = spec.content_type(args.format.content_type(false));
    let Chunks { chunk, chunk_parent, chunk_start } = &args.chunks;
    if chunk.is_none() {
        return spec;
    }
    let (size, parent, start_row) = (*chunk, chunk_parent.clone(), *chunk_start);
    spec.pk_chunking(PkChunking { size, parent, start_row })
}

/// The file for the rows; none is stdout, and so is `-`.
fn output(args: &Query) -> Result<Option<&Path>, Failure> {
    let output = args.output.as_deref().filter(|path| !output::is_stdout(path));
    let Manner { json, wait, detach, .. } = &args.manner;
    let message = if *json {
        "--json needs a FILE as --output: on stdout it would stand among the rows"
    } else if *detach || wait.is_some() {
        "--wait and --detach need a FILE as --output: a query to stdout cannot be resumed"
    } else {
        return Ok(output);
    };
    if output.is_none() { Err(Failure::nothing_sent(message)) } else { Ok(output) }
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

#[allow(clippy::struct_excessive_bools)] // independent facts, not a state
struct Desk {
    org: Org,
    sink: Sink,
    journal: Option<Journal>,
    progress: Progress,
    /// The rows themselves show how it gets on.
    silent: bool,
    received: u64,
    /// The run's first job, by which people name it.
    job: Option<JobId>,
    aborts: bool,
    /// It leaves once the query is on the server.
    detaches: bool,
    closed: bool,
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
        match note {
            Note::Created(job) => {
                self.job.get_or_insert(job);
                interrupt::leaves(self.how_to_go_on());
            }
            Note::Closed(_) => self.closed = true,
            _ => {}
        }
        say(&mut self.progress, note);
        Ok(())
    }

    fn aborts(&mut self) -> bool {
        // Of a query to stdout nothing is left to go on with.
        self.aborts || (self.journal.is_none() && interrupt::pending())
    }

    fn leaves(&mut self) -> bool {
        self.journal.is_some() && (interrupt::pending() || (self.detaches && self.closed))
    }

    fn save(&mut self, checkpoint: &Checkpoint) -> Result<(), Error> {
        self.journal.as_mut().map_or(Ok(()), |journal| journal.save(checkpoint))
    }
}

impl Desk {
    /// Forgets the rows it was given, if they went into a file that nobody sees yet.
    fn forget(&mut self) -> bool {
        let forgets = self.sink.start_over().unwrap_or(false);
        if forgets {
            self.received = 0;
            self.progress.say("the result was not whole: it is read again from the beginning");
        }
        forgets
    }

    fn how_to_go_on(&self) -> String {
        match &self.journal {
            Some(_) => command("resume", self.job),
            None => self
                .job
                .map_or("nothing was asked".into(), |job| format!("job {job} may still be open")),
        }
    }

    fn conclude(
        mut self,
        job: &Job,
        failed: Option<Error>,
        output: Option<&Path>,
        json: bool,
    ) -> Exit {
        let summary = job.summary();
        self.progress.clear();
        if self.sink.nobody_reads {
            return Exit::Good; // `| head` has what it wanted
        }
        let not_whole = self.sink.not_whole(output);
        let go_on = self.how_to_go_on();
        let written = match failed {
            Some(error) => Err(error),
            None if summary.aborted => Ok(()),
            None => self.sink.publish(job.spec()),
        };
        let exit = match &written {
            Ok(()) if summary.aborted && interrupt::pending() => Exit::Interrupted,
            Ok(()) if summary.aborted => Exit::Failed,
            Ok(()) => Exit::Good,
            Err(error) => exit_of(error, summary),
        };
        let unfinished = matches!(exit, Exit::Interrupted | Exit::Unfinished) && written.is_err();
        if let Some(error) = written.as_ref().err().filter(|_| !unfinished) {
            complain(error);
        }
        let how = match exit {
            Exit::Good | Exit::RowsFailed => "done",
            Exit::Interrupted => "stopped",
            Exit::Unfinished => "left",
            Exit::Failed if summary.aborted => "aborted",
            Exit::Failed | Exit::NothingSent => "failed",
        };
        let (took, rows) = (Took(self.progress.elapsed()), Things(summary.rows, "row"));
        let which = self.job.map_or("no job was created".into(), |id| format!("job {id}"));
        self.progress.say(format_args!("{how} in {took}   {rows}   ({which})"));
        if let Some(message) = not_whole.filter(|_| exit != Exit::Good) {
            complain(&message);
        }
        if json {
            let file = output.filter(|_| exit == Exit::Good);
            let what = What::Query { output_file: report::path(file) };
            let run = (job, self.org.name.as_str(), summary.rows);
            Report::new(run, self.progress.elapsed(), what, (exit, written.as_ref().err())).print();
        }
        if let Some(journal) = self.journal {
            // What the org has said to the query is its last word.
            let refused =
                written.as_ref().err().is_some_and(|error| error.kind() == ErrorKind::Refused);
            if written.is_err() && !refused && (unfinished || self.job.is_some()) {
                self.progress.say_always(format_args!("to go on: {go_on}"));
            } else {
                journal.over();
            }
        }
        exit
    }
}

/// Where the rows go.
struct Sink {
    to: To,
    text: Text,
    syntax: Syntax,
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
    fn open(path: Option<&Path>, syntax: Syntax) -> Result<Self, Failure> {
        let to = match path {
            None => Ok(To::Stdout(io::stdout())),
            Some(path) if output::is_device(path) => output::create(path).map(To::Device),
            Some(path) => Draft::create(path).map(To::Draft),
        };
        let to = to.map_err(|error| {
            let name = path.map(|path| path.display().to_string()).unwrap_or_default();
            Failure::nothing_sent(in_words(&error)).of_file(&name)
        })?;
        Ok(Self { to, text: Text::new(syntax), syntax, begun: false, nobody_reads: false })
    }

    /// What is to be said of the rows that came if they are not all.
    fn not_whole(&self, output: Option<&Path>) -> Option<String> {
        match &self.to {
            To::Draft(_) => {
                let name = output.unwrap_or(Path::new("")).display().to_string();
                Some(format!("{} was not written: the result is not whole", Plain(&name)))
            }
            To::Stdout(_) if self.begun => {
                Some("what was written to stdout is not the whole result".into())
            }
            To::Device(_) if self.begun => Some("what was written is not the whole result".into()),
            To::Stdout(_) | To::Device(_) => None,
        }
    }

    /// Empties a file that has no name yet.
    fn start_over(&mut self) -> io::Result<bool> {
        let To::Draft(draft) = &self.to else { return Ok(false) };
        draft.file().set_len(0)?;
        draft.file().rewind()?;
        (self.text, self.begun) = (Text::new(self.syntax), false);
        Ok(true)
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
