//! The practice org, through the command alone.

use std::io::{BufRead, BufReader};
use std::process::Command;

use crate::stage::Stage;

type Table = Vec<Vec<String>>;

fn table(text: &str) -> Table {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
    let row = |row: csv::StringRecord| row.iter().map(str::to_owned).collect();
    reader.records().map(|record| row(record.unwrap())).collect()
}

/// The one file in the folder whose name ends so.
fn ending(stage: &Stage, end: &str) -> String {
    ending_of(stage, "", end)
}

/// The one file in the folder whose name begins and ends so.
fn ending_of(stage: &Stage, start: &str, end: &str) -> String {
    let mut names = stage.names();
    names.retain(|name| name.starts_with(start) && name.ends_with(end));
    let [name] = &names[..] else { panic!("{start}…{end}: {:?}", stage.names()) };
    stage.read(name)
}

/// Cells that say the same: the org writes numbers its own way, with LF for any line end.
fn same(sent: &str, found: &str) -> bool {
    let number = |text: &str| text.parse::<f64>().ok();
    let plain = |text: &str| text.replace("\r\n", "\n").trim().to_owned();
    plain(sent) == plain(found) || number(sent).is_some_and(|sent| number(found) == Some(sent))
}

#[test]
fn what_was_inserted_is_what_a_query_finds() {
    let sample = include_str!("../../../../tests/data/accounts.csv");
    let stage = Stage::new();
    stage.file("accounts.csv", sample);
    let ran = stage.run(&["insert", "Account", "accounts.csv", "--org", "practice"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.err.starts_with(
        "practice  embedded org in ./.sfbulk/practice.db; nothing leaves this machine\n"
    ));
    let sent = table(sample.trim_start_matches('\u{feff}'));
    let success = table(&ending(&stage, ".success.csv"));

    let soql = format!("SELECT Id, {} FROM Account", sent[0].join(", "));
    let ran = stage.run(&["query", &soql, "--org", "practice"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let found = table(&ran.out);
    assert_eq!(found[0][1..], sent[0]);
    assert_eq!((found.len(), sent.len(), success.len()), (26, 26, 26));
    for ((found, sent), success) in found.iter().zip(&sent).zip(&success).skip(1) {
        assert_eq!(found[0], success[0], "the id of another row");
        for (found, sent) in found[1..].iter().zip(sent) {
            assert!(same(sent, found), "{sent:?} came back as {found:?}");
        }
    }
    assert_eq!(stage.wire.log(), [""; 0], "nothing leaves this machine");
}

#[test]
fn a_file_means_the_same_in_every_format() {
    let told: Vec<_> = ["csv", "json", "xml"].map(in_format).into();
    assert_eq!(told[0], told[1]);
    assert_eq!(told[0], told[2]);
}

/// Inserts and upserts contacts in a format: the result files, and what is in the org afterwards.
fn in_format(format: &str) -> (String, Vec<Table>) {
    let stage = Stage::new();
    let practice = |args: &[&str]| stage.run(&[args, &["--org", "practice"]].concat());
    stage.file("accounts.csv", "Name,Key__c\nAcme,a1\n\"B & Söhne\",a2\n");
    assert_eq!(practice(&["insert", "Account", "accounts.csv"]).code, Some(0));
    let load = |name: &str, verb: &[&str], rows: &str| {
        stage.file(name, rows);
        let ran = practice(&[verb, &[name, "--format", format, "--json", "-b", "2"]].concat());
        let report = format!("{ran:?}");
        assert_eq!(ran.code, Some(3), "{report}");
        assert!(
            ran.out.contains("\"succeeded\": 3") || ran.out.contains("\"succeeded\":3"),
            "{report}"
        );
    };
    let first = "Key__c,LastName,Phone,Description,Account.Key__c\n\
                 1,Ada,1,\"two\nlines, \"\"quoted\"\" <&> 😀\",a1\n2,Hopper,2, x ,a2\n3,,3,,a1\n4,King,4,,\n";
    load("first.csv", &["insert", "Contact"], first);
    // An empty cell leaves a field alone, #N/A clears it; nobody has the last key.
    let second = "Key__c,LastName,Phone,Account.Key__c,ERROR\n\
                  1,,#N/A,a2,x\n2,Grace,,,x\n5,New,,a1,x\n4,King,#N/A,nobody,x\n";
    load("second.csv", &["upsert", "Contact", "-k", "Key__c"], second);
    let tables = ["first", "second"].map(|name| table(&ending_of(&stage, name, ".error.csv")));
    let soql =
        "SELECT Key__c, LastName, Phone, Description, Account.Name FROM Contact ORDER BY Key__c";
    let found = practice(&["query", soql]).out;
    assert!(
        found.contains("\"1\",\"Ada\",\"\",\"two\nlines, \"\"quoted\"\" <&> 😀\",\"B & Söhne\"\n"),
        "{found}"
    );
    (found, tables.into())
}

#[test]
fn what_a_format_cannot_carry_is_told_by_its_row_before_anything_is_sent() {
    let stage = Stage::new();
    for (format, text, why) in [
        ("xml", "Name\na\nb\u{1}\n", "XML cannot carry the character U+0001"),
        ("json", "Name,a b\nx,y\n", "names look like Field"),
        ("json", "Name,City\nx\n", "line 2"),
    ] {
        stage.file("in.csv", text);
        let ran = stage.run(&["insert", "Account", "in.csv", "--format", format]);
        assert_eq!((ran.code, ran.err.contains(why)), (Some(2), true), "{ran:?}");
        assert_eq!(stage.wire.log(), [""; 0]);
    }
}

#[test]
fn failures_are_mended_and_loaded_again() {
    let stage = Stage::new();
    let practice = |args: &[&str]| stage.run(&[args, &["--org", "practice"]].concat());
    stage.file("in.csv", "LastName,Email\nAda,ada@example.com\n,nobody@example.com\n");
    assert_eq!(practice(&["insert", "Contact", "in.csv", "--error", "again.csv"]).code, Some(3));
    let failed = stage.read("again.csv");
    assert!(failed.contains("REQUIRED_FIELD_MISSING"), "{failed}");
    stage.file("again.csv", failed.replace("\n,nobody", "\nHopper,nobody"));
    assert_eq!(practice(&["insert", "Contact", "again.csv", "--success", "ok.csv"]).code, Some(0));

    let ids: Vec<_> = table(&stage.read("ok.csv"))[1..].iter().map(|row| row[0].clone()).collect();
    stage.file("ids.csv", format!("Id\n{}\n", ids.join("\n")));
    assert_eq!(practice(&["delete", "Contact", "ids.csv"]).code, Some(0));
    let names = |more: &[&str]| {
        let ran = practice(&[&["query", "SELECT LastName FROM Contact"], more].concat());
        let mut names = table(&ran.out).concat();
        names.sort();
        names
    };
    assert_eq!(names(&[]), ["Ada", "LastName"]);
    assert_eq!(names(&["--all"]), ["Ada", "Hopper", "LastName"]);
}

#[cfg(unix)]
#[test]
fn the_practice_org_serves_other_programs() {
    use std::os::unix::fs::PermissionsExt;
    let stage = Stage::new();
    let mut server = stage.spawn(&mut stage.command(&["practice", "serve", "--port", "0"]));
    let lines = BufReader::new(server.stdout.take().unwrap()).lines().map(Result::unwrap);
    let lines: Vec<String> = lines.take(5).collect();
    let value = |name| lines.iter().find_map(|line| line.strip_prefix(name)).unwrap().trim();
    let (address, session) = (value("address"), value("session"));
    assert!(address.starts_with("http://127.0.0.1:"), "{lines:?}");
    assert!(session.starts_with("00D") && session.contains('!'), "{lines:?}");

    stage.file("in.csv", "Name\nx\n");
    let mut command = stage.command(&["insert", "Account", "in.csv"]);
    command.env("SF_ACCESS_TOKEN", session).env("SF_ORG_INSTANCE_URL", address);
    assert_eq!(command.output().unwrap().status.code(), Some(0));
    for (name, mode) in [(".sfbulk", 0o700), (".sfbulk/practice.db", 0o600)] {
        let found = std::fs::metadata(stage.path(name)).unwrap().permissions().mode();
        assert_eq!(found & 0o777, mode, "{name}");
    }
    Command::new("kill").args(["-INT", &server.id().to_string()]).status().unwrap();
    assert_eq!(server.wait().unwrap().code(), Some(0));
}

#[test]
fn a_practice_org_has_one_user_at_a_time() {
    let stage = Stage::new();
    let mut server = stage.spawn(&mut stage.command(&["practice", "serve"]));
    BufReader::new(server.stdout.as_mut().unwrap()).read_line(&mut String::new()).unwrap();
    let ran = stage.run(&["query", "SELECT Id FROM Account", "--org", "practice"]);
    server.kill().unwrap();
    server.wait().unwrap();
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains(".sfbulk/practice.db"), "{ran:?}");
}

#[test]
fn a_served_org_fails_as_it_was_told() {
    let stage = Stage::new();
    let mut command = stage.command(&["practice", "serve", "--fault", "fail-batch:1:Timeout"]);
    command.args(["--fault", "lose-close"]);
    let mut server = stage.spawn(&mut command);
    let lines = BufReader::new(server.stdout.take().unwrap()).lines().map(Result::unwrap);
    let lines: Vec<String> = lines.take(5).collect();
    let value = |name| lines.iter().find_map(|line| line.strip_prefix(name)).unwrap().trim();
    assert_eq!(lines[3..], ["fault    fail-batch:1:Timeout", "fault    lose-close"]);
    stage.file("in.csv", "Name\nx\n");
    let mut command = stage.command(&["insert", "Account", "in.csv"]);
    command.env("SF_ACCESS_TOKEN", value("session")).env("SF_ORG_INSTANCE_URL", value("address"));
    let ran = command.output().unwrap();
    server.kill().unwrap();
    server.wait().unwrap();
    let told = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(ran.status.code() != Some(0) && told.contains("Timeout"), "{told}");
}

#[test]
fn faults_are_told_by_the_help_and_checked() {
    let stage = Stage::new();
    for args in [&["help", "practice"][..], &["practice", "serve", "--help"]] {
        let ran = stage.run(args);
        assert!(
            ran.out.contains("lose-answer:N") && ran.out.contains("slow:MILLISECONDS"),
            "{ran:?}"
        );
    }
    let ran = stage.run(&["practice", "serve", "--fault", "lose-anser:2"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("there are lose-answer, "), "{ran:?}");
}

#[test]
fn a_query_is_one_document_of_the_format_that_was_asked_for() {
    let stage = Stage::new();
    stage.file("accounts.csv", "Name,Site\n\"say \"\"hi\"\" & <go>\",\nb,x\n");
    let ran = stage.run(&["insert", "Account", "accounts.csv", "--org", "practice"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let query = |filter: &str, format: &str, to: &str| {
        let soql = format!("SELECT Name, Site FROM Account {filter} ORDER BY Name DESC");
        let ran = stage.run(&["query", &soql, "--format", format, "-O", to, "--org", "practice"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        if to == "-" { ran.out } else { stage.read(to) }
    };
    for to in ["-", "rows.json"] {
        let rows: Vec<serde_json::Value> = serde_json::from_str(&query("", "json", to)).unwrap();
        assert_eq!(rows[0]["Name"], "say \"hi\" & <go>");
        assert_eq!((&rows[0]["Site"], rows.len()), (&serde_json::Value::Null, 2));
        assert_eq!(query("WHERE Name = 'c'", "json", to).trim().replace('\n', ""), "[]");
    }
    let xml = query("", "xml", "rows.xml");
    assert!(xml.starts_with("<?xml ") && xml.ends_with("</queryResult>\n"), "{xml}");
    assert!(xml.contains("&lt;go") && xml.matches("</records>").count() == 2, "{xml}");
    let none = query("WHERE Name = 'c'", "xml", "-");
    assert!(none.contains("<queryResult") && !none.contains("<records"), "{none}");
}
