//! What cannot be is said before anything is sent.

use std::io::Write;
use std::process::Stdio;

use crate::stage::{Ran, SESSION, Stage};

/// Runs a load of this input; it must be refused, in words that hold `words`, and unsent.
fn refused(input: impl AsRef<[u8]>, words: &str) {
    let stage = Stage::new();
    let ran = stage.file("in.csv", input).run(&["insert", "Account", "in.csv"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains(words), "{ran:?}");
    assert!(ran.err.starts_with("sfbulk: in.csv: ") && ran.err.lines().count() == 1, "{ran:?}");
    assert_eq!(stage.wire.log(), [""; 0]);
    assert_eq!(stage.names(), ["in.csv"]);
}

fn unsent(args: &[&str], words: &str) {
    let stage = Stage::new();
    let ran = stage.file("in.csv", "Name\nx\n").run(args);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains(words), "{ran:?}");
    assert_eq!(stage.wire.log(), [""; 0]);
}

fn with_env(name: &str, value: Option<&str>, words: &str) {
    let stage = Stage::new();
    stage.file("in.csv", "Name\nx\n");
    let mut command = stage.command(&["insert", "Account", "in.csv"]);
    match value {
        Some(value) => command.env(name, value),
        None => command.env_remove(name),
    };
    let output = command.output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{err}");
    assert!(err.contains(words) && !err.contains("secret"), "{err}");
    assert_eq!(stage.wire.log(), [""; 0]);
}

#[test]
fn a_missing_file() {
    unsent(&["insert", "Account", "missing.csv"], "sfbulk: missing.csv: no such file");
    unsent(&["insert", "Account", "."], "sfbulk: .: this is a folder");
}

#[test]
fn an_empty_file() {
    refused("", "empty");
    refused("\u{feff}\r\n\n", "empty");
}

#[test]
fn a_double_header() {
    refused("Name,City,NAME\na,b,c\n", "line 1: columns 1 and 3 are named \"Name\" and \"NAME\"");
}

#[test]
fn other_separators() {
    let hint = |separator| format!("separated by {separator}: sfbulk reads commas");
    refused("Name;City\nAda;London, UK\n", &hint("';'"));
    refused("\"Name\";\"City\"\nAda;London\n", &hint("';'"));
    refused("Name\tCity\nAda\tLondon\n", &hint("tabs"));
}

#[test]
fn blanks_around_a_name() {
    refused("Name, Phone\na,b\n", "column 2, \" Phone\", has blanks around its name");
}

#[test]
fn places_that_cannot_be_written() {
    let stage = Stage::new();
    std::fs::create_dir(stage.path("folder")).unwrap();
    stage.file("in.csv", "Name\nx\n");
    for option in ["--success", "--error"] {
        for (place, words) in [
            ("folder", "folder: no result files can be written: this is a folder"),
            ("new/", "this is a folder"),
            ("no/such.csv", "no such file"),
            ("in.csv/x.csv", "in.csv/x.csv: no result files"),
            ("-", "needs the name of a file"),
        ] {
            let ran = stage.run(&["insert", "Account", "in.csv", option, place]);
            assert_eq!(ran.code, Some(2), "{ran:?}");
            assert!(ran.err.contains(words), "{ran:?}");
        }
    }
    let named = ["--success", "ok.csv", "--error", "bad.csv", "--out-dir", "missing"];
    let ran = stage.run(&[&["insert", "Account", "in.csv"], &named[..]].concat());
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert_eq!(stage.wire.log(), [""; 0]);
    assert_eq!(stage.names(), ["folder", "in.csv"]);
}

#[test]
fn a_refusal_as_json() {
    let stage = Stage::new();
    stage.file("in.csv", "Name\na,b\n");
    for (args, operation, object, words) in [
        (&["insert", "Account", "in.csv"][..], "insert", "Account", "line 2"),
        (&["update", "Lead", "missing.csv"], "update", "Lead", "no such file"),
        (&["query", "SELECT Id", "-O", "x.csv"], "query", "", "no FROM"),
        (&["query", "SELECT Id FROM Lead", "-O", "."], "query", "Lead", "folder"),
    ] {
        let ran = stage.run(&[args, &["--json"]].concat());
        assert_eq!(ran.code, Some(2), "{ran:?}");
        let told: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!((&told["state"], &told["exit_code"]), (&"failed".into(), &2.into()));
        assert_eq!((&told["operation"], &told["object"]), (&operation.into(), &object.into()));
        assert!(told["error"].as_str().unwrap().contains(words), "{told}");
    }
    assert_eq!(stage.wire.log(), [""; 0]);
}

