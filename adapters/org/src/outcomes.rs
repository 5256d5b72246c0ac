//! What became of the records of a batch, one entry for each in the order of the request, in the
//! format of the job (guide, "Get Batch Results").

use std::fmt::Write as _;

use crate::csv;
use crate::documents::{NAMESPACE, PROLOG, xml_text};
use crate::format::Format;
use crate::value::RowError;

/// A result that grows record by record.
pub(crate) struct Outcomes {
    format: Format,
    out: Vec<u8>,
}

impl Outcomes {
    pub(crate) fn new(format: Format) -> Self {
        let out = match format {
            Format::Csv => "\"Id\",\"Success\",\"Created\",\"Error\"\n".to_owned(),
            Format::Xml => format!("{PROLOG}<results\n   xmlns=\"{NAMESPACE}\">\n"),
            Format::Json => "[".to_owned(),
        };
        Self { format, out: out.into() }
    }

    pub(crate) fn success(&mut self, id: &str, created: bool) {
        match self.format {
            Format::Csv => {
                csv::quote(&mut self.out, id.as_bytes());
                let rest: &[u8] = if created {
                    b",\"true\",\"true\",\"\"\n"
                } else {
                    b",\"true\",\"false\",\"\"\n"
                };
                self.out.extend_from_slice(rest);
            }
            Format::Xml => self.write(&format!(
                " <result>\n  <id>{id}</id>\n  <success>true</success>\n  <created>{created}</created>\n </result>\n"
            )),
            Format::Json => self.write(&format!(
                "{{\"success\":true,\"created\":{created},\"id\":\"{id}\",\"errors\":[]}},"
            )),
        }
    }

    pub(crate) fn failure(&mut self, error: &RowError) {
        match self.format {
            Format::Csv => {
                self.out.extend_from_slice(b"\"\",\"false\",\"false\",");
                csv::quote(&mut self.out, error.to_string().as_bytes());
                self.out.push(b'\n');
            }
            Format::Xml => self.write(&xml_failure(error)),
            Format::Json => {
                let error = serde_json::json!({
                    "statusCode": error.code,
                    "message": error.message,
                    "fields": error.fields,
                    "extendedErrorDetails": null,
                });
                self.write(&format!(
                    "{{\"success\":false,\"created\":false,\"id\":null,\"errors\":[{error}]}},"
                ));
            }
        }
    }

    /// The whole result.
    pub(crate) fn end(mut self) -> Vec<u8> {
        match self.format {
            Format::Csv => {}
            Format::Xml => self.write("</results>"),
            Format::Json => {
                self.out.pop_if(|last| *last == b',');
                self.write("]");
            }
        }
        self.out
    }

    fn write(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }
}

/// Errors stand before the flags, as in the schema.
fn xml_failure(error: &RowError) -> String {
    let mut out = " <result>\n  <errors>\n".to_owned();
    for field in &error.fields {
        let _ = writeln!(out, "   <fields>{}</fields>", xml_text(field));
    }
    let _ = write!(
        out,
        "   <message>{}</message>\n   <statusCode>{}</statusCode>\n  </errors>\n  \
         <success>false</success>\n  <created>false</created>\n </result>\n",
        xml_text(&error.message),
        error.code
    );
    out
}
