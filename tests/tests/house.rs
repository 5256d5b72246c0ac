//! The house rules: who may import whom, what the core may not know, and what no file may hold.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The level of each file of the core. A file imports only from files of a lower level; `error` and
/// `id` speak of each other (an error names a job, an id that is none is an error), and a module's
/// front page (`rows/mod.rs`, `lib.rs`) names what it holds.
const LEVELS: [(&str, u32); 69] = [
    ("text", 0),
    ("time", 0),
    ("print", 0),
    ("xml", 0),
    ("soql", 0),
    ("secret", 0),
    ("backoff", 0),
    ("gzip", 0),
    ("id", 1),
    ("error", 1),
    ("info", 2),
    ("session", 2),
    ("spec", 3),
    ("document", 3),
    ("rows/scan", 4),
    ("rows/inlet", 4),
    ("rows/archive", 4),
    ("rows/binary", 4),
    ("rows/encode/refused", 3),
    ("rows/encode/row", 4),
    ("rows/encode/csv", 5),
    ("rows/encode/nested", 5),
    ("rows/encode/json", 6),
    ("rows/encode/xml", 6),
    ("rows/batch", 5),
    ("rows/encode", 7),
    ("rows/content", 6),
    ("rows/cut", 6),
    ("rows/pack", 8),
    ("rows/zip", 8),
    ("rows/pages", 5),
    ("rows/moment", 4),
    ("rows/frame_csv", 6),
    ("rows/frame_json", 6),
    ("rows/frame_xml", 6),
    ("rows/frame", 7),
    ("rows/records", 6),
    ("rows/outcome", 6),
    ("rows/decode_xml", 4),
    ("rows/decode", 7),
    ("rows/source", 9),
    ("rows/text", 7),
    ("rows/mod", 8),
    ("call", 9),
    ("login/server", 10),
    ("login/refusal", 10),
    ("login/exchange", 10),
    ("login/oauth", 11),
    ("login/soap", 11),
    ("login/device", 12),
    ("login/flow", 13),
    ("login/mod", 14),
    ("login/web", 15),
    ("login/tests", 15),
    ("judge", 10),
    ("ledger", 10),
    ("step", 10),
    ("checkpoint", 11),
    ("errand", 11),
    ("host", 12),
    ("pace", 12),
    ("transcript", 12),
    ("job", 13),
    ("job/doubt", 14),
    ("job/feed", 14),
    ("job/reply", 15),
    ("offline", 14),
    ("replay", 14),
    ("lib", 16),
];

/// Couples that know each other although they are of one level.
const COUPLES: [(&str, &str); 2] = [("id", "error"), ("error", "id")];

/// What the core never names: the world outside, chance, and unsafe code.
const WORLD: [&str; 13] = [
    "std::net",
    "std::fs",
    "std::thread",
    "std::sync",
    "std::env",
    "std::process",
    "std::io",
    "Instant",
    "SystemTime",
    "HashMap",
    "HashSet",
    "rand",
    "unsafe",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every file below a folder, build products and the version history left out.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        match path.is_dir() {
            _ if [".git", ".sfbulk", "target"].contains(&&*name) => {}
            true => files.extend(files_below(&path)),
            false => files.push(path),
        }
    }
    files.sort();
    files
}

fn sources(folder: &str) -> Vec<(String, String)> {
    let folder = root().join(folder);
    let files = files_below(&folder).into_iter();
    let sources = files.filter(|path| path.extension().is_some_and(|ending| ending == "rs"));
    sources
        .map(|path| {
            let name = path.strip_prefix(&folder).unwrap().with_extension("");
            (name.to_string_lossy().replace('\\', "/"), fs::read_to_string(&path).unwrap())
        })
        .collect()
}

