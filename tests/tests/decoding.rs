//! The decoder against the `csv` crate's own.

use std::collections::BTreeMap;

use proptest::prelude::*;
use sfbulk::rows::{Decoder, Framer};

/// A type that some cells fit and some do not.
#[derive(Debug, PartialEq, serde::Deserialize)]
struct Row {
    name: String,
    age: Option<u8>,
    active: bool,
}

fn text() -> impl Strategy<Value = String> {
    let name = "(\"([a-z,\n]|\"\"){0,9}\"|[a-z]{0,5})";
    let age = prop_oneof![6 => "[1-9]{0,2}", 1 => Just("300".into()), 1 => Just("\"\"".into())];
    let active = prop_oneof![8 => "true|false", 1 => Just("maybe".to_owned())];
    let row = (name, age, active, "[a-z]{0,3}")
        .prop_map(|(name, age, active, more)| format!("{age},{name},{more},{active}\n"));
    prop::collection::vec(row, 0..40)
        .prop_map(|rows| format!("age,\"name\",more,active\n{}", rows.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rows_are_those_of_the_csv_crate(text in text(), piece in 1..200usize) {
        let (mut framer, mut rows, mut maps) = (Framer::new(None), Decoder::<Row>::new(), Decoder::<BTreeMap<String, String>>::new());
        let mut pages = Vec::new();
        for piece in text.as_bytes().chunks(piece) {
            framer.push(piece);
            pages.extend(framer.page().unwrap());
        }
        pages.extend(framer.finish().unwrap().0);
        for page in &pages {
            rows.push(page);
            maps.push(page);
        }
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        for (n, theirs) in reader.deserialize::<Row>().enumerate() {
            let ours = rows.next().unwrap();
            if let Ok(row) = theirs {
                prop_assert_eq!(ours.unwrap(), row);
            } else {
                prop_assert_eq!(ours.unwrap_err().rows(), Some(n as u64..n as u64 + 1));
            }
        }
        prop_assert!(rows.next().is_none());
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        for theirs in reader.deserialize() {
            prop_assert_eq!(maps.next().unwrap().unwrap(), theirs.unwrap());
        }
        prop_assert!(maps.next().is_none());
    }
}
