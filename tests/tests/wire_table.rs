//! The tables of `core/WIRE.md` against the source: nothing of the wire is missing in them, no cell
//! is empty, and what they name is there.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The rows of all tables, without their heads.
fn rows() -> Vec<Vec<String>> {
    let text = read("core/WIRE.md");
    let lines: Vec<&str> = text.lines().collect();
    let is_row = |line: &str| line.starts_with('|');
    let mut rows = Vec::new();
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| is_row(line)) {
        let is_head = !is_row(lines[at - 1]) || line.starts_with("|---");
        let cells = line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned());
        rows.extend((!is_head).then(|| cells.collect()));
    }
    assert!(rows.len() > 120, "only {} rows were found", rows.len());
    rows
}

/// What stands between backticks.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

#[test]
fn no_cell_is_empty_and_who_does_nothing_says_why() {
    for row in rows() {
        let [thing, what, place] = &row[..] else { panic!("{row:?}") };
        assert!(!thing.is_empty() && what.len() > 3 && !place.is_empty(), "{row:?}");
        let reason = what.contains(':') || what.contains("must be") || what.contains("another");
        assert!(place != "-" || reason, "why is nothing done? {row:?}");
    }
}

#[test]
fn every_value_and_member_of_the_wire_has_its_place() {
    let info = read("core/src/info.rs");
    let table = read("core/WIRE.md");
    let mut found = 0;
    let mut has = |name: &str| {
        assert!(table.contains(&format!("`{name}`")), "core/WIRE.md does not tell of {name}");
        found += 1;
    };
    let values = info.split_once("\nwire_enum! {").unwrap().1.split_once("\n}").unwrap().0;
    values.lines().filter_map(|line| line.trim().split_once(" = \"")).for_each(|(_, value)| {
        has(value.trim_end_matches("\","));
    });
    for name in ["JobInfo", "BatchInfo"] {
        let members = info.split_once(&format!("pub struct {name} {{")).unwrap().1;
        let members = members.split_once("\n}").unwrap().0.lines();
        let names = members.filter_map(|line| line.trim().strip_prefix("pub ")?.split(':').next());
        names.for_each(|name| has(&camel_case(name)));
    }
    assert!(found > 80, "only {found} names were found");
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| name + &word[..1].to_ascii_uppercase() + &word[1..])
}

#[test]
fn what_is_named_is_there() {
    for row in rows() {
        for place in quoted(&row[2]) {
            let (file, rest) = place.split_once("::").unwrap_or((place, ""));
            let code = source(file).unwrap_or_else(|| panic!("there is no file {file}: {row:?}"));
            for name in rest.split("::").filter(|name| !name.is_empty()) {
                assert!(code.contains(name), "{file} has no {name}: {row:?}");
            }
        }
    }
}

/// A file of the core, or all files of a folder of it.
fn source(name: &str) -> Option<String> {
    let path = root().join("core/src").join(name);
    if let Ok(text) = fs::read_to_string(path.with_extension("rs")) {
        return Some(text);
    }
    let files = fs::read_dir(path).ok()?;
    Some(files.filter_map(|file| fs::read_to_string(file.ok()?.path()).ok()).collect())
}