/// A source without its comments and its unit tests, which may import what they like.
fn code(text: &str) -> String {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let line = |line: &str| line.split("//").next().unwrap_or_default().to_owned();
    code.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// The modules a file of the core names by `crate::` or `super::`.
fn imports(name: &str, text: &str) -> BTreeSet<String> {
    let code = code(text);
    assert!(!code.contains("crate::{"), "{name}: import from one module at a time");
    let mut found = BTreeSet::new();
    let own = name.rsplit_once('/').map(|(folder, _)| format!("{folder}/")).unwrap_or_default();
    let is_module = |module: &str| LEVELS.iter().any(|(name, _)| *name == module);
    let paths = [
        ("crate::rows::", "rows/"),
        ("crate::login::", "login/"),
        ("crate::", ""),
        ("super::", &own),
    ];
    for (path, within) in paths {
        for (at, _) in code.match_indices(path) {
            let rest = &code[at + path.len()..];
            let word: String =
                rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
            // A name that is no module's is of the folder's front page.
            let front = [format!("{within}mod"), within.trim_end_matches('/').to_owned()];
            let module = [format!("{within}{word}")].into_iter().chain(front);
            let folder = within.is_empty() && ["rows", "login"].contains(&&*word); // found above
            found.extend(module.filter(|_| !folder).find(|module| is_module(module)));
        }
    }
    found
}

fn level(name: &str) -> u32 {
    let known = LEVELS.iter().find(|(file, _)| *file == name);
    known.unwrap_or_else(|| panic!("{name}: give the file its level, in this test")).1
}

#[test]
fn files_of_the_core_import_only_lower_levels() {
    let mut imports_seen = 0;
    for (name, text) in sources("core/src") {
        let own = level(&name);
        for import in imports(&name, &text) {
            imports_seen += 1;
            let couple = COUPLES.contains(&(name.as_str(), import.as_str()));
            let front = name == "lib" || (name == "rows/mod" && import.starts_with("rows/"));
            assert!(
                level(&import) < own || couple || front,
                "{name} (level {own}) imports {import} (level {})",
                level(&import)
            );
        }
    }
    assert!(imports_seen > 60, "only {imports_seen} imports were found: is the test blind?");
}

#[test]
fn the_test_of_imports_sees_what_it_should() {
    let text = "use crate::rows::batch::Batch;\nuse super::scan::Scanner;\n\
                let x = crate::judge::judge(y); // crate::job::Job\n#[cfg(test)]\nuse crate::job::Job;";
    let seen: Vec<String> = imports("rows/cut", text).into_iter().collect();
    assert_eq!(seen, ["judge", "rows/batch", "rows/scan"]);
    assert!(imports("call", "use crate::rows::{Fate, Framer};").contains("rows/mod"));
    assert!(imports("login/web", "use super::Login;").contains("login/mod"));
    assert!(imports("job/reply", "use super::Job;").contains("job"));
}

#[test]
fn the_core_does_not_know_the_world() {
    for (name, text) in sources("core/src") {
        let code = code(&text);
        for word in WORLD {
            let named = code.match_indices(word).any(|(at, _)| is_word(&code, at, word.len()));
            assert!(!named, "core/src/{name}.rs names {word}");
        }
    }
}

/// Whether this part of a text is not part of a longer word.
fn is_word(text: &str, at: usize, length: usize) -> bool {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !text[..at].ends_with(part) && !text[at + length..].starts_with(part)
}

#[test]
fn adapters_do_not_know_each_other() {
    let allowed: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("core", &[][..]),
        ("adapters/draft", &["sfbulk"][..]),
        ("adapters/ureq", &["sfbulk", "sfbulk-draft"][..]),
        ("adapters/async-std", &["sfbulk", "sfbulk-draft"][..]),
        ("adapters/login", &["sfbulk"][..]),
        ("adapters/org", &["sfbulk"][..]),
        (
            "adapters/cli",
            &["sfbulk", "sfbulk-draft", "sfbulk-login", "sfbulk-org", "sfbulk-ureq"][..],
        ),
    ]);
    for krate in crates() {
        let Some(allowed) = allowed.get(krate.as_str()) else {
            assert_eq!(krate, "tests", "say in this test whom {krate} may know");
            continue;
        };
        for dependency in dependencies(&krate) {
            let ours = dependency.starts_with("sfbulk");
            assert!(!ours || allowed.contains(&&*dependency), "{krate} depends on {dependency}");
        }
    }
}

#[test]
fn the_async_adapter_names_async_std_in_one_file() {
    let names = |text: &str| {
        let mut found = text.match_indices("async_std");
        found.any(|(at, word)| is_word(text, at, word.len()))
    };
    let sources = sources("adapters/async-std/src").into_iter();
    let naming: Vec<String> =
        sources.filter(|(_, text)| names(text)).map(|(name, _)| name).collect();
    assert_eq!(naming, ["net"], "a port to another runtime's sockets changes one file");
}

