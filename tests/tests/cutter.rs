//! The cutter against a reader of CSV that is slow and obvious, and against the `csv` crate.

use std::ops::Range;

use proptest::prelude::*;
use sfbulk::Error;
use sfbulk::rows::{Batch, Cutter, Limits, Records, RowCutter};

/// A record as the obvious reader finds it.
#[derive(Debug)]
struct Record {
    cells: Vec<String>,
    /// Without the line end.
    raw: Range<usize>,
    /// How long the line end is; a lone carriage return counts one.
    end: usize,
}

/// The line of the byte `at`, as an editor counts.
fn line(text: &[u8], at: usize) -> u64 {
    let before = text[..at].iter().enumerate();
    let ends = |(i, byte): &(usize, &u8)| {
        **byte == b'\r' || **byte == b'\n' && (*i == 0 || text[i - 1] != b'\r')
    };
    1 + before.filter(ends).count() as u64
        - u64::from(at > 0 && text[at - 1..].starts_with(b"\r\n"))
}

/// Reads one cell at `at`: its text and its end, or the place of a quote that should not be there.
fn cell(text: &[u8], at: usize) -> Result<(Vec<u8>, usize), usize> {
    let separator = |at: usize| matches!(text.get(at), None | Some(b',' | b'\r' | b'\n'));
    let (mut cell, mut i) = (Vec::new(), at);
    if text.get(at) != Some(&b'"') {
        while !separator(i) {
            if text[i] == b'"' {
                return Err(i);
            }
            cell.push(text[i]);
            i += 1;
        }
        return Ok((cell, i));
    }
    loop {
        i += 1;
        match text.get(i) {
            None => return Err(text.len()),
            Some(b'"') if text.get(i + 1) == Some(&b'"') => i += 1,
            Some(b'"') if separator(i + 1) => return Ok((cell, i + 1)),
            Some(b'"') => return Err(i + 1),
            Some(_) => {}
        }
        cell.push(text[i]);
    }
}

/// What a cutter must take under these limits: all records, or the first line that is wrong.
fn read(text: &[u8], limits: Limits) -> Result<Vec<Record>, u64> {
    let (mut records, mut i) = (Vec::new(), if text.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 });
    while i < text.len() {
        if matches!(text[i], b'\r' | b'\n') {
            i += 1;
            continue;
        }
        let (start, mut cells) = (i, Vec::new());
        loop {
            let wrong = |at| line(text, if at == text.len() { start } else { at });
            let (cell, end) = cell(text, i).map_err(wrong)?;
            cells.push(String::from_utf8(cell).unwrap());
            i = end;
            if text.get(i) != Some(&b',') {
                break;
            }
            i += 1;
        }
        let end = if text[i..].starts_with(b"\r\n") { 2 } else { usize::from(i < text.len()) };
        let record = Record { cells, raw: start..i, end };
        if !acceptable(records.first(), &record, limits) {
            return Err(line(text, start));
        }
        records.push(record);
        i += end;
    }
    if records.is_empty() { Err(1) } else { Ok(records) }
}

/// Whether a record may stand below this header, or as one.
fn acceptable(header: Option<&Record>, record: &Record, limits: Limits) -> bool {
    if let Some(header) = header {
        let size = header.raw.len() + 1 + record.raw.len() + record.end;
        return header.cells.len() == record.cells.len() && size <= limits.bytes;
    }
    let mut names: Vec<_> = record.cells.iter().map(|name| name.to_ascii_lowercase()).collect();
    names.sort();
    names.dedup();
    let distinct =
        names.len() == record.cells.len() && names.iter().all(|name| !name.trim().is_empty());
    let marked = record.cells[0].starts_with('\u{feff}'); // a second one, or one after a blank line
    distinct && !marked && record.raw.len() + 1 < limits.bytes
}

/// Cuts a text that arrives in pieces of these sizes.
fn cut(mut cutter: Cutter, mut text: &[u8], sizes: &[usize]) -> (Vec<Batch>, Result<(), Error>) {
    let mut batches = Vec::new();
    for &size in sizes.iter().chain([&usize::MAX]) {
        let (piece, rest) = text.split_at(size.min(text.len()));
        text = rest;
        cutter.push(piece);
        if size == usize::MAX {
            cutter.end();
        }
        loop {
            match cutter.next() {
                Ok(Some(batch)) => batches.push(batch),
                Ok(None) => break,
                Err(error) => return (batches, Err(error)),
            }
        }
    }
    (batches, Ok(()))
}

fn told((batches, result): (Vec<Batch>, Result<(), Error>)) -> (Vec<Batch>, Option<String>) {
    (batches, result.err().map(|error| error.to_string()))
}

fn csv(text: &[u8]) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text);
    reader.records().map(|record| record.unwrap().iter().map(Into::into).collect()).collect()
}

