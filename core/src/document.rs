//! Which document is this? Answers are read by what they *are*, never by what was asked for: the
//! format of an answer follows rules with many recorded exceptions, an error may come with status
//! 200, and a maintenance page in place of anything.

use http::{HeaderMap, Response};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::error::ErrorInfo;
use crate::id::ResultId;
use crate::info::{BatchInfo, IngestResult, JobInfo, one_or_many};
use crate::xml;

/// How much of a message is kept; nobody reads more, and errors are printed and stored.
const MESSAGE: usize = 2048;

/// How much of a page that is no document is kept, as a hint; and of the name of anything.
const EXCERPT: usize = 200;

/// How much of a batch's state message is kept: it is repeated for each row of the batch.
const STATE_MESSAGE: usize = 500;

/// A control document, whatever its format was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Document {
    /// A job.
    JobInfo(Box<JobInfo>),
    /// A batch.
    BatchInfo(BatchInfo),
    /// All batches of a job, in the order of their creation.
    BatchInfoList(Vec<BatchInfo>),
    /// The files a query's result is made of. An empty JSON list is read as this.
    ResultList(Vec<ResultId>),
    /// What became of each record of a batch.
    Results(Vec<IngestResult>),
    /// The API's own refusal.
    Error(ErrorInfo),
}

/// The format of a body: what its media type says, or else its first character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// XML; also HTML, which is told apart by its root.
    Xml,
    /// JSON.
    Json,
    /// CSV, or any other text.
    Text,
}

