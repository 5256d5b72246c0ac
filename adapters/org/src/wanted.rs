//! What a client wants, by its documents and headers.

use http::header::{CONTENT_TYPE, HeaderMap};

use crate::answer::Refusal;
use crate::documents::{self, Said, Wire};
use crate::format::Format;
use crate::ids;
use crate::jobs::{Job, Operation};

/// Job documents are a few hundred bytes; whatever is larger is none.
const DOCUMENT: usize = 64 * 1024;

/// What a create document asks for.
pub(crate) struct Wanted {
    pub(crate) operation: Operation,
    pub(crate) object: String,
    pub(crate) external: Option<String>,
    pub(crate) serial: bool,
    pub(crate) content: Format,
    pub(crate) zip: bool,
    pub(crate) rule: Option<String>,
}

impl Wanted {
    pub(crate) fn read(said: &Said) -> Result<Self, Refusal> {
        let bad = |message: String| Refusal::bad("InvalidJob", message);
        let (mut operation, mut object, mut content) = (None, None, (Format::Xml, false));
        let (mut external, mut rule, mut serial) = (None, None, false);
        for (name, text) in said {
            match name.as_str() {
                "operation" => {
                    let known = Operation::read(text);
                    operation =
                        Some(known.ok_or_else(|| {
                            bad(format!("Unsupported operation: {}", brief(text)))
                        })?);
                }
                "object" => object = Some(text.clone()),
                "externalIdFieldName" => external = Some(text.clone()),
                "concurrencyMode" => {
                    // The ordinals are what one widely used client sends.
                    serial = match text.as_str() {
                        "Parallel" | "0" => false,
                        "Serial" | "1" => true,
                        _ => {
                            return Err(bad(format!(
                                "Unsupported concurrencyMode: {}",
                                brief(text)
                            )));
                        }
                    };
                }
                "contentType" => {
                    content = Format::read_content(text)
                        .ok_or_else(|| bad(format!("Unsupported contentType: {}", brief(text))))?;
                }
                "assignmentRuleId" => rule = Some(text.clone()),
                "fastPathEnabled" => {}
                other => return Err(bad(format!("{} cannot be specified", capital(other)))),
            }
        }
        let operation = operation.ok_or_else(|| bad("Operation must be specified".into()))?;
        let (content, zip) = content;
        if zip && operation.is_query() {
            return Err(bad("A zip content type cannot be used for a query".into()));
        }
        Ok(Self {
            operation,
            object: object.ok_or_else(|| bad("Object must be specified".into()))?,
            external,
            serial,
            content,
            zip,
            rule,
        })
    }
}

/// The prefix of assignment rules.
const RULE: &str = "01Q";

/// An assignment rule is for cases and leads that are loaded, and the job is told with its long id.
pub(crate) fn assignment_rule(wanted: &Wanted, object: &str) -> Result<Option<String>, Refusal> {
    let Some(rule) = &wanted.rule else { return Ok(None) };
    let bad = |message: String| Err(Refusal::bad("InvalidJob", message));
    let loads =
        matches!(wanted.operation, Operation::Insert | Operation::Update | Operation::Upsert);
    if !loads || !["Case", "Lead"].contains(&object) {
        let operation = wanted.operation.name();
        return bad(format!("AssignmentRuleId cannot be specified for {operation} of {object}"));
    }
    match ids::number(RULE, rule) {
        Some(n) => Ok(Some(ids::long(RULE, n))),
        None => bad(format!("Invalid assignment rule id: {}", brief(rule))),
    }
}

/// The `state` of an update document, the only thing besides the id that it may hold.
pub(crate) fn wanted_state(job: &Job, said: &Said) -> Result<String, Refusal> {
    let mut state = None;
    for (name, text) in said {
        match name.as_str() {
            "state" => state = Some(text.clone()),
            "id" if ids::number(ids::JOB, text) == Some(job.n) => {}
            other => {
                return Err(Refusal::bad(
                    "InvalidJob",
                    format!("{} cannot be specified", capital(other)),
                ));
            }
        }
    }
    state.ok_or_else(|| Refusal::bad("InvalidJob", "State must be specified"))
}

pub(crate) fn read_document(wire: Wire, body: &[u8]) -> Result<Said, Refusal> {
    if body.len() > DOCUMENT {
        return Err(Refusal::bad("InvalidJob", "Unable to parse Job"));
    }
    documents::read(wire, body)
}

/// The syntax of a job document by its header. XML is also read under the type of records, as one
/// of the vendor's own examples sends it.
pub(crate) fn document_wire(headers: &HeaderMap) -> Result<Wire, Refusal> {
    match media_type(headers).as_deref() {
        Some("application/json") => Ok(Wire::Json),
        None | Some("application/xml" | "text/xml" | "text/csv") => Ok(Wire::Xml),
        Some(_) => Err(unsupported(headers)),
    }
}

/// A batch comes as the media type of its job, in UTF-8; the SOQL of a query too.
pub(crate) fn check_batch_type(format: Format, headers: &HeaderMap) -> Result<(), Refusal> {
    let text = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let charset = text.split(';').skip(1).find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
    });
    let utf8 = charset.is_none_or(|charset| charset.eq_ignore_ascii_case("utf-8"));
    match media_type(headers) {
        Some(sent) if utf8 && format.takes(&sent) => Ok(()),
        _ => Err(unsupported(headers)),
    }
}

/// An archive comes as that of its records.
pub(crate) fn check_archive_type(format: Format, headers: &HeaderMap) -> Result<(), Refusal> {
    match media_type(headers) {
        Some(sent) if sent == format.archive_type() => Ok(()),
        _ => Err(unsupported(headers)),
    }
}

fn unsupported(headers: &HeaderMap) -> Refusal {
    let sent = headers
        .get(CONTENT_TYPE)
        .map_or("null".into(), |value| String::from_utf8_lossy(value.as_bytes()));
    Refusal::bad("UnsupportedContentType", format!("Unsupported content type: {}", brief(&sent)))
}

/// The media type of a body, lower case and without parameters.
pub(crate) fn media_type(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(CONTENT_TYPE)?.to_str().unwrap_or("?");
    Some(text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

/// Names of fields in messages begin with a capital.
fn capital(name: &str) -> String {
    let mut chars = name.chars().take(100);
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}

/// What a client sent, short enough for a message, and printable in XML.
pub(crate) fn brief(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(100).collect()
}
