//! How the [model server](crate::server) reads the records of a load, and writes what became of
//! them, in each syntax. Its records have one field, `Name`.

use std::collections::BTreeMap;
use std::fmt::Write;

use bytes::Bytes;
use http::Response;
use sfbulk::Syntax;
use sfbulk::rows::{Batch, Limits, RowSource, Source};

use crate::document::{CSV, XML, document, element, members, page};

pub(crate) const JSON: &str = "application/json; charset=UTF-8";

/// The records in batches of so many.
pub fn batches_of(syntax: Syntax, records: &[String], per_batch: u64) -> Vec<Batch> {
    let limits = Limits { records: per_batch, ..Limits::default() };
    let rows = records.iter().map(|record| BTreeMap::from([("Name", record)]));
    let mut source = RowSource::with_syntax(syntax, rows, limits);
    std::iter::from_fn(|| source.batch().unwrap()).collect()
}

/// The records of a batch's body, the cells of each joined by bars.
pub fn records(body: &[u8]) -> Vec<String> {
    match syntax(body) {
        Syntax::Csv => {
            let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(body);
            let cells = |record: csv::StringRecord| record.iter().collect::<Vec<_>>().join("|");
            reader.records().map(|record| cells(record.unwrap())).collect()
        }
        Syntax::Json => {
            let records: Vec<BTreeMap<String, String>> = serde_json::from_slice(body).unwrap();
            records.into_iter().map(|record| record["Name"].clone()).collect()
        }
        Syntax::Xml => {
            let text = std::str::from_utf8(body).unwrap();
            let records = text.split("<sObject>").skip(1);
            records.map(|record| unescaped(&element(record, "Name"))).collect()
        }
    }
}

fn syntax(body: &[u8]) -> Syntax {
    match body.first() {
        Some(b'[') => Syntax::Json,
        Some(b'<') => Syntax::Xml,
        _ => Syntax::Csv,
    }
}

fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

/// What was sent as a batch, as it was or in other clothes.
pub(crate) fn request(body: &Bytes, rewrites: bool) -> Response<Bytes> {
    let syntax = syntax(body);
    let body = if rewrites { rewritten(syntax, body) } else { body.clone() };
    page(200, media(syntax), body)
}

fn media(syntax: Syntax) -> &'static str {
    match syntax {
        Syntax::Csv => CSV,
        Syntax::Json => JSON,
        Syntax::Xml => XML,
    }
}

/// The same records: in CSV each cell in quotes, with the line ends of another system; in JSON and
/// XML with white space, and in XML with names that have prefixes.
fn rewritten(syntax: Syntax, body: &[u8]) -> Bytes {
    match syntax {
        Syntax::Csv => {
            let mut writer = csv::WriterBuilder::new()
                .quote_style(csv::QuoteStyle::Always)
                .terminator(csv::Terminator::CRLF)
                .from_writer(Vec::new());
            let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(body);
            for record in reader.byte_records() {
                writer.write_byte_record(&record.unwrap()).unwrap();
            }
            writer.into_inner().unwrap().into()
        }
        Syntax::Json => {
            let value: serde_json::Value = serde_json::from_slice(body).unwrap();
            serde_json::to_vec_pretty(&value).unwrap().into()
        }
        Syntax::Xml => {
            let text = String::from_utf8(body.to_vec()).unwrap();
            let text =
                text.replace("</", "</d:").replace("<s", "\n<d:s").replace("<Name", "\n <d:Name");
            text.replace("xmlns=", "xmlns:d=").into()
        }
    }
}

/// What became of one record: its id, or why there is none.
pub(crate) type Told = Result<(String, bool), &'static str>;

/// What became of the records of a batch.
pub(crate) fn outcomes(syntax: Syntax, told: impl Iterator<Item = Told>) -> Response<Bytes> {
    let body = match syntax {
        Syntax::Csv => {
            let mut csv = String::from("\"Id\",\"Success\",\"Created\",\"Error\"\n");
            for told in told {
                match told {
                    Ok((id, created)) => writeln!(csv, "\"{id}\",\"true\",\"{created}\",\"\"").unwrap(),
                    Err(field) => writeln!(
                        csv,
                        "\"\",\"false\",\"false\",\"REQUIRED_FIELD_MISSING:Required fields are missing: [{field}]:{field} --\""
                    )
                    .unwrap(),
                }
            }
            csv
        }
        Syntax::Json => {
            let told: Vec<String> = told
                .map(|told| match told {
                    Ok((id, created)) => format!(
                        r#"{{"success":true,"created":{created},"id":"{id}","errors":[]}}"#
                    ),
                    Err(field) => format!(
                        r#"{{"success":false,"created":false,"id":null,"errors":[{{"statusCode":"REQUIRED_FIELD_MISSING","message":"Required fields are missing: [{field}]","fields":["{field}"],"extendedErrorDetails":null}}]}}"#
                    ),
                })
                .collect();
            format!("[{}]", told.join(",\n"))
        }
        Syntax::Xml => {
            let told = told.map(|told| match told {
                Ok((id, created)) => {
                    members(&[("id", &id), ("success", "true"), ("created", &created.to_string())])
                }
                Err(field) => {
                    let message = format!("Required fields are missing: [{field}]");
                    let why = members(&[
                        ("fields", field),
                        ("message", &message),
                        ("statusCode", "REQUIRED_FIELD_MISSING"),
                    ]);
                    members(&[("errors", &why), ("success", "false"), ("created", "false")])
                }
            });
            let results: String = told.map(|told| members(&[("result", &told)])).collect();
            document("results", &results)
        }
    };
    page(200, media(syntax), body)
}
