//! How fast results are framed and decoded, and in how little memory: `cargo bench --bench framing`,
//! `MB=3000` for more. The documents are made as they are read, and are never there as a whole.

use std::time::Instant;
use std::{env, fs};

use serde::Deserialize;
use sfbulk::Syntax;
use sfbulk::rows::{Decoder, Framer, Moment, Rows};

/// The most memory the whole bench may ever need, in kilobytes.
const MEMORY: u64 = 64 << 10;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Account {
    id: String,
    name: String,
    site: Option<String>,
    created_date: Moment,
}

/// What stands before, between and after the records of a result, and a record.
fn result(syntax: Syntax) -> [&'static str; 4] {
    match syntax {
        Syntax::Csv => [
            "\"Id\",\"Name\",\"Site\",\"CreatedDate\"\n",
            "\n",
            "\n",
            r#""0015g00000Xb1cCAAR","Fabrikam ""1"" & Sons, Limited","","2026-03-01T10:15:30.000Z""#,
        ],
        Syntax::Json => [
            "[ ",
            ", ",
            " ]",
            "{\n  \"attributes\" : {\n    \"type\" : \"Account\",\n    \"url\" : \"/services/data/v66.0/sobjects/Account/0015g00000Xb1cCAAR\"\n  },\n  \"Id\" : \"0015g00000Xb1cCAAR\",\n  \"Name\" : \"Fabrikam \\\"1\\\" & Sons, Limited\",\n  \"Site\" : null,\n  \"CreatedDate\" : 1772360130000\n}",
        ],
        Syntax::Xml => [
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<queryResult xmlns=\"x\" xmlns:xsi=\"y\">\n",
            "\n",
            "\n</queryResult>",
            " <records xsi:type=\"sObject\">\n  <type>Account</type>\n  <Id>0015g00000Xb1cCAAR</Id>\n  <Id>0015g00000Xb1cCAAR</Id>\n  <Name>Fabrikam &quot;1&quot; &amp; Sons, Limited</Name>\n  <Site xsi:nil=\"true\"/>\n  <CreatedDate>2026-03-01T10:15:30.000Z</CreatedDate>\n </records>",
        ],
    }
}

/// Reads a result of so many bytes, and tells how many rows it has and how many bytes a second were
/// read.
fn read(syntax: Syntax, size: usize, mut take: impl FnMut(&Rows)) -> (u64, f64) {
    let [head, between, tail, record] = result(syntax);
    let block = [record; 200].join(between);
    let block = [&block, between].concat().into_bytes();
    let mut framer = Framer::with_syntax(syntax, None);
    framer.push(head.as_bytes());
    let (began, blocks) = (Instant::now(), size / block.len());
    for _ in 0..blocks {
        framer.push(&block);
        framer.page().expect("a result").iter().for_each(&mut take);
    }
    framer.push([record, tail].concat().as_bytes());
    let (last, whole) = framer.finish().expect("a whole result");
    last.iter().for_each(take);
    assert_eq!(whole.rows, 200 * blocks as u64 + 1);
    let bytes = u32::try_from(blocks * block.len()).expect("less than 4 GB");
    (whole.rows, f64::from(bytes) / began.elapsed().as_secs_f64())
}

/// The most memory this process ever had, in kilobytes; where the system tells.
fn memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn main() {
    let size = env::var("MB").map_or(100, |text| text.parse::<usize>().expect("a number")) << 20;
    for syntax in [Syntax::Csv, Syntax::Json, Syntax::Xml] {
        let (rows, framed) = read(syntax, size, |_| {});
        let (mut decoder, mut count) = (Decoder::<Account>::new(), 0);
        let (_, speed) = read(syntax, size / 4, |page| {
            decoder.push(page);
            while let Some(row) = decoder.next() {
                let Account { id, name, site, created_date } = row.expect("an account");
                assert!(id.len() == 18 && name.len() == 28 && site.is_none());
                assert_eq!(created_date.millis(), 1_772_360_130_000);
                count += 1;
            }
        });
        assert!(count > 0);
        let (framed, speed) = (framed / 1e6, speed / 1e6);
        println!("{syntax:?}: {rows} rows, framed {framed:.0} MB/s, decoded {speed:.0} MB/s");
    }
    if let Some(memory) = memory() {
        println!("{memory} kB of memory at most");
        assert!(memory < MEMORY);
    }
}