fn raw_cell() -> impl Strategy<Value = String> {
    let part = prop_oneof![4 => "[a-z ]{1,12}", 1 => Just("é€😀".to_owned()), 1 => Just("#N/A".to_owned())];
    let inner = prop_oneof![3 => "[a-z]{0,9}", 1 => Just("\"\"".into()), 1 => Just(",".into()), 1 => Just("\r\n".into()), 1 => Just("\n".into()), 1 => Just("\r".into())];
    prop_oneof![
        5 => part,
        2 => Just(String::new()),
        4 => prop::collection::vec(inner, 0..6).prop_map(|inner| format!("\"{}\"", inner.concat())),
        1 => (50..200usize).prop_map(|n| format!("\"{}\"", "long, ".repeat(n / 6))),
    ]
}

fn line_end() -> impl Strategy<Value = &'static str> {
    prop_oneof![12 => Just("\n"), 4 => Just("\r\n"), 1 => Just("\r"), 1 => Just("\n\n"), 1 => Just("\r\n\r\n\n"), 1 => Just("\r\r")]
}

/// Texts that are right but for their limits, with rows of one width.
fn good_text() -> impl Strategy<Value = String> {
    (1..5usize).prop_flat_map(|columns| {
        let row = (prop::collection::vec(raw_cell(), columns), line_end());
        let row = row.prop_map(|(cells, end)| cells.join(",") + end);
        (
            prop::bool::weighted(0.2),
            "[\r\n]{0,1}",
            line_end(),
            prop::collection::vec(row, 0..40),
            any::<bool>(),
        )
            .prop_map(move |(mark, blank, end, rows, last)| {
                let header: Vec<_> = (0..columns)
                    .map(|i| ["Id", "\"Name\"", "\"a,b\"", "ü"][i].to_owned())
                    .collect();
                let mut text = format!(
                    "{}{blank}{}{end}{}",
                    if mark { "\u{feff}" } else { "" },
                    header.join(","),
                    rows.concat()
                );
                if last {
                    text.truncate(text.trim_end_matches(['\r', '\n']).len());
                }
                text
            })
    })
}

/// The same with something thrown in, right or wrong.
fn any_text() -> impl Strategy<Value = String> {
    let stuff = prop::sample::select(vec!["\"", "\"x", "x\"", ",", "\n", "\r", "\"\"", ",\"", "é"]);
    (good_text(), any::<prop::sample::Index>(), stuff).prop_map(|(mut text, at, stuff)| {
        let mut at = at.index(text.len() + 1);
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        text.insert_str(at, stuff);
        text
    })
}

fn noise() -> impl Strategy<Value = String> {
    let byte = prop_oneof![4 => Just('"'), 3 => Just(','), 3 => Just('\n'), 2 => Just('\r'), 3 => Just('a'), 1 => Just('é')];
    prop::collection::vec(byte, 0..200).prop_map(String::from_iter)
}

fn limits() -> impl Strategy<Value = Limits> {
    let bytes = prop_oneof![1 => 10..400usize, 2 => Just(10_000_000)];
    (prop_oneof![1 => 1..9u64, 1 => Just(10_000)], bytes)
        .prop_map(|(records, bytes)| Limits { records, bytes })
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(prop_oneof![0..5usize, 50..80usize, 0..500usize], 0..40)
}

