//! The framer against the `csv` crate.

use proptest::prelude::*;
use sfbulk::rows::{Framed, Framer, Have, Rows};
use sfbulk::{Error, ErrorKind};

/// All that a framer told of a file.
#[derive(Debug, Default, PartialEq)]
struct Told {
    header: Option<Vec<u8>>,
    records: Vec<u8>,
    /// Where one could go on.
    places: Vec<Have>,
    result: Option<Result<Framed, String>>,
}

impl Told {
    fn take(&mut self, rows: &Rows) {
        assert!(self.header.is_none() || self.header.as_deref() == Some(&rows.header));
        self.header = Some(rows.header.to_vec());
        self.records.extend_from_slice(&rows.records);
        self.places.push(rows.have);
    }

    fn rows(&self) -> u64 {
        self.places.last().map_or(0, |have| have.rows)
    }
}

fn frame(have: Option<Have>, mut text: &[u8], sizes: &[usize]) -> Told {
    let mut told = Told::default();
    let mut framer = Framer::new(have);
    let mut run = |told: &mut Told| -> Result<Framed, Error> {
        for &size in sizes.iter().chain([&usize::MAX]) {
            let (piece, rest) = text.split_at(size.min(text.len()));
            text = rest;
            framer.push(piece);
            while let Some(rows) = framer.page()? {
                told.take(&rows);
            }
        }
        let (last, whole) = framer.finish()?;
        if let Some(rows) = last {
            told.take(&rows);
        }
        Ok(whole)
    };
    let result = run(&mut told);
    if let Err(error) = &result {
        assert_eq!(error.kind(), ErrorKind::Incomplete, "{error}");
    }
    told.result = Some(result.map_err(|error| error.to_string()));
    told
}

fn csv(text: &[u8]) -> Vec<Vec<Vec<u8>>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text);
    reader
        .byte_records()
        .map(|record| record.unwrap().iter().map(<[u8]>::to_vec).collect())
        .collect()
}

/// Whether a text ends within quotes: one more comma is no separator there.
fn open(text: &[u8]) -> bool {
    let cells = |text: &[u8]| csv(text).iter().map(Vec::len).sum::<usize>();
    cells(text) == cells(&[text, b","].concat())
}

/// A result as the server writes it.
fn result() -> impl Strategy<Value = String> {
    let part = prop_oneof![4 => "[a-z, ]{1,9}", 1 => Just("\"\"".into()), 1 => Just("\n".into()), 1 => Just("\r\n".into()), 1 => Just("é\0".into())];
    let cell =
        prop::collection::vec(part, 0..4).prop_map(|parts| format!("\"{}\"", parts.concat()));
    (1..5usize, prop::sample::select(vec!["\n", "\r\n"])).prop_flat_map(move |(columns, end)| {
        let row = prop::collection::vec(cell.clone(), columns).prop_map(|cells| cells.join(","));
        (prop::collection::vec(row, 0..25), any::<bool>()).prop_map(move |(rows, last)| {
            let header =
                ["\"Id\"", "\"Name\"", "\"Owner.Name\"", "\"a,\"\"b\""][..columns].join(",");
            let text = [vec![header], rows].concat().join(end);
            if last { text + end } else { text }
        })
    })
}

/// Anything at all, of the bytes that matter.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop::sample::select(b"\"\"\"\",,\n\n\n\raaa\xff".to_vec());
    prop::collection::vec(byte, 0..300)
}

/// Lines of one width, with quotes in all sorts of places.
fn lines() -> impl Strategy<Value = Vec<u8>> {
    let cell = prop::sample::select(vec![
        "a",
        "",
        "\"\"",
        "5\" pipe",
        "\"x\"y",
        "\"x\" ",
        "\"\n\"",
        "\"a\"\"b\"\"",
        "q\"",
    ]);
    let row = prop::collection::vec(cell, 2).prop_map(|cells| cells.join(","));
    prop::collection::vec((row, prop::sample::select(vec!["\n", "\r\n", "\r", "\n\n"])), 0..60)
        .prop_map(|rows| {
            rows.into_iter()
                .flat_map(|(row, end)| [row.into_bytes(), end.into()].concat())
                .collect()
        })
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(prop_oneof![0..5usize, 50..80usize, 0..500usize], 0..40)
}