impl Format {
    /// Judges a body by its `Content-Type` (parameters ignored) and its beginning.
    ///
    /// The beginning wins where it speaks clearly: no header row starts with `<`, `{` or `[`. But
    /// a page that calls itself HTML is never taken for rows.
    pub fn of(headers: &HeaderMap, beginning: &[u8]) -> Self {
        let media = headers.get(http::header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
        let media = media.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        let is = |suffix: &str| media.to_ascii_lowercase().ends_with(suffix);
        let text = beginning.strip_prefix(b"\xef\xbb\xbf").unwrap_or(beginning);
        let first = text.iter().find(|byte| !byte.is_ascii_whitespace());
        match first {
            Some(b'{' | b'[') => Self::Json,
            None if is("json") => Self::Json,
            Some(b'<') => Self::Xml,
            _ if is("html") || (first.is_none() && is("xml")) => Self::Xml,
            _ => Self::Text,
        }
    }
}

impl Document {
    /// Reads an answer. The error says why it is no document of this API: cut off, another kind of
    /// page, not text.
    pub fn read<B: AsRef<[u8]>>(response: &Response<B>) -> Result<Self, String> {
        let body = response.body().as_ref();
        let text = std::str::from_utf8(body).map_err(|_| "the answer is not UTF-8".to_owned())?;
        let text = text.trim_start_matches('\u{feff}').trim();
        let document = match Format::of(response.headers(), body) {
            Format::Xml => from_xml(text),
            Format::Json => from_json(text),
            Format::Text if text.is_empty() => Err("the answer is empty".into()),
            Format::Text => Err(format!("the answer is text: {}", excerpt(text))),
        };
        let mut document = document.map_err(|why| clean(&why, EXCERPT))?;
        match &mut document {
            Self::Error(error) => {
                error.status = response.status().as_u16();
                error.request_id = request_id(response.headers());
            }
            Self::BatchInfo(batch) => clean_message(batch),
            Self::BatchInfoList(batches) => batches.iter_mut().for_each(clean_message),
            Self::JobInfo(_) | Self::ResultList(_) | Self::Results(_) => {}
        }
        Ok(document)
    }
}

/// The refusal in an answer that was no success: the API's own words if it has any, else what can
/// be told of the page.
pub(crate) fn refusal<B: AsRef<[u8]>>(response: &Response<B>) -> ErrorInfo {
    match Document::read(response) {
        Ok(Document::Error(error)) => error,
        _ => ErrorInfo {
            status: response.status().as_u16(),
            code: None,
            message: excerpt(&String::from_utf8_lossy(response.body().as_ref())),
            request_id: request_id(response.headers()),
        },
    }
}

/// The correlation id the server gave the request.
fn request_id(headers: &HeaderMap) -> Option<String> {
    let value = headers.get("x-sfdc-request-id").or_else(|| headers.get("x-request-id"))?;
    Some(value.to_str().ok()?.chars().take(64).collect())
}

#[derive(Deserialize)]
struct BatchInfoList {
    #[serde(rename = "batchInfo", default, deserialize_with = "one_or_many")]
    batches: Vec<BatchInfo>,
}

#[derive(Deserialize)]
struct Listed {
    #[serde(default, deserialize_with = "one_or_many")]
    result: Vec<ResultId>,
}

fn from_xml(text: &str) -> Result<Document, String> {
    // Results are many; the tree of all would be ten times as large as the document.
    let mut results = Vec::new();
    let take = |root: &str, child: &str, tree| {
        if (root, child) != ("results", "result") {
            return Ok(Some(tree));
        }
        results
            .push(IngestResult::deserialize(tree).map_err(|e: serde_json::Error| e.to_string())?);
        Ok(None)
    };
    let (root, tree) = xml::read(text, take).map_err(|why| format!("broken XML: {why}"))?;
    // A root without children is read as text; every document here is an object.
    let tree = if tree.is_object() { tree } else { Value::Object(serde_json::Map::new()) };
    let document = match root.as_str() {
        "jobInfo" => JobInfo::deserialize(tree).map(|job| Document::JobInfo(job.into())),
        "batchInfo" => BatchInfo::deserialize(tree).map(Document::BatchInfo),
        "batchInfoList" => {
            BatchInfoList::deserialize(tree).map(|list| Document::BatchInfoList(list.batches))
        }
        "result-list" => Listed::deserialize(tree).map(|list| Document::ResultList(list.result)),
        "results" => Ok(Document::Results(results)),
        "error" => Ok(Document::Error(error_of(&tree))),
        "Envelope" => Ok(Document::Error(error_of(&tree["Body"]["Fault"]))),
        _ => return Err(format!("the answer is a page of another kind (<{root}>)")),
    };
    document.map_err(|e| format!("bad {root} document: {e}"))
}

fn from_json(text: &str) -> Result<Document, String> {
    let broken = |e: serde_json::Error| format!("broken JSON: {e}");
    if let Some(list) = text.strip_prefix('[') {
        return json_list(text, list).map_err(broken);
    }
    let tree: Value = serde_json::from_str(text).map_err(broken)?;
    let has = |name: &str| tree.get(name).is_some_and(|value| !value.is_null());
    let document = if has("exceptionCode") || has("errorCode") || has("error") {
        Ok(Document::Error(error_of(&tree)))
    } else if has("batchInfo") || tree.as_object().is_some_and(serde_json::Map::is_empty) {
        serde_json::from_str(text).map(|list: BatchInfoList| Document::BatchInfoList(list.batches))
    } else if has("jobId") || is_batch_id(&tree["id"]) {
        serde_json::from_str(text).map(Document::BatchInfo)
    } else if has("operation") || has("state") {
        serde_json::from_str(text).map(|job| Document::JobInfo(Box::new(job)))
    } else {
        return Err("the answer is JSON of another kind".into());
    };
    document.map_err(|e| format!("bad JSON document: {e}"))
}

/// A list is told by its first member: a tree of all would be ten times as large as the document.
fn json_list(text: &str, inside: &str) -> Result<Document, serde_json::Error> {
    let first = serde_json::Deserializer::from_str(inside).into_iter::<Value>().next();
    let first = first.and_then(Result::ok).unwrap_or_default();
    let has = |name: &str| first.get(name).is_some();
    if has("errorCode") || has("exceptionCode") {
        serde_json::from_str::<IgnoredAny>(text)?; // it must be whole
        Ok(Document::Error(error_of(&first)))
    } else if has("success") {
        serde_json::from_str(text).map(Document::Results)
    } else {
        serde_json::from_str(text).map(Document::ResultList)
    }
}

/// Batch ids, and nothing else, begin so.
fn is_batch_id(id: &Value) -> bool {
    id.as_str().is_some_and(|id| id.starts_with("751"))
}

/// An error by any of the names its parts have on this host: the Bulk API's, REST's, OAuth's,
/// SOAP's.
fn error_of(tree: &Value) -> ErrorInfo {
    let first = |names: &[&str]| {
        names.iter().find_map(|name| tree.get(*name)?.as_str()).map(str::trim).map(str::to_owned)
    };
    let code = first(&["exceptionCode", "errorCode", "error", "faultcode"])
        .map(|code| code.rsplit(':').next().unwrap_or_default().to_owned());
    let message = first(&["exceptionMessage", "message", "error_description", "faultstring"]);
    // What is no code by its looks is part of the message.
    let (code, odd) = match code {
        Some(code) if is_code(&code) => (Some(code), None),
        other => (None, other.filter(|odd| !odd.is_empty())),
    };
    let message: Vec<String> = odd.into_iter().chain(message).collect();
    let message = clean(&message.join(": "), MESSAGE);
    ErrorInfo { code, message, ..ErrorInfo::default() }
}

/// Codes are words: `InvalidBatch`, `INVALID_SESSION_ID`, `invalid_grant`.
fn is_code(text: &str) -> bool {
    (1..=80).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn clean_message(batch: &mut BatchInfo) {
    if let Some(message) = &mut batch.state_message {
        *message = clean(message, STATE_MESSAGE);
    }
}

/// What a page that is no document says: its title, or how it begins.
fn excerpt(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let title = lower.find("<title>").map(|at| at + "<title>".len()).and_then(|from| {
        let to = from + lower[from..].find("</title>")?;
        Some(text[from..to].trim())
    });
    clean(title.unwrap_or(text).trim(), EXCERPT)
}

/// A server's words, fit to be kept: without anything like a session, and not too many.
fn clean(text: &str, most: usize) -> String {
    let text = redact(text);
    if text.len() <= most {
        return text;
    }
    let end = (0..=most).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}…", &text[..end])
}

/// Blanks out anything that looks like a session id, `00D` + org id + `!` (or `%21`) + secret, in
/// text from a server: some answers echo what they were sent.
fn redact(text: &str) -> String {
    const SECRET: &str = "[redacted]";
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '%');
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(bang) = rest.find(['!', '%']) {
        let (before, after) = rest.split_at(bang);
        let org = before
            .rfind(|c: char| !c.is_ascii_alphanumeric())
            .map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
        let secret = after[1..].find(|c| !is_part(c)).map_or(after.len(), |at| at + 1);
        let is_bang = after.starts_with('!') || after.starts_with("%21");
        if is_bang && before[org..].starts_with("00D") && before.len() - org >= 15 {
            clean.push_str(&before[..org]);
            clean.push_str(SECRET);
        } else {
            clean.push_str(before);
            clean.push_str(&after[..1]);
            rest = &after[1..];
            continue;
        }
        rest = &after[secret..];
    }
    clean + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::info::{BatchState, JobState, Operation};

