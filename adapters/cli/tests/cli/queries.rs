//! Queries: the whole result, or no file.

use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::stage::Stage;
use crate::wire::{Fate, JOB, Script};

const SOQL: &str = "SELECT Id, Name FROM Account";

fn files(files: &[&str]) -> Script {
    Script { files: files.iter().map(|&file| file.into()).collect(), ..Script::default() }
}

#[test]
fn rows_go_to_stdout_with_one_header() {
    let stage = Stage::with(files(&[
        "\"Id\",\"Name\"\n\"1\",\"a\"\n\"2\",\"b\nc\"\n",
        "\"Id\",\"Name\"\n\"3\",\"c\"\n",
        "\"Id\",\"Name\"\n\"4\",\"d\"",
    ]));
    let ran = stage.run(&["query", SOQL]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.out, "\"Id\",\"Name\"\n\"1\",\"a\"\n\"2\",\"b\nc\"\n\"3\",\"c\"\n\"4\",\"d\"\n");
    assert!(ran.err.contains("4 rows"), "{ran:?}");
}

#[test]
fn one_file_goes_to_a_file() {
    let stage = Stage::with(files(&["\"Id\",\"Name\"\n\"1\",\"a\"\n"]));
    stage.file("out.csv", "yesterday's");
    let ran = stage.run(&["query", SOQL, "-O", "out.csv", "--json", "-q"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(stage.read("out.csv"), "\"Id\",\"Name\"\n\"1\",\"a\"\n");
    assert_eq!(stage.names(), ["out.csv"]);
    let told: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&told["rows"], &told["output_file"]), (&1.into(), &"out.csv".into()));
    assert_eq!(told["job_id"], JOB);
}

#[test]
fn a_result_without_rows_has_a_header() {
    for (soql, result, expected) in [
        (SOQL, &[][..], "\"Id\",\"Name\"\n"),
        (SOQL, &["Records not found for this query"], "\"Id\",\"Name\"\n"),
        (SOQL, &["\"Id\",\"Name\"\n"], "\"Id\",\"Name\"\n"),
        ("SELECT toLabel(Status) FROM Account", &[], ""),
    ] {
        let stage = Stage::with(Script { promised: Some(0), ..files(result) });
        let ran = stage.run(&["query", soql, "-O", "out.csv"]);
        assert_eq!(ran.code, Some(0), "{result:?} {ran:?}");
        assert_eq!(stage.read("out.csv"), expected, "{result:?}");
    }
}

