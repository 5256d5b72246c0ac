//! Jobs of archives: files that come in a zip file, and can be had again.

use std::io::{Cursor, Write};

use http::Request;
use proptest::prelude::*;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::client::{BASE, CSV, Client, JSON};

const PARENT: &str = "001000000000001AAA";

/// An archive as another program writes it.
fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in entries {
        if name.ends_with('/') {
            writer.add_directory(*name, SimpleFileOptions::default()).unwrap();
        } else {
            writer.start_file(*name, SimpleFileOptions::default()).unwrap();
            writer.write_all(content).unwrap();
        }
    }
    writer.finish().unwrap().into_inner()
}

fn job(client: &mut Client, object: &str, content: &str) -> String {
    let document =
        format!(r#"{{"operation":"insert","object":"{object}","contentType":"{content}"}}"#);
    let created = client.post("job", JSON, document);
    assert_eq!(created.status, 201, "{}", created.body);
    assert!(created.body.contains(&format!("\"contentType\":\"{content}\"")), "{}", created.body);
    created.member("id").to_owned()
}

/// Loads an archive: the result, or the state message.
fn load(client: &mut Client, object: &str, entries: &[(&str, &[u8])]) -> String {
    load_bytes(client, object, archive(entries))
}

fn load_bytes(client: &mut Client, object: &str, body: Vec<u8>) -> String {
    let job = job(client, object, "ZIP_CSV");
    let added = client.post(&format!("job/{job}/batch"), "zip/csv", body);
    assert_eq!(added.status, 201, "{}", added.body);
    let batch = added.element("id").to_owned();
    client.wait(60);
    let info = client.batch(&job, &batch);
    match info.element("state") {
        "Completed" => client.get(&format!("job/{job}/batch/{batch}/result")).body,
        _ => info.element("stateMessage").to_owned(),
    }
}

/// What a binary field holds, by REST.
fn blob(client: &mut Client, path: &str) -> (u16, Vec<u8>) {
    let request = Request::get(format!("/services/data/v66.0/sobjects/{path}"))
        .header("Authorization", format!("Bearer {}", client.session));
    let answer = client.send(request.body(bytes::Bytes::new()).unwrap());
    (answer.status().as_u16(), answer.body().to_vec())
}

#[test]
fn a_file_comes_back_byte_for_byte_in_each_syntax() {
    let mut client = Client::new();
    client.insert("Account", "Name\nA\n");
    let picture: Vec<u8> = (0..=255).cycle().take(5_000).collect();
    let csv = format!("Name,ParentId,Body\nlogo,{PARENT},#img/é.png\nempty,{PARENT},#none\n");
    let json = format!(r##"[{{"Name":"logo","ParentId":"{PARENT}","Body":"#img/é.png"}}]"##);
    let xml = format!(
        "<sObjects><sObject><Name>logo</Name><ParentId>{PARENT}</ParentId><Body>#img/é.png</Body></sObject></sObjects>"
    );
    for (i, (content, media, records)) in
        [("ZIP_CSV", "zip/csv", csv), ("ZIP_JSON", "zip/json", json), ("ZIP_XML", "zip/xml", xml)]
            .into_iter()
            .enumerate()
    {
        let entries: [(&str, &[u8]); 4] = [
            ("img/", b""),
            ("img/é.png", &picture),
            ("none", b""),
            ("request.txt", records.as_bytes()),
        ];
        let body = archive(&entries);
        let job = job(&mut client, "Attachment", content);
        let refused = client.post(&format!("job/{job}/batch"), CSV, body.clone());
        assert_eq!(refused.status, 400, "{}", refused.body);
        let added = client.post(&format!("job/{job}/batch"), media, body.clone());
        let batch = if i == 1 { added.member("id") } else { added.element("id") }.to_owned();
        client.wait(60);
        let result = client.get(&format!("job/{job}/batch/{batch}/result")).body;
        assert!(result.contains("true") && !result.contains("INVALID"), "{result}");
        let request = Request::get(format!("{BASE}/job/{job}/batch/{batch}/request"))
            .header("X-SFDC-Session", &client.session);
        let sent = client.send(request.body(bytes::Bytes::new()).unwrap());
        assert_eq!(
            (sent.headers()["content-type"].to_str().unwrap(), &sent.body()[..]),
            (media, &body[..])
        );
    }
    assert!(blob(&mut client, "Attachment/00P000000000001/Body") == (200, picture.clone()));
    assert_eq!(blob(&mut client, "attachment/00P000000000002/body"), (200, Vec::new()));
    assert!(blob(&mut client, "Attachment/00P000000000003EAA/Body").1 == picture);
    for missing in ["Attachment/00P000000000009/Body", "Attachment/00P000000000001/Name", "X/Y/Z"] {
        assert_eq!(blob(&mut client, missing).0, 404, "{missing}");
    }
    let files = client.files("query", "Attachment", "SELECT Name, BodyLength FROM Attachment");
    let rows = "\"Name\",\"BodyLength\"\n\"logo\",\"5000\"\n\"empty\",\"0\"\n";
    assert!(files.unwrap()[0].starts_with(rows));
}

#[test]
fn a_content_version_knows_its_size_and_its_ending() {
    let mut client = Client::new();
    let records = b"Title,PathOnClient,VersionData\nA,x.y/a.tar.gz,#a\nB,x/b,#a\n";
    let result = load(&mut client, "ContentVersion", &[("request.txt", records), ("a", b"12345")]);
    assert_eq!(result.matches("\"true\",\"true\",\"\"").count(), 2, "{result}");
    let soql = "SELECT Title, ContentSize, FileExtension FROM ContentVersion ORDER BY Title";
    let files = client.files("query", "ContentVersion", soql).unwrap();
    let (_, rows) = files[0].split_once('\n').unwrap();
    assert_eq!(rows, "\"A\",\"5\",\"gz\"\n\"B\",\"5\",\"\"\n");
}

#[test]
fn a_reference_to_nothing_is_an_error_of_its_record() {
    let mut client = Client::new();
    client.insert("Account", "Name\nA\n");
    let records = format!(
        "Name,ParentId,Body\n{}",
        ["#no", "#dir/", "a", "#A", "#request.txt", "#a"]
            .map(|body| format!("x,{PARENT},{body}\n"))
            .concat()
    );
    let entries: [(&str, &[u8]); 3] =
        [("dir/", b""), ("a", b"1"), ("request.txt", records.as_bytes())];
    let result = load(&mut client, "Attachment", &entries);
    let lines: Vec<&str> = result.lines().skip(1).collect();
    assert_eq!(lines.len(), 6);
    assert!(lines[..5].iter().all(|line| line.contains("INVALID_FIELD:")), "{result}");
    assert!(lines[0].contains("no such file in the zip file: #no:Body --"), "{result}");
    assert!(lines[2].contains("a file is referred to by # and its name: a:Body --"), "{result}");
    assert!(lines[5].contains("\"true\",\"true\""), "{result}");
}

#[test]
fn what_is_no_archive_or_too_much_of_one_fails_the_batch() {
    let mut client = Client::new();
    let told = |client: &mut Client, entries: &[(&str, &[u8])]| load(client, "Document", entries);
    let records: &[u8] = b"Name,FolderId\nA,00l000000000001AAA\n";
    assert!(told(&mut client, &[("request.txt", records)]).contains("\"true\""));
    let missing = "InvalidBatch : request.txt is not in the root";
    assert!(told(&mut client, &[("sub/request.txt", records)]).starts_with(missing));
    assert!(told(&mut client, &[("request.txt/", b"")]).starts_with(missing));
    let unreadable = "InvalidBatch : Failed to read the zip file.";
    assert!(load_bytes(&mut client, "Document", records.to_vec()).starts_with(unreadable));
    let unknown = told(&mut client, &[("request.txt", b"Nonsense\n1\n")]);
    assert_eq!(unknown, "InvalidBatch : Field name not found : Nonsense");

    let zeros = vec![0; 21_000_000];
    let bomb = archive(&[("request.txt", records), ("zeros", &zeros)]);
    assert!(bomb.len() < 100_000);
    let too_much = "InvalidBatch : The zip file exceeds 20000000 bytes unpacked";
    assert_eq!(load_bytes(&mut client, "Document", bomb.clone()), too_much);
    // It is not believed what it says of itself.
    let lie = |bytes: &mut Vec<u8>, of: &[u8]| {
        while let Some(at) = bytes.windows(of.len()).position(|window| window == of) {
            bytes[at..at + 4].copy_from_slice(&1_u32.to_le_bytes());
        }
    };
    let mut lying = bomb;
    lie(&mut lying, &21_000_000_u32.to_le_bytes());
    let message = load_bytes(&mut client, "Document", lying);
    assert!(message == too_much || message.starts_with(unreadable), "{message}");

    let names: Vec<String> = (0..1_000).map(|n| n.to_string()).collect();
    let mut entries: Vec<(&str, &[u8])> = names.iter().map(|name| (&**name, &b""[..])).collect();
    entries[999] = ("request.txt", records);
    assert!(told(&mut client, &entries).contains("\"true\""));
    entries.push(("one more", b""));
    let many = "InvalidBatch : The zip file has more than 1000 files";
    assert_eq!(told(&mut client, &entries), many);
    let long = "x".repeat(513);
    assert!(told(&mut client, &[("request.txt", records), (&long[1..], b"")]).contains("true"));
    let message = told(&mut client, &[("request.txt", records), (&long, b"")]);
    assert_eq!(message, "InvalidBatch : A file name in the zip file exceeds 512 bytes");
    let large = load_bytes(&mut client, "Document", vec![b'P'; 10_000_001]);
    assert_eq!(large, "InvalidBatch : The zip file exceeds the max size of 10000000");
}

#[test]
fn whatever_calls_itself_an_archive_is_answered() {
    let mut client = Client::new();
    let records: &[u8] = b"Name,FolderId,Body\nA,00l000000000001AAA,#a/b\n";
    let good = archive(&[("request.txt", records), ("a/b", &[7; 300]), ("c/", b"")]);
    let length = good.len();
    let changes = prop::collection::vec((0..length, any::<u8>()), 1..6);
    let client = std::cell::RefCell::new(&mut client);
    proptest!(ProptestConfig::with_cases(500), |(changes in changes, end in 1..=length)| {
        let mut body = good[..if end % 3 == 0 { end } else { length }].to_vec();
        for (at, byte) in changes {
            if let Some(place) = body.get_mut(at) {
                *place = byte;
            }
        }
        body.push(b'x'); // no body is blank
        let said = load_bytes(&mut client.borrow_mut(), "Document", body);
        prop_assert!(!said.contains("InternalServerError"), "{said}");
    });
}
