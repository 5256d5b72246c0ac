//! Jobs of archives: what is packed is read by another reader, and comes back byte for byte.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use futures_lite::{StreamExt, future};
use proptest::prelude::*;
use sfbulk::rows::{
    Batch, ContentVersion, Document, Limits, Outcome, ZIP_FILES, ZIP_UNPACKED, ZipCutter,
};
use sfbulk::{ContentType, ErrorKind, Syntax};
use sfbulk_org::{Fault, Server};
use sfbulk_tests::practice;
use tempfile::TempDir;
use zip::ZipArchive;

type Entries = BTreeMap<String, Vec<u8>>;

/// An archive, read by a reader that is not ours.
fn unpack(body: &[u8]) -> Entries {
    let mut archive = ZipArchive::new(Cursor::new(body)).unwrap();
    let mut entries = Entries::new();
    for at in 0..archive.len() {
        let mut entry = archive.by_index(at).unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap(); // which checks the checksum
        let name = entry.name().unwrap().into_owned();
        assert!(entries.insert(name, content).is_none());
    }
    entries
}

/// Packs a row for each path, the files coming in pieces of this length.
fn pack(
    (syntax, limits): (Syntax, Limits),
    files: &Entries,
    paths: &[String],
    piece: usize,
) -> Result<Vec<Batch>, sfbulk::Error> {
    let mut cutter = ZipCutter::new(syntax, limits);
    let mut batches = Vec::new();
    for path in paths {
        cutter.push(&ContentVersion::new(path))?;
        while let Some(wanted) = cutter.wanted().map(str::to_owned) {
            files[&wanted].chunks(piece).try_for_each(|piece| cutter.file(piece))?;
            cutter.end_file()?;
        }
        batches.extend(cutter.end_row()?);
    }
    batches.extend(cutter.finish()?);
    Ok(batches)
}

fn files() -> impl Strategy<Value = Entries> {
    let name = "[a-zé]{1,3}(/[a-z \u{1F600}]{1,3}){0,2}[a-z]";
    let noise = prop::collection::vec(any::<u8>(), 0..3_000);
    let text = (any::<u8>(), 0..20_000_usize).prop_map(|(byte, length)| vec![byte; length]);
    prop::collection::btree_map(name, prop_oneof![noise, text], 1..20)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_byte_comes_back_and_each_file_is_in_a_batch_once(
        files in files(),
        picks in prop::collection::vec(any::<prop::sample::Index>(), 1..40),
        (piece, other) in (1..5_000_usize, 1..5_000_usize),
        (records, bytes) in (1..15_u64, 8_000..40_000_usize),
        syntax in prop::sample::select(vec![Syntax::Csv, Syntax::Xml, Syntax::Json]),
    ) {
        let names: Vec<&String> = files.keys().collect();
        let paths: Vec<String> = picks.iter().map(|pick| (*pick.get(&names)).clone()).collect();
        let limits = Limits { records, bytes };
        let batches = pack((syntax, limits), &files, &paths, piece).unwrap();
        prop_assert_eq!(&batches, &pack((syntax, limits), &files, &paths, other).unwrap());
        let mut next = 0;
        for Batch { rows, body, .. } in batches {
            prop_assert_eq!(rows.start, next);
            next = rows.end;
            let mut entries = unpack(&body);
            prop_assert!(body.len() <= bytes && rows.end - rows.start <= records);
            let unpacked: usize = entries.values().map(Vec::len).sum();
            prop_assert!(entries.len() <= ZIP_FILES && unpacked <= ZIP_UNPACKED);
            let text = String::from_utf8(entries.remove("request.txt").unwrap()).unwrap();
            let range = usize::try_from(rows.start).unwrap()..usize::try_from(rows.end).unwrap();
            let named: BTreeMap<_, _> =
                paths[range].iter().map(|path| (path.clone(), files[path].clone())).collect();
            let told = named.keys().all(|path| text.contains(&["#", path].concat()));
            prop_assert!(told);
            prop_assert!(entries == named);
        }
        prop_assert_eq!(next, paths.len() as u64);
    }
}

/// A folder with files of many kinds, and the paths of these.
fn folder() -> (TempDir, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let contents = [vec![], vec![0; 70_000], (0..=255).cycle().take(100_000).collect()];
    let paths: Vec<String> =
        (0..30).map(|i| format!("{}/file {i:02}.é", ["a", "b/c"][i % 2])).collect();
    for (path, i) in paths.iter().zip(0..) {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, [contents[i % 3].clone(), format!("{i}").into()].concat()).unwrap();
    }
    (folder, paths)
}

/// What a binary field holds, as REST gives it.
fn blob(server: &Server, id: &str) -> Vec<u8> {
    let url = server.url();
    let mut socket = TcpStream::connect(url.trim_start_matches("http://")).unwrap();
    let path = format!("/services/data/v66.0/sobjects/ContentVersion/{id}/VersionData");
    let session = server.session();
    write!(
        socket,
        "GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {session}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"));
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    answer.split_off(end + 4)
}

/// Every row succeeded, and every file is in the org as it is on the disk, once.
fn check(server: &Server, outcomes: &[Outcome], folder: &Path, paths: &[String]) {
    assert_eq!(outcomes.len(), paths.len());
    let mut ids = std::collections::BTreeSet::new();
    for (outcome, path) in outcomes.iter().zip(paths) {
        let id = outcome.id.unwrap().to_string();
        assert!(blob(server, &id) == fs::read(folder.join(path)).unwrap(), "{path}");
        assert!(ids.insert(id));
    }
    let client = blocking(server);
    let rows = client.query::<BTreeMap<String, String>>("SELECT Id FROM ContentVersion").unwrap();
    assert_eq!(rows.count(), paths.len(), "and no others");
}