/// The folders of the workspace's crates.
fn crates() -> Vec<String> {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let members = manifest.split_once("members = [").unwrap().1.split(']').next().unwrap();
    let members: Vec<String> =
        members.split(',').map(|name| name.trim().trim_matches('"').to_owned()).collect();
    assert!(members.len() >= 5, "{members:?}");
    members
}

/// The names below `[dependencies]` in a crate's manifest; what only its tests need is its own
/// affair.
fn dependencies(krate: &str) -> Vec<String> {
    let manifest = fs::read_to_string(root().join(krate).join("Cargo.toml")).unwrap();
    let section = manifest.split("\n[").find(|section| section.starts_with("dependencies]"));
    let names = section.unwrap().lines().skip(1).filter(|line| !line.starts_with('#'));
    names
        .filter_map(|line| line.split(['.', ' ', '=']).next().map(str::to_owned))
        .filter(|name| !name.is_empty())
        .collect()
}

#[test]
fn no_crate_has_unsafe_code() {
    for krate in crates() {
        let manifest = fs::read_to_string(root().join(&krate).join("Cargo.toml")).unwrap();
        let inherits = manifest.contains("[lints]\nworkspace = true");
        assert!(inherits, "{krate} does not inherit the workspace's lints");
        let folder = root().join(&krate).join("src");
        let first = ["lib.rs", "main.rs"].map(|name| folder.join(name));
        for file in first.iter().filter(|file| file.exists()) {
            let text = fs::read_to_string(file).unwrap();
            assert!(text.contains("#![forbid(unsafe_code)]"), "{} allows it", file.display());
        }
    }
}

#[test]
fn no_file_holds_a_session() {
    for (path, text) in texts() {
        for token in tokens(&text) {
            let fake = ["PRACTICE", "TOKEN", "CANARY", "FAKE", "SECRET", "EXAMPLE"];
            let obvious = fake.iter().any(|word| token.to_ascii_uppercase().contains(word));
            assert!(obvious, "{path} holds what looks like a session: {}…", &token[..8]);
        }
    }
}

/// Texts that look like a session: `00D`, 12 to 15 letters and digits, `!`, and 20 more.
fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    for (bang, _) in text.match_indices('!') {
        let org = text[..bang].rfind(|c: char| !c.is_ascii_alphanumeric());
        let org = org.map_or(0, |at| at + text[at..].chars().next().map_or(1, char::len_utf8));
        let start = text[org..bang].find("00D").map(|at| org + at);
        let secret = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let end = text[bang + 1..].find(|c| !secret(c)).map_or(text.len(), |at| bang + 1 + at);
        if let Some(start) = start.filter(|start| (15..=18).contains(&(bang - start)))
            && end - bang > 20
        {
            tokens.push(&text[start..end]);
        }
    }
    tokens
}

#[test]
fn the_test_of_sessions_sees_what_it_should() {
    let secret = "AQ4AQ.abcdefghij_klm-nop".repeat(2);
    let text = format!("x=\"00D{}!{secret}\", 00D5g!{secret}, wow!", "5g000007Org1EAA");
    assert_eq!(tokens(&text).len(), 1);
}

#[test]
fn no_file_mentions_a_place_outside_the_project() {
    // Written in two parts, so that this file does not mention them either.
    let places =
        [["/wo", "rk/"], ["/ho", "me/"], ["/ro", "ot/"], ["/sha", "red/"], ["/Us", "ers/"]];
    // The checks look for the recordings beside the checkout, and say so.
    for (path, text) in texts().into_iter().filter(|(path, _)| path != ".ci/run") {
        for place in places.map(|parts| parts.concat()) {
            let at = text.find(&place).map(|at| text[..at].lines().count().max(1));
            assert_eq!(at, None, "{path} mentions {place}");
        }
    }
}

/// Every text file of the project, by its path.
fn texts() -> Vec<(String, String)> {
    let (root, mut texts) = (root(), Vec::new());
    for path in files_below(&root) {
        if let Ok(text) = fs::read_to_string(&path) {
            texts.push((path.strip_prefix(&root).unwrap().display().to_string(), text));
        }
    }
    assert!(texts.len() > 50, "only {} files were found", texts.len());
    texts
}
