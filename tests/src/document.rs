//! The documents of the model server.

use bytes::Bytes;
use http::Response;

pub(crate) const XML: &str = "application/xml; charset=UTF-8";
pub const CSV: &str = "text/csv; charset=UTF-8";

/// An answer.
pub fn page(status: u16, media: &str, body: impl Into<Bytes>) -> Response<Bytes> {
    Response::builder().status(status).header("content-type", media).body(body.into()).unwrap()
}

/// The API's refusal.
pub fn error(status: u16, code: &str, message: &str) -> Response<Bytes> {
    let members = members(&[("exceptionCode", code), ("exceptionMessage", message)]);
    answer(status, &document("error", &members))
}

/// A gateway's page: the service is down, with a `Retry-After` if it is not empty.
pub fn maintenance(retry_after: &str) -> Response<Bytes> {
    let html = "<!DOCTYPE html><html><head><title>Down for maintenance</title></head></html>";
    let mut page = page(503, "text/html", html);
    if !retry_after.is_empty() {
        page.headers_mut().insert("retry-after", retry_after.parse().unwrap());
    }
    page
}

/// A body without its last line.
pub fn shortened(body: &str) -> String {
    let lines: Vec<&str> = body.split_inclusive('\n').collect();
    lines[..lines.len().saturating_sub(1)].concat()
}

/// A body without its fourth line: of a result in XML, its second record.
pub fn without_a_record(body: &str) -> String {
    let lines = body.split_inclusive('\n').enumerate();
    lines.filter(|(n, _)| *n != 3).map(|(_, line)| line).collect()
}

/// What REST says in place of an answer.
pub fn error_list(_body: &str) -> String {
    r#"[{"message":"try later","errorCode":"SERVER_UNAVAILABLE"}]"#.into()
}

/// A body with its last line twice.
pub fn lengthened(body: &str) -> String {
    let last = body.lines().next_back().unwrap_or_default();
    format!("{}\n{last}\n", body.trim_end_matches('\n'))
}

/// A list in which every batch stands twice.
pub fn doubled(list: &str) -> String {
    let Some((head, batches)) = list.split_once(" <batchInfo>") else { return list.into() };
    let batches = format!(" <batchInfo>{}", batches.replace("</batchInfoList>", ""));
    format!("{head}{batches}{batches}</batchInfoList>")
}

pub fn answer(status: u16, document: &str) -> Response<Bytes> {
    page(status, "application/xml", document.to_owned())
}

/// A document in the service's layout, with its line break inside the root's tag.
pub fn document(root: &str, members: &str) -> String {
    let namespace = "http://www.force.com/2009/06/asyncapi/dataload";
    let prolog = r#"<?xml version="1.0" encoding="UTF-8"?>"#;
    format!("{prolog}<{root}\n   xmlns=\"{namespace}\">\n{members}</{root}>")
}

pub fn members(members: &[(&str, &str)]) -> String {
    let member = |(name, text): &(&str, &str)| format!(" <{name}>{text}</{name}>\n");
    members.iter().map(member).collect::<Vec<_>>().concat()
}

pub fn element(document: &str, name: &str) -> String {
    let rest = document.split_once(&format!("<{name}>")).map_or("", |(_, rest)| rest);
    rest.split_once('<').map_or("", |(text, _)| text).to_owned()
}

pub fn text(body: &Bytes) -> String {
    String::from_utf8(body.to_vec()).unwrap()
}
