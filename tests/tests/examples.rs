//! The examples, as a user runs them, against a practice org.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use sfbulk_org::{Config, Org, Server, serve};
use sfbulk_tests::built::built;

const CSV: &str = "Name,BillingCity\nNorthwind,\"Oslo\n(old town)\"\n,Rome\nContoso,\n";

#[test]
fn the_executor_on_tokio_and_reqwest_loads_and_queries() {
    loads_and_queries("tokio_reqwest");
}

#[test]
fn the_executor_on_the_standard_library_loads_and_queries() {
    loads_and_queries("std_only");
}

fn loads_and_queries(example: &str) {
    let config = Config::new().latency(Duration::from_millis(5)).result_rows(1);
    let server = serve(Org::in_memory_with(config).unwrap(), 0).unwrap();
    let told = run(example, &server, "Account", CSV);
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines.len(), 3, "{told}");
    assert!(lines[0].starts_with("row 1: Succeeded"), "{told}");
    assert!(lines[1].starts_with("row 2: Failed REQUIRED_FIELD_MISSING"), "{told}");
    assert!(lines[2].starts_with("row 3: Succeeded"), "{told}");
    let soql = "SELECT Name, BillingCity FROM Account ORDER BY Name";
    assert_eq!(
        run(example, &server, soql, ""),
        "\"Name\",\"BillingCity\"\n\"Contoso\",\"\"\n\"Northwind\",\"Oslo\n(old town)\"\n"
    );
}

/// What the example prints.
fn run(example: &str, server: &Server, what: &str, input: &str) -> String {
    let folder = built("sfbulk-tests", &["--example", example]).join("examples");
    let mut child = Command::new(folder.join(example))
        .arg(what)
        .env("SF_ORG_INSTANCE_URL", server.url())
        .env("SF_ACCESS_TOKEN", server.session())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}