    fn answer(status: u16, media: &str, body: &str) -> Response<String> {
        let builder = Response::builder().status(status).header("content-type", media);
        builder.body(body.to_owned()).unwrap()
    }

    fn read(media: &str, body: &str) -> Result<Document, String> {
        Document::read(&answer(200, media, body))
    }

    #[test]
    fn a_job_reads_alike_in_xml_and_json() {
        let xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><jobInfo\n   xmlns=\"http://www.force.com/2009/06/asyncapi/dataload\">\n \
                   <id>7505g00000Ab1CdAAJ</id>\n <operation>upsert</operation>\n <state>Open</state>\n \
                   <numberBatchesTotal>2</numberBatchesTotal>\n <apiVersion>66.0</apiVersion>\n</jobInfo>";
        let json = r#"{"apiVersion":66.0,"assignmentRuleId":null,"id":"7505g00000Ab1CdAAJ",
                       "numberBatchesTotal":2,"operation":"upsert","state":"Open"}"#;
        let job = read("application/xml", xml).unwrap();
        assert_eq!(job, read("application/json;charset=UTF-8", json).unwrap());
        let Document::JobInfo(job) = job else { panic!("{job:?}") };
        assert_eq!(job.operation, Some(Operation::Upsert));
        assert_eq!(job.state, Some(JobState::Open));
        assert_eq!(job.number_batches_total, Some(2));
    }

    #[test]
    fn a_list_may_be_empty_single_or_many() {
        let batch = "<batchInfo><id>7515g00000Ef2GhAAJ</id><jobId>7505g00000Ab1CdAAJ</jobId><state>Not Processed</state></batchInfo>";
        for (times, body) in [
            (0, "<batchInfoList\n   xmlns=\"x\" />".to_owned()),
            (1, format!("<batchInfoList>{batch}</batchInfoList>")),
            (2, format!("<batchInfoList>{batch}{batch}</batchInfoList>")),
        ] {
            let Ok(Document::BatchInfoList(list)) = read("text/xml", &body) else { panic!() };
            assert_eq!(list.len(), times);
            assert!(list.iter().all(|batch| batch.state == BatchState::NotProcessed));
        }
        let one = r#"{"batchInfo":{"id":"7515g00000Ef2GhAAJ","jobId":"7505g00000Ab1CdAAJ","state":"Queued","numberRecordsProcessed":"0"}}"#;
        let Ok(Document::BatchInfoList(list)) = read("application/json", one) else { panic!() };
        assert_eq!(list[0].number_records_processed, Some(0));
    }

    #[test]
    fn result_lists_and_results_are_told_apart() {
        let ids = vec!["7525g000004RtPq".parse().unwrap(), "7525g000004RtPr".parse().unwrap()];
        let xml = "<result-list xmlns=\"x\"><result>7525g000004RtPq</result><result>7525g000004RtPr</result></result-list>";
        assert_eq!(read("application/xml", xml), Ok(Document::ResultList(ids.clone())));
        let json = r#"["7525g000004RtPq","7525g000004RtPr"]"#;
        assert_eq!(read("application/json", json), Ok(Document::ResultList(ids)));
        assert_eq!(read("application/json", "[]"), Ok(Document::ResultList(vec![])));
        assert_eq!(read("application/xml", "<result-list/>"), Ok(Document::ResultList(vec![])));

        let xml = "<results><result><id>0015g00000Xb1cCAAR</id><success>true</success><created>false</created></result>\
                   <result><errors><fields>A</fields><fields>B</fields><message>m</message><statusCode>S</statusCode></errors>\
                   <success>false</success><created>false</created></result></results>";
        let json = r#"[{"success":true,"created":false,"id":"0015g00000Xb1cCAAR","errors":[]},
            {"success":false,"created":false,"id":null,"errors":[{"statusCode":"S","message":"m","fields":["A","B"],"extendedErrorDetails":null}]}]"#;
        let results = read("application/xml", xml).unwrap();
        assert_eq!(results, read("application/json", json).unwrap());
        let Document::Results(results) = results else { panic!() };
        assert!(results[0].success && results[0].errors.is_empty());
        assert_eq!(results[1].errors[0].fields, ["A", "B"]);
    }

    #[test]
    fn results_read_alike_whatever_is_nil_absent_or_null() {
        let xml = "<results xmlns=\"x\" xmlns:xsi=\"y\">\
            <result><errors><extendedErrorDetails><extendedErrorCode>A</extendedErrorCode></extendedErrorDetails><fields>A</fields>\
                <message>m &amp; m</message><statusCode>S</statusCode></errors><errors><message>n</message><statusCode>T</statusCode></errors>\
                <id xsi:nil=\"true\"/><success>false</success><created>false</created></result>\
            <result><id>0015g00000Xb1cCAAR</id><success>true</success></result>\
            <result><id/><success>false</success><created xsi:nil=\"true\"/><errors xsi:nil=\"true\"/></result>\
            <result><success>true</success><created>false</created><errors><statusCode xsi:nil=\"true\"/><fields xsi:nil=\"true\"/></errors></result>\
            </results>";
        let json = r#"[{"errors":[{"extendedErrorDetails":[{"extendedErrorCode":"A"}],"fields":["A"],"message":"m & m","statusCode":"S"},
                {"message":"n","statusCode":"T","fields":[]}],"id":null,"success":false,"created":false},
            {"id":"0015g00000Xb1cCAAR","success":true},
            {"id":"","success":"false","created":null,"errors":null},
            {"success":true,"created":false,"errors":{"statusCode":null,"message":null,"fields":null}}]"#;
        let results = read("application/xml", xml).unwrap();
        assert_eq!(results, read("application/json", json).unwrap());
        let Document::Results(results) = results else { panic!() };
        let errors: Vec<String> = results[0].errors.iter().map(ToString::to_string).collect();
        assert_eq!(errors, ["S:m & m:A --", "T:n:--"]);
        assert_eq!(results[1].id.as_deref(), Some("0015g00000Xb1cCAAR"));
        assert!(results[2].errors.is_empty() && !results[2].created);
        assert_eq!(read("application/xml", "<results/>"), Ok(Document::Results(vec![])));
    }

    #[test]
    fn errors_are_found_in_every_dress() {
        for (media, body) in [
            (
                "application/xml",
                "<?xml version=\"1.0\"?><error\n xmlns=\"x\"><exceptionCode>InvalidSessionId</exceptionCode><exceptionMessage>gone</exceptionMessage></error>",
            ),
            (
                "application/xml",
                r#"{"exceptionCode":"InvalidSessionId","exceptionMessage":"gone"}"#,
            ),
            ("text/html", r#"[{"message":"gone","errorCode":"InvalidSessionId"}]"#),
            ("", r#"{"message":"gone","errorCode":"InvalidSessionId"}"#),
            (
                "text/xml",
                "<s:Envelope xmlns:s=\"y\"><s:Body><s:Fault><faultcode>sf:InvalidSessionId</faultcode><faultstring>gone</faultstring></s:Fault></s:Body></s:Envelope>",
            ),
        ] {
            let Ok(Document::Error(error)) = Document::read(&answer(400, media, body)) else {
                panic!("{body}")
            };
            assert_eq!(
                (error.status, error.code.as_deref(), error.message.as_str()),
                (400, Some("InvalidSessionId"), "gone")
            );
        }
    }

    #[test]
    fn a_page_is_no_document_but_leaves_a_hint() {
        let page = "<!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0//EN\" \"http://www.w3.org/TR/xhtml1/DTD/xhtml1.dtd\"><html><head><title>We are down for maintenance</title></head></html>";
        assert!(read("text/html", page).is_err());
        assert_eq!(refusal(&answer(503, "text/html", page)).message, "We are down for maintenance");
        assert_eq!(refusal(&answer(502, "", "")).message, "");
        let shouting = read("text/html; charset=utf-8", "Service unavailable").unwrap_err();
        assert!(shouting.contains("broken XML"), "{shouting}");
        assert!(read("application/xml", "<error>").unwrap_err().contains("broken XML"));
        assert!(read("application/xml", "<queryResult/>").unwrap_err().contains("another kind"));
    }

    #[test]
    fn a_document_with_its_root_missing_or_cut_is_refused_at_every_byte() {
        let text = "<batchInfo><id>7515g00000Ef2GhAAJ</id><jobId>7505g00000Ab1CdAAJ</jobId><state>Queued</state></batchInfo>";
        for end in 0..text.len() {
            assert!(read("application/xml", &text[..end]).is_err(), "{}", &text[..end]);
        }
        let text = r#"{"id":"7515g00000Ef2GhAAJ","jobId":"7505g00000Ab1CdAAJ","state":"Queued"}"#;
        for end in 0..text.len() {
            assert!(read("application/json", &text[..end]).is_err(), "{}", &text[..end]);
        }
        let twice = r#"{"jobId":"7505g00000Ab1CdAAJ","id":"7515g00000Ef2GhAAJ","state":"Queued","state":"Failed"}"#;
        assert!(read("application/json", twice).unwrap_err().contains("duplicate"));
    }

    #[test]
    fn an_echoed_session_is_blanked_out() {
        let text = "bad token 00D5g000007Org1!AQ4AQ.x_y-z, wow! 00D!x";
        assert_eq!(redact(text), "bad token [redacted], wow! 00D!x");
        let text = "100% of /x?sid=00D5g000007Org1%21AQ4AQ%2Fx&y";
        assert_eq!(redact(text), "100% of /x?sid=[redacted]&y");
        for body in [
            "<batchInfoList><batchInfo>00D5g000007Org1!AQ4AQ</batchInfo></batchInfoList>",
            "<error><exceptionCode>00D5g000007Org1!AQ4AQ</exceptionCode></error>",
            "<batchInfo><id>7515g00000Ef2GhAAJ</id><jobId>7505g00000Ab1CdAAJ</jobId>\
             <state>Failed</state><stateMessage>00D5g000007Org1!AQ4AQ</stateMessage></batchInfo>",
        ] {
            assert!(!format!("{:?}", read("application/xml", body)).contains("AQ4AQ"), "{body}");
        }
        let long = format!("<{}/>", "x".repeat(100_000));
        assert!(read("application/xml", &long).unwrap_err().len() < 300);
        let code = r#"[{"errorCode":"\u001b[2J","message":"m"}]"#;
        let Ok(Document::Error(error)) = read("application/json", code) else { panic!() };
        assert_eq!((error.code.as_deref(), error.message.as_str()), (None, "\u{1b}[2J: m"));
    }
}