/// Checks everything that a cutter promises of one text.
fn check(text: &str, limits: Limits, sizes: &[usize]) -> Result<(), TestCaseError> {
    let text = text.as_bytes();
    let (batches, result) = cut(Cutter::new(limits), text, sizes);
    prop_assert_eq!(
        told((batches.clone(), result.clone())),
        told(cut(Cutter::new(limits), text, &[])),
        "the split does not count"
    );
    let records = match read(text, limits) {
        Ok(records) => records,
        Err(line) => {
            prop_assert_eq!(result.map_err(|error| error.line()), Err(Some(line)));
            return Ok(());
        }
    };
    prop_assert!(result.is_ok(), "{:?}", result);
    prop_assert_eq!(&csv(text), &records.iter().map(|r| r.cells.clone()).collect::<Vec<_>>());

    let (mut row, mut place) = (0, records.get(1).map_or(0, |first| first.raw.start) as u64);
    for (i, batch) in batches.iter().enumerate() {
        prop_assert!(batch.body.len() <= limits.bytes);
        prop_assert!((1..=limits.records).contains(&(batch.rows.end - batch.rows.start)));
        prop_assert_eq!((batch.rows.start, batch.source.start), (row, place), "no gap");
        (row, place) = (batch.rows.end, batch.source.end);
        let rows = &records[1..]
            [usize::try_from(batch.rows.start).unwrap()..usize::try_from(row).unwrap()];
        let cells: Vec<_> =
            records[..1].iter().chain(rows).map(|record| record.cells.clone()).collect();
        prop_assert_eq!(csv(&batch.body), cells.clone());
        let source =
            &text[usize::try_from(batch.source.start).unwrap()..usize::try_from(place).unwrap()];
        prop_assert_eq!(csv(source), &cells[1..]);
        // A batch is full when the next record does not go in.
        if let Some(next) = batches.get(i + 1) {
            let next = &records[1..][usize::try_from(next.rows.start).unwrap()];
            let full = batch.rows.end - batch.rows.start == limits.records;
            prop_assert!(full || batch.body.len() + next.raw.len() + next.end > limits.bytes);
        }
    }
    prop_assert_eq!(row, records.len() as u64 - 1);
    if !batches.is_empty() {
        prop_assert_eq!(place, text.len() as u64);
    }

    let mut raw = Records::new();
    raw.push(text);
    raw.end();
    for record in &records {
        prop_assert_eq!(raw.next().unwrap(), Some(&text[record.raw.clone()]));
    }
    prop_assert_eq!(raw.next().unwrap(), None);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn good_texts_are_cut_and_lose_nothing(text in good_text(), limits in limits(), sizes in sizes()) {
        check(&text, limits, &sizes)?;
    }

    #[test]
    fn texts_with_one_thing_wrong_are_refused_at_its_line(text in any_text(), limits in limits(), sizes in sizes()) {
        check(&text, limits, &sizes)?;
    }

    #[test]
    fn noise_is_taken_or_refused_as_it_should_be(text in noise(), limits in limits(), sizes in sizes()) {
        check(&text, limits, &sizes)?;
    }

    #[test]
    fn text_that_is_not_utf8_is_refused(text in good_text(), at in any::<prop::sample::Index>(), sizes in sizes()) {
        let limits = Limits { records: 3, ..Limits::default() };
        let mut text = text.into_bytes();
        let at = at.index(text.len());
        text[at] |= 0x80;
        if let Err(error) = std::str::from_utf8(&text) {
            let cut = told(cut(Cutter::new(limits), &text, &sizes));
            prop_assert!(cut.1.is_some());
            // Nothing is given out that holds the bad byte.
            prop_assert!(cut.0.iter().all(|batch| batch.source.end <= error.valid_up_to() as u64));
            prop_assert_eq!(cut, told(self::cut(Cutter::new(limits), &text, &[])));
        }
    }

    #[test]
    fn chosen_columns_are_those_columns(text in good_text(), records in 1..9u64, sizes in sizes(), keep in any::<bool>()) {
        let limits = Limits { records, ..Limits::default() };
        let whole = csv(text.as_bytes());
        let chosen = |name: &String| ["Id", "ü"].contains(&name.as_str()) == keep;
        if keep && whole[0].len() < 4 || whole[0].len() < 2 {
            return Ok(()); // nothing to keep, or nothing else
        }
        let cutter = Cutter::new(limits);
        let cutter = if keep { cutter.keep_only(["iD", "ü"]) } else { cutter.leave_out(["iD", "ü"]) };
        let (batches, result) = cut(cutter, text.as_bytes(), &sizes);
        prop_assert!(result.is_ok());
        let (all, _) = cut(Cutter::new(limits), text.as_bytes(), &[]);
        prop_assert_eq!(batches.len(), all.len());
        for (batch, all) in batches.iter().zip(all) {
            prop_assert_eq!((&batch.rows, &batch.source), (&all.rows, &all.source));
            let wanted: Vec<Vec<String>> = csv(&all.body)
                .iter()
                .map(|record| record.iter().zip(&whole[0]).filter(|(_, name)| chosen(name)).map(|(cell, _)| cell.clone()).collect())
                .collect();
            prop_assert_eq!(csv(&batch.body), wanted);
        }
    }

    #[test]
    fn typed_rows_are_written_as_the_csv_crate_writes_them(
        rows in prop::collection::vec((".{0,20}", any::<Option<i32>>(), "[a\",\n\r]{0,4}", any::<bool>()), 1..30),
        records in 1..9u64,
    ) {
        #[derive(serde::Serialize)]
        struct Row { name: String, age: Option<i32>, #[serde(rename = "Note, \"x\"")] note: String, active: bool }
        let mut cutter = RowCutter::new(Limits { records, ..Limits::default() });
        let (mut batches, mut next) = (Vec::new(), 0);
        let rows: Vec<Row> = rows.into_iter().map(|(name, age, note, active)| Row { name, age, note, active }).collect();
        for row in &rows {
            batches.extend(cutter.push(row).unwrap());
        }
        batches.extend(cutter.finish().unwrap());
        for batch in batches {
            prop_assert_eq!(batch.rows.start, next);
            next = batch.rows.end;
            let mut writer = csv::Writer::from_writer(Vec::new());
            for row in &rows[usize::try_from(batch.rows.start).unwrap()..usize::try_from(next).unwrap()] {
                writer.serialize(row).unwrap();
            }
            prop_assert_eq!(batch.body, writer.into_inner().unwrap());
        }
        prop_assert_eq!(next, rows.len() as u64);
    }
}