fn blocking(server: &Server) -> sfbulk_ureq::Client {
    let session = practice::session(server);
    sfbulk_ureq::Client::new(move || session.clone())
}

fn small() -> Limits {
    Limits { records: 7, ..Limits::default() }
}

fn load(server: &Server) -> sfbulk_ureq::Load {
    let load = blocking(server).insert("ContentVersion").content_type(ContentType::ZipCsv);
    load.limits(small())
}

fn rows(paths: &[String]) -> Vec<ContentVersion> {
    paths.iter().map(|path| ContentVersion::new(path)).collect()
}

#[test]
fn files_are_loaded_by_the_blocking_door_also_when_answers_are_lost() {
    let (folder, paths) = folder();
    for fault in [
        None,
        Some(Fault::LoseAnswer { batch: 2 }),
        Some(Fault::Late { batch: 3, seconds: 1 }),
        Some(Fault::CutUpload { batch: 1 }),
        Some(Fault::LoseCreate),
    ] {
        let server = practice::org();
        if let Some(fault) = fault {
            server.fault(fault);
        }
        let outcomes = load(&server).files(folder.path(), rows(&paths)).unwrap();
        let outcomes: Vec<Outcome> = outcomes.map(Result::unwrap).collect();
        check(&server, &outcomes, folder.path(), &paths);
    }
}

#[test]
fn files_are_loaded_by_the_async_door_in_each_syntax() {
    let (folder, paths) = folder();
    for content_type in [ContentType::ZipCsv, ContentType::ZipXml, ContentType::ZipJson] {
        let server = practice::org();
        server.fault(Fault::LoseAnswer { batch: 1 });
        let known = Arc::clone(&server);
        let client =
            sfbulk_async_std::Client::new(move || future::ready(practice::session(&known)));
        let load = client.insert("ContentVersion").content_type(content_type).limits(small());
        let outcomes: Vec<Outcome> = future::block_on(async {
            let outcomes = load.files(folder.path(), rows(&paths)).await.unwrap();
            outcomes.try_collect().await.unwrap()
        });
        check(&server, &outcomes, folder.path(), &paths);
    }
}

#[test]
fn a_load_of_files_goes_on_where_it_stopped_unless_a_file_has_changed() {
    let (folder, paths) = folder();
    let server = practice::org();
    let checkpoint = folder.path().join("checkpoint");
    let mut first = load(&server).checkpoint_to(&checkpoint).unwrap();
    first = first.serial();
    let mut outcomes = first.files(folder.path(), rows(&paths)).unwrap();
    outcomes.next().unwrap().unwrap();
    drop(outcomes);
    let again = || {
        load(&server).resume_from(&checkpoint).unwrap().files(folder.path(), rows(&paths)).unwrap()
    };
    let changed = folder.path().join(&paths[0]);
    let was = fs::read(&changed).unwrap();
    fs::write(&changed, "other").unwrap();
    let error = again().find_map(Result::err).unwrap();
    assert_eq!(error.kind(), ErrorKind::InputChanged);
    fs::write(&changed, was).unwrap();
    let outcomes: Vec<Outcome> = again().map(Result::unwrap).collect();
    check(&server, &outcomes, folder.path(), &paths);
    assert!(!checkpoint.exists());
}

#[test]
fn what_cannot_be_loaded_is_named_by_its_row_and_path() {
    let (folder, mut paths) = folder();
    paths.truncate(3);
    let server = practice::org();
    fs::write(folder.path().join("large"), vec![7; ZIP_UNPACKED]).unwrap();
    fs::write(folder.path().parent().unwrap().join("sfbulk-secret"), "secret").unwrap();
    for (path, kind, why) in [
        ("no", ErrorKind::Input, "its file no cannot be read: No such file"),
        ("../sfbulk-secret", ErrorKind::Input, "dots"),
        ("large", ErrorKind::Input, "with large (20000000 bytes) it makes"),
    ] {
        let named = [paths.clone(), vec![path.to_owned()]].concat();
        let outcomes = load(&server).files(folder.path(), rows(&named)).unwrap();
        let error = outcomes.map(Result::unwrap_err).next().unwrap();
        assert_eq!((error.kind(), error.rows()), (kind, Some(3..4)), "{error}");
        assert!(error.to_string().contains(why), "{error}");
    }
    let client = blocking(&server);
    let no_archives = client.insert("Document").files(folder.path(), Vec::<Document>::new());
    assert_eq!(no_archives.unwrap_err().kind(), ErrorKind::Usage);
    let no_folder = load(&server).files(folder.path().join("no"), Vec::<Document>::new());
    assert_eq!(no_folder.unwrap_err().kind(), ErrorKind::Input);
    let no_files = load(&server).rows(rows(&paths));
    assert_eq!(no_files.unwrap_err().kind(), ErrorKind::Usage);
}

#[test]
fn a_file_that_grows_while_it_is_read_is_not_sent() {
    #[cfg(target_os = "linux")]
    {
        // What /proc tells of itself is longer than its length says, which is 0.
        let server = practice::org();
        let outcomes = load(&server).files("/proc/self", rows(&["status".to_owned()])).unwrap();
        let error = outcomes.map(Result::unwrap_err).next().unwrap();
        assert!(error.to_string().contains("was changed while it was read"), "{error}");
    }
}