#[test]
fn a_query_file_without_its_sign() {
    let stage = Stage::new();
    stage.file("q.soql", "SELECT Id FROM Account");
    let ran = stage.run(&["query", "q.soql"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("did you mean @q.soql?"), "{ran:?}");
}

#[test]
fn a_row_of_another_width() {
    refused("Name,City\na,b\n\"c\nd\",e,f\n", "line 3: this row has 3 cells, the header has 2");
    refused("Name,City\na,b\nc\n", "line 3: this row has 1 cells");
}

#[test]
fn an_open_quote() {
    refused("Name\na\n\"b\nc\n", "line 3: a quote in this record is never closed");
}

#[test]
fn text_that_is_not_utf8() {
    refused(b"Name\na\nM\xfcller\n", "line 3: the text is not UTF-8");
}

#[test]
fn a_cell_too_long() {
    refused(
        format!("Name\na\n{}\n", "x".repeat(200 << 10)),
        "line 3: the cell \"Name\" has 204800",
    );
}

#[test]
fn a_late_mistake_in_a_long_file() {
    refused(format!("Name\n{}a,b\n", "row\n".repeat(50_000)), "line 50002: this row has 2 cells");
}

#[test]
fn a_gzip_file() {
    refused(b"\x1f\x8b\x08\x00\x00\x00\x00\x00", "gunzip");
}

#[test]
fn an_unknown_verb_or_flag() {
    unsent(&["inserts", "Account", "in.csv"], "unrecognized subcommand");
    unsent(&["insert", "Account", "in.csv", "--token", "x"], "unexpected argument");
    unsent(&["insert", "Account", "in.csv", "-b", "10001"], "10001");
    unsent(&["insert", "Account", "in.csv", "--parallel", "0"], "0");
    unsent(&[], "Usage");
}

#[test]
fn names_that_cannot_be() {
    unsent(&["insert", "Acc ount", "in.csv"], "not the API name");
    unsent(&["insert", "Account", "in.csv", "--api-version", "66"], "not an API version");
    unsent(&["query", "SELECT Id"], "no FROM");
    unsent(&["query", "SELECT Id FROM Account", "--json"], "--output");
    unsent(&["query", "SELECT Id FROM Account", "-O", "."], "folder");
    unsent(&["query", "SELECT Id FROM Account", "-O", "-", "--json"], "--json needs a FILE");
}

#[test]
fn an_org_nobody_knows() {
    let stage = Stage::new();
    stage.file("in.csv", "Name\nx\n");
    let mut command = stage.command(&["insert", "Account", "in.csv", "--org", "prod"]);
    let ran: Ran = command.env("PATH", "").output().unwrap().into();
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("install the Salesforce CLI"), "{ran:?}");
    unsent(&["insert", "Account", "in.csv", "--org=-prod"], "no name of an org");
}

#[test]
fn no_org_at_all() {
    let stage = Stage::new();
    let mut command = stage.command(&["query", "SELECT Id FROM Account"]);
    command.env_remove("SF_ACCESS_TOKEN").env_remove("SF_ORG_INSTANCE_URL");
    let output = command.output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    for way in ["SF_ACCESS_TOKEN", "SF_ORG_INSTANCE_URL", "SF_TARGET_ORG", "--org practice"] {
        assert!(err.contains(way), "{err}");
    }
    assert_eq!(stage.names(), [""; 0], "no practice org was made");
}

#[test]
fn half_an_org() {
    with_env("SF_ACCESS_TOKEN", None, "SF_ACCESS_TOKEN is not set");
    with_env("SF_ORG_INSTANCE_URL", None, "SF_ORG_INSTANCE_URL is not set");
}

#[test]
fn plain_http_to_another_host() {
    with_env("SF_ORG_INSTANCE_URL", Some("http://acme.example"), "plain http");
}

#[test]
fn a_session_with_a_line_break() {
    with_env("SF_ACCESS_TOKEN", Some(&format!("{SESSION}\n")), "a line break");
}

#[test]
fn an_input_that_breaks_off_in_a_pipe() {
    let stage = Stage::new();
    let mut command = stage.command(&["insert", "Account", "-"]);
    let mut child = stage.spawn(command.stdin(Stdio::piped()));
    child.stdin.take().unwrap().write_all(b"Name\n\"half").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("stdin: line 2"), "{output:?}");
    assert_eq!(stage.wire.log(), [""; 0]);
}

#[test]
fn the_help_tells_the_defaults_and_the_files() {
    let stage = Stage::new();
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let help = words(&stage.run(&["insert", "--help"]).out);
    for told in [
        "[default: 66.0]",
        "[default: 4]",
        "without a byte order mark",
        "the columns of FILE, ERROR (the reason)",
        "An empty cell leaves a field alone; #N/A clears it.",
    ] {
        assert!(help.contains(told), "{told}: {help}");
    }
}