#[test]
fn a_short_result_is_no_file() {
    let script = files(&["\"Id\",\"Name\"\n\"1\",\"a\"\n"]);
    let stage = Stage::with(Script { promised: Some(2), ..script });
    stage.file("out.csv", "yesterday's");
    let ran = stage.run(&["query", SOQL, "-O", "out.csv", "--json"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("1 rows, but the server promised 2"), "{ran:?}");
    assert!(ran.err.contains("out.csv was not written"), "{ran:?}");
    assert_eq!((stage.names(), &*stage.read("out.csv")), (vec!["out.csv".into()], "yesterday's"));
    assert!(ran.out.contains("\"output_file\":null"), "{ran:?}");
}

#[test]
fn a_transfer_that_breaks_goes_on_behind_what_there_is() {
    let row = |i| format!("\"{i}\",\"{}\"\n", "x".repeat(1000));
    let file = format!("\"Id\",\"Name\"\n{}", (0..500).map(row).collect::<String>());
    let stage = Stage::with(Script { cuts: 1, ..files(&[&file]) });
    let ran = stage.run(&["query", SOQL, "-O", "out.csv"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(stage.read("out.csv") == file);
    assert!(ran.err.contains("again in"), "{ran:?}");
}

#[cfg(unix)]
#[test]
fn a_transfer_that_never_ends_is_no_file() {
    let stage =
        Stage::with(Script { cuts: usize::MAX, ..files(&["\"Id\",\"Name\"\n\"1\",\"a\"\n"]) });
    let child = stage.spawn(&mut stage.command(&["query", SOQL, "-O", "out.csv"]));
    while stage.wire.count(&format!("GET /{JOB}/batch/751")) < 2 {
        thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(stage.names(), ["out.csv.partial"]);
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    assert!(stage.names().is_empty(), "{:?}", stage.names());
}

#[test]
fn files_with_different_columns_are_no_result() {
    let stage =
        Stage::with(files(&["\"Id\",\"Name\"\n\"1\",\"a\"\n", "\"Name\",\"Id\"\n\"b\",\"2\"\n"]));
    let ran = stage.run(&["query", SOQL, "-O", "out.csv"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(stage.names().is_empty(), "{:?}", stage.names());
}

#[test]
fn a_query_that_fails_says_why() {
    let why = "InvalidBatch : Failed to process query: MALFORMED_QUERY: no such column";
    let batches = [(0, Fate::Failed(why))].into();
    let stage = Stage::with(Script { batches, ..Script::default() });
    let ran = stage.run(&["query", SOQL]);
    assert_eq!((ran.code, &*ran.out), (Some(1), ""), "{ran:?}");
    assert!(ran.err.contains("MALFORMED_QUERY") && ran.err.contains(JOB), "{ran:?}");
    let (reason, end) = (ran.err.find("MALFORMED_QUERY"), ran.err.find("failed in"));
    assert!(reason < end && !ran.err.contains("stdout"), "nothing was written: {ran:?}");
}

#[test]
fn a_short_result_on_stdout_is_said_to_be_short() {
    let script = files(&["\"Id\",\"Name\"\n\"1\",\"a\"\n"]);
    let stage = Stage::with(Script { promised: Some(2), ..script });
    let ran = stage.run(&["query", SOQL]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("   1 row   ("), "{ran:?}");
    assert!(ran.err.ends_with("what was written to stdout is not the whole result\n"), "{ran:?}");
}

#[test]
fn a_semicolon_and_a_dash_are_understood() {
    let stage = Stage::with(files(&["\"Id\"\n\"1\"\n"]));
    let ran = stage.run(&["query", "SELECT Id FROM Account ; ", "-O", "-"]);
    assert_eq!((ran.code, &*ran.out), (Some(0), "\"Id\"\n\"1\"\n"), "{ran:?}");
    assert!(stage.wire.bodies().contains(&"SELECT Id FROM Account".to_owned()));
    assert_eq!(stage.names(), [""; 0]);
}

#[test]
fn the_query_comes_from_a_file_or_a_pipe() {
    let stage = Stage::with(files(&["\"Id\"\n\"1\"\n"]));
    stage.file("q.soql", "SELECT Id\nFROM Account\n");
    assert_eq!(stage.run(&["query", "@q.soql", "--all"]).code, Some(0));
    assert!(stage.wire.bodies()[0].contains("<operation>queryAll<"));
    assert!(stage.wire.bodies().contains(&"SELECT Id\nFROM Account".to_owned()));
    assert_eq!(stage.run(&["query", "@missing.soql"]).code, Some(2));

    let stage = Stage::with(files(&["\"Id\"\n\"1\"\n"]));
    let ran = stage.run_with_stdin(&["query", "-"], "SELECT Id FROM Lead\n");
    assert_eq!((ran.code, &*ran.out), (Some(0), "\"Id\"\n\"1\"\n"), "{ran:?}");
}

#[test]
fn a_reader_that_has_enough_is_no_failure() {
    let row = "\"1\",\"a long name, to fill the pipe\"\n";
    let stage = Stage::with(files(&[&format!("\"Id\",\"Name\"\n{}", row.repeat(100_000))]));
    let mut child = stage.spawn(&mut stage.command(&["query", SOQL]));
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{err}");
    assert!(!err.contains("panicked") && !err.contains("cannot be written"), "{err}");
}

#[test]
fn a_device_is_written_to_as_it_is() {
    let stage = Stage::with(files(&["\"Id\"\n\"1\"\n"]));
    let mut command = stage.command(&["query", SOQL, "-O", "/dev/stdout"]);
    let output = command.stdout(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(output.stdout, b"\"Id\"\n\"1\"\n");
}
