//! Loads of files: from a folder, and by the paths in a CSV.

use std::fs;
use std::path::Path;

use crate::stage::{Ran, Stage};

fn stage(files: &[(&str, &str)]) -> Stage {
    let stage = Stage::new();
    for (path, content) in files {
        fs::create_dir_all(stage.path(path).parent().unwrap()).unwrap();
        stage.file(path, content);
    }
    stage
}

fn practice(stage: &Stage, args: &[&str]) -> Ran {
    stage.run(&[args, &["--org", "practice"]].concat())
}

/// The lines of a query's result, sorted.
fn query(stage: &Stage, soql: &str) -> Vec<String> {
    let ran = practice(stage, &["query", soql]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let mut lines: Vec<String> = ran.out.lines().skip(1).map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn every_file_of_a_folder_becomes_a_record() {
    let stage = stage(&[("in/b.txt", "12345"), ("in/a/ü, \"x\".tar.gz", ""), ("in/.c", "1")]);
    let ran = practice(&stage, &["insert", "ContentVersion", "in", "--json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let rows = query(&stage, "SELECT Title, PathOnClient, ContentSize FROM ContentVersion");
    assert_eq!(
        rows,
        [
            "\".c\",\".c\",\"1\"",
            "\"b\",\"b.txt\",\"5\"",
            "\"ü, \"\"x\"\".tar\",\"a/ü, \"\"x\"\".tar.gz\",\"0\"",
        ]
    );
    let name = stage.names().into_iter().find(|name| name.ends_with(".success.csv")).unwrap();
    assert!(name.starts_with("in."), "{name}");
    let success = stage.read(&name);
    let mut lines = success.lines();
    assert_eq!(lines.next(), Some("ID,\"Title\",\"PathOnClient\",\"VersionData\",STATUS"));
    assert!(lines.next().unwrap().ends_with(",\".c\",\".c\",\"#.c\",Item Created"), "{success}");
    assert_eq!((lines.count(), stage.journals().len()), (2, 0));
}

#[test]
fn other_objects_need_to_know_where_their_files_belong() {
    let stage = stage(&[("in/a.txt", "1"), ("accounts.csv", "Name\nA\n")]);
    let ran = practice(&stage, &["insert", "Document", "in"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("a record of Document needs --set FolderId=…"), "{ran:?}");
    let ran = practice(&stage, &["insert", "Document", "in", "--set", "FolderId=00l000000000001"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(practice(&stage, &["insert", "Account", "accounts.csv"]).code, Some(0));
    let parent =
        ["--set", "ParentId=001000000000001", "--set", "Description=x", "--format", "json"];
    let ran = practice(&stage, &[&["insert", "Attachment", "in"][..], &parent].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(query(&stage, "SELECT Name, BodyLength FROM Document"), ["\"a.txt\",\"1\""]);
    assert_eq!(query(&stage, "SELECT Name, Description FROM Attachment"), ["\"a.txt\",\"x\""]);
    for (args, why) in [
        (&["insert", "Account", "in"][..], "not of Account"),
        (&["insert", "Account", "accounts.csv", "--set", "A=b"], "made of a folder"),
        (&["insert", "ContentVersion", "in", "--set", "A"], "it looks like FIELD=VALUE"),
        (&["insert", "Account", "accounts.csv", "--files"], "no column Body or VersionData"),
    ] {
        let ran = practice(&stage, args);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.err.contains(why), "{ran:?}");
    }
}

#[test]
fn cells_are_paths_from_the_folder_of_the_csv() {
    let stage = stage(&[
        ("sub/a.txt", "1"),
        ("sub/b/c.txt", "22"),
        ("sub/in.csv", "Title,VersionData,Note,ERROR\nA,a.txt,x,old\nB,#b/c.txt,y,old\n"),
        ("sub/bad.csv", "Title,VersionData\nA,a.txt\nB,../theirs\n"),
        ("sub/gone.csv", "Title,VersionData\nA,a.txt\nB,no.txt\n"),
        ("theirs", "theirs"),
    ]);
    for (file, why) in [
        (
            "sub/bad.csv",
            "names no file: \"#../theirs\": it has a part that is empty, or dots (rows 2 to 2)",
        ),
        (
            "sub/gone.csv",
            "its file no.txt cannot be read: No such file or directory (os error 2) (rows 2 to 2)",
        ),
    ] {
        let ran = practice(&stage, &["insert", "ContentVersion", file, "--files"]);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.err.contains(why), "{ran:?}");
    }
    assert_eq!(query(&stage, "SELECT Id FROM ContentVersion"), [""; 0], "nothing was sent");
    let ran = practice(&stage, &["insert", "ContentVersion", "sub/in.csv", "--files=VersionData"]);
    assert_eq!(ran.code, Some(3), "an unknown column: {ran:?}");
    let csv = stage.read("sub/in.csv").replace("Note", "Description");
    stage.file("sub/in.csv", csv);
    let ran = practice(&stage, &["insert", "ContentVersion", "sub/in.csv", "--files"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let rows = query(&stage, "SELECT Title, ContentSize, Description FROM ContentVersion");
    assert_eq!(rows, ["\"A\",\"1\",\"x\"", "\"B\",\"2\",\"y\""]);
}

#[cfg(unix)]
#[test]
fn a_folder_with_a_link_is_refused_before_anything_is_sent() {
    let stage = stage(&[("in/a.txt", "1"), ("theirs", "theirs")]);
    std::os::unix::fs::symlink("../theirs", stage.path("in/link")).unwrap();
    let ran = practice(&stage, &["insert", "ContentVersion", "in"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("in: link is a link or no plain file"), "{ran:?}");
    assert!(!Path::new(&stage.path(".sfbulk")).exists());
}

#[test]
fn a_file_that_was_changed_is_not_loaded_in_silence() {
    let stage = stage(&[
        ("in/a.txt", "1"),
        ("in/b.txt", "2"),
        ("in/in.csv", "Title,VersionData\nA,a.txt\nB,b.txt\n"),
    ]);
    let left = ["--batch-size", "1", "--serial", "--wait", "0s"];
    for load in [
        &["insert", "ContentVersion", "in/in.csv", "--files"][..],
        &["insert", "ContentVersion", "in"],
    ] {
        let ran = practice(&stage, &[load, &left].concat());
        assert_eq!(ran.code, Some(4), "{ran:?}");
        let before = query(&stage, "SELECT Id FROM ContentVersion");
        let modified = fs::metadata(stage.path("in/b.txt")).unwrap().modified().unwrap();
        let touch = |time| {
            let file = fs::File::options().append(true).open(stage.path("in/b.txt")).unwrap();
            file.set_modified(time).unwrap();
        };
        touch(modified + std::time::Duration::from_secs(1));
        let ran = stage.run(&["resume"]);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.err.contains("a file that its rows name was changed"), "{ran:?}");
        assert_eq!(query(&stage, "SELECT Id FROM ContentVersion"), before);
        touch(modified);
        assert_eq!(stage.run(&["resume"]).code, Some(0));
    }
}

#[test]
fn the_error_file_of_a_folder_is_loaded_from_the_folder() {
    let stage = stage(&[("in/a.txt", "1")]);
    let set = ["--set", "ParentId=001000000000001"];
    let ran = practice(&stage, &[&["insert", "Attachment", "in"][..], &set].concat());
    assert_eq!(ran.code, Some(3), "there is no such account: {ran:?}");
    let advice = "mend these rows and load the file with --files, once it lies in in\n";
    assert!(ran.err.contains(advice), "{ran:?}");
    stage.file("accounts.csv", "Name\nA\n");
    assert_eq!(practice(&stage, &["insert", "Account", "accounts.csv"]).code, Some(0));
    let name = stage.names().into_iter().find(|name| name.ends_with(".error.csv")).unwrap();
    fs::rename(stage.path(&name), stage.path("in/mended.csv")).unwrap();
    let ran = practice(&stage, &["insert", "Attachment", "in/mended.csv", "--files"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(query(&stage, "SELECT Name, BodyLength FROM Attachment"), ["\"a.txt\",\"1\""]);
}

#[test]
fn a_folder_is_taken_up_again_with_the_files_it_had() {
    let stage = stage(&[("in/a.txt", "1"), ("in/b.txt", "2"), ("in/c.txt", "3")]);
    let args = ["insert", "ContentVersion", "in", "--batch-size", "1", "--serial", "--wait", "0s"];
    let ran = practice(&stage, &args);
    assert_eq!(ran.code, Some(4), "{ran:?}");
    fs::write(stage.path("in/a0.txt"), "new").unwrap();
    let ran = stage.run(&["resume"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let rows = query(&stage, "SELECT PathOnClient FROM ContentVersion");
    assert_eq!(rows, ["\"a.txt\"", "\"b.txt\"", "\"c.txt\""]);
}