/// The framer sees the records of the `csv` crate, or refuses for a reason that the text has.
fn check(text: &[u8], sizes: &[usize]) -> Result<(), TestCaseError> {
    let (told, whole) = (frame(None, text, sizes), frame(None, text, &[]));
    prop_assert_eq!(
        (&told.records, &told.result, told.rows()),
        (&whole.records, &whole.result, whole.rows())
    );
    let all = csv(text);
    let ragged = all.iter().position(|record| record.len() != all[0].len());
    let Some(Ok(framed)) = told.result else {
        prop_assert!(ragged.is_some() || open(text), "refused without a reason: {:?}", told.result);
        let before = &all[1..ragged.unwrap_or(all.len())];
        prop_assert!(told.rows() <= before.len() as u64);
        return Ok(());
    };
    prop_assert!(ragged.is_none() && !open(text));
    prop_assert_eq!(framed.rows, (all.len() as u64).saturating_sub(1));
    prop_assert_eq!(framed.rows, told.rows());
    prop_assert_eq!(framed.header.is_some(), !all.is_empty());
    if let Some(header) = told.header {
        prop_assert_eq!(csv(&[&header[..], b"\n", &told.records].concat()), all);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn results_are_framed_whole(text in result(), sizes in sizes()) {
        check(text.as_bytes(), &sizes)?;
        let told = frame(None, text.as_bytes(), &sizes);
        let records = String::from_utf8(told.records).unwrap();
        let sent = &text[told.header.unwrap().len()..];
        let trim = ['\r', '\n'];
        prop_assert_eq!(records.trim_end_matches(trim), sent.trim_matches(trim), "byte for byte");
    }

    #[test]
    fn quotes_anywhere_change_no_record(text in lines(), sizes in sizes()) {
        check(&text, &sizes)?;
    }

    #[test]
    fn noise_is_framed_or_refused(text in noise(), sizes in sizes()) {
        check(&text, &sizes)?;
    }

    #[test]
    fn a_transfer_goes_on_after_any_row(text in result(), sizes in sizes()) {
        let text = text.as_bytes();
        let all = frame(None, text, &vec![1; 3000]);
        for have in &all.places {
            let rest = frame(Some(*have), text, &sizes);
            prop_assert_eq!(&rest.result, &all.result);
            prop_assert_eq!(rest.rows().max(have.rows), all.rows());
            prop_assert!(all.records.ends_with(&rest.records));
            let kept = &all.records[..all.records.len() - rest.records.len()];
            let header = [all.header.as_deref().unwrap(), b"\n", kept].concat();
            prop_assert_eq!(csv(&header).len() as u64, have.rows + 1);
            if have.rows > 0 {
                let mut other = text.to_vec();
                let start = all.header.as_deref().unwrap().len() + 1 + usize::from(text.contains(&b'\r'));
                other[start + kept.len() / 2] ^= 1;
                prop_assert!(frame(Some(*have), &other, &sizes).result.unwrap().is_err());
            }
        }
    }

    #[test]
    fn a_result_that_was_cut_never_looks_longer(text in result()) {
        let full = frame(None, text.as_bytes(), &[]);
        for cut in 0..text.len() {
            let told = frame(None, &text.as_bytes()[..cut], &[]);
            let rows = match &told.result {
                Some(Ok(framed)) => framed.rows,
                _ => told.rows(),
            };
            prop_assert!(rows <= full.rows());
            // Fewer rows show against the server's count. As many are the same ones, but for the
            // last: cut after the first of two quotes, it looks whole.
            if told.result.unwrap().is_ok() && rows == full.rows() && rows > 0 {
                let (told, full) = (csv(&told.records), csv(&full.records));
                prop_assert_eq!(told.split_last().unwrap().1, full.split_last().unwrap().1);
            }
        }
    }
}
