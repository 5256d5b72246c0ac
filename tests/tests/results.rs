//! The same records as results in CSV, XML and JSON: however they arrive, they decode to the same
//! rows, and the document of all pages holds them again.

use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use sfbulk::Syntax;
use sfbulk::rows::{Decoder, Framer, Moment, Rows, Text};

/// Texts are not empty, since CSV cannot tell that from null.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Record {
    id: String,
    name: Option<String>,
    amount: Option<f64>,
    is_deleted: bool,
    seen: Option<Moment>,
}

fn record() -> impl Strategy<Value = Record> {
    let text = "[a-z \n\",;<>&'\\]\\[{}\\\\é€😀]{1,12}";
    let seen = prop::option::of(
        (-60_000_000_000_000..60_000_000_000_000i64).prop_map(Moment::from_millis),
    );
    let amount = prop::option::of(-1e9..1e9f64);
    ("[0-9a-zA-Z]{15}", prop::option::of(text), amount, any::<bool>(), seen).prop_map(
        |(id, name, amount, is_deleted, seen)| Record { id, name, amount, is_deleted, seen },
    )
}

/// A result as the service writes it.
fn written(syntax: Syntax, records: &[Record]) -> String {
    match syntax {
        Syntax::Csv => {
            let mut writer = csv::WriterBuilder::new()
                .quote_style(csv::QuoteStyle::Always)
                .from_writer(Vec::new());
            for record in records {
                writer.serialize(record).unwrap();
            }
            String::from_utf8(writer.into_inner().unwrap()).unwrap()
        }
        Syntax::Json => {
            let record = |record: &Record| {
                let mut json = serde_json::to_value(record).unwrap();
                json["attributes"] = serde_json::json!({"type": "Account"});
                json["Seen"] = record.seen.map(Moment::millis).into();
                serde_json::to_string_pretty(&json).unwrap()
            };
            format!("[ {} ]", records.iter().map(record).collect::<Vec<_>>().join(", "))
        }
        Syntax::Xml => {
            let field = |name: &str, text: Option<String>| match text {
                Some(text) if name.len() % 2 == 1 && !text.contains("]]>") => {
                    format!("<{name}><![CDATA[{text}]]></{name}>")
                }
                Some(text) => {
                    format!("<{name}>{}</{name}>", text.replace('&', "&amp;").replace('<', "&#60;"))
                }
                None => format!("<{name} xsi:nil=\"true\"/>"),
            };
            let record = |record: &Record| {
                let id = field("Id", Some(record.id.clone())).repeat(2);
                let name = field("Name", record.name.clone());
                let amount = field("Amount", record.amount.map(|amount| amount.to_string()));
                let deleted = field("IsDeleted", Some(record.is_deleted.to_string()));
                let seen = field("Seen", record.seen.map(|seen| seen.to_string()));
                format!(
                    "  <records xsi:type=\"sObject\">\n{id}{name}{amount}<!-- <records> -->{deleted}{seen}</records>\n"
                )
            };
            let records: String = records.iter().map(record).collect();
            format!(
                "<?xml version=\"1.0\"?>\n<s:queryResult\n xmlns:s='x' xmlns:xsi=\"y>\">\n{records}</s:queryResult>"
            )
        }
    }
}

fn pages(syntax: Syntax, text: &str, piece: usize) -> Vec<Rows> {
    let (mut framer, mut pages) = (Framer::with_syntax(syntax, None), Vec::new());
    for piece in text.as_bytes().chunks(piece) {
        framer.push(piece);
        pages.extend(framer.page().unwrap());
    }
    pages.extend(framer.finish().unwrap().0);
    pages
}

fn decoded(pages: &[Rows]) -> Vec<Record> {
    let mut decoder = Decoder::new();
    for page in pages {
        decoder.push(page);
    }
    std::iter::from_fn(|| decoder.next()).map(Result::unwrap).collect()
}

/// One document of the records in two files.
fn document(syntax: Syntax, records: &[Record], piece: usize) -> String {
    let (mut text, mut document) = (Text::new(syntax), Vec::new());
    let (first, second) = records.split_at(records.len() / 2);
    for records in [first, second].into_iter().filter(|records| !records.is_empty()) {
        for page in pages(syntax, &written(syntax, records), piece) {
            text.pieces(&page).into_iter().for_each(|piece| document.extend_from_slice(piece));
        }
    }
    String::from_utf8(document).unwrap() + &text.end(Some(vec!["Id"]))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn results_say_the_same_in_every_syntax(records in prop::collection::vec(record(), 0..30), piece in 1..700usize) {
        for syntax in [Syntax::Csv, Syntax::Xml, Syntax::Json] {
            prop_assert_eq!(&decoded(&pages(syntax, &written(syntax, &records), piece)), &records);
            let document = document(syntax, &records, piece);
            prop_assert_eq!(&decoded(&pages(syntax, &document, piece)), &records, "{}", document);
        }
    }
}
