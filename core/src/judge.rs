//! What a reply means. An answer means one of three things, and the whole of correctness rests on
//! telling them apart:
//!
//! - *Done*: what was asked for happened, and this is the answer.
//! - *Refused*: the API itself said that it did not happen, or the request never left.
//! - *Unknown*: nobody can tell from here. The answer was lost or is garbled, or a gateway's page
//!   stands in its place: the gateway does not know either whether the request got through.

use std::time::Duration;

use http::{HeaderMap, Response, StatusCode};

use crate::call::{Failure, Received, Reply};
use crate::document::{Document, Format, refusal};
use crate::error::ErrorInfo;
use crate::info::ExceptionCode;

pub(crate) enum Verdict {
    Done(Answer),
    Refused(Box<Refusal>),
    Unknown(Doubtful),
}

/// Nobody can tell from here what came of a request.
pub(crate) struct Doubtful {
    pub(crate) reason: String,
    /// The wait the server asked for.
    pub(crate) again: Option<Duration>,
    /// Whether the answer did not arrive, or not whole, or says that all is well and makes no sense;
    /// nobody spoke of trouble that will pass.
    pub(crate) broken: bool,
}

pub(crate) enum Answer {
    Document(Document),
    /// Text that is no document: a query, given back.
    Text(String),
    Streamed(Received),
}

/// The API's own word that a request was not carried out.
pub(crate) struct Refusal {
    pub(crate) info: ErrorInfo,
    pub(crate) class: Class,
    /// The wait the server asked for.
    pub(crate) again: Option<Duration>,
}

/// What can be done about a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Log in again; the request was not even looked at.
    Session,
    /// It did not leave this machine.
    Unsent,
    /// It may go better later.
    Passing,
    /// It will not.
    Final,
}

pub(crate) fn judge(reply: Reply) -> Verdict {
    match reply {
        Reply::Streamed(received) => Verdict::Done(Answer::Streamed(received)),
        Reply::Failed(Failure::Lost(reason)) => {
            Verdict::Unknown(Doubtful { reason, again: None, broken: true })
        }
        Reply::Failed(Failure::Unsent(reason)) => {
            let info = ErrorInfo { message: reason, ..ErrorInfo::default() };
            Verdict::Refused(Box::new(Refusal { info, class: Class::Unsent, again: None }))
        }
        Reply::Whole(response) if response.status().is_success() => success(&response),
        Reply::Whole(response) => failure(&response),
    }
}

/// Status 2xx: a document of the API. An error document counts as one even here.
fn success(response: &Response<bytes::Bytes>) -> Verdict {
    match Document::read(response) {
        Ok(Document::Error(info)) => refused(info, response.headers()),
        Ok(document) => Verdict::Done(Answer::Document(document)),
        Err(_) if is_text(response) => {
            Verdict::Done(Answer::Text(String::from_utf8_lossy(response.body()).into_owned()))
        }
        Err(reason) => Verdict::Unknown(Doubtful { reason, again: None, broken: true }),
    }
}

fn is_text(response: &Response<bytes::Bytes>) -> bool {
    let body = response.body().trim_ascii();
    !body.is_empty() && Format::of(response.headers(), body) == Format::Text
}

/// Any other status. With an error document of the API it is a refusal. A server error without one,
/// or with a code that is none of the API's, comes from a gateway, which cannot know. The rest was
/// turned away at the door.
fn failure(response: &Response<bytes::Bytes>) -> Verdict {
    let mut info = refusal(response);
    let status = response.status();
    if status.is_redirection() {
        info.message = redirect(response.headers());
    }
    // 303 points to an outcome elsewhere, and what is below 200 is not the last word.
    let unknown = status.is_server_error()
        || status.is_informational()
        || matches!(status, StatusCode::SEE_OTHER | StatusCode::REQUEST_TIMEOUT);
    let code = info.code.as_deref().map(ExceptionCode::from);
    if unknown && matches!(code, None | Some(ExceptionCode::Other(_))) {
        let again = retry_after(response.headers());
        return Verdict::Unknown(Doubtful { reason: info.to_string(), again, broken: false });
    }
    refused(info, response.headers())
}

/// Where it would lead, without the path: that may hold a session.
fn redirect(headers: &HeaderMap) -> String {
    let to = headers.get(http::header::LOCATION).and_then(|value| value.to_str().ok());
    match to.and_then(|to| to.parse::<http::Uri>().ok()?.host().map(str::to_owned)) {
        Some(host) => format!("a redirect to {host}, which is not followed"),
        None => "a redirect, which is not followed".into(),
    }
}

fn refused(info: ErrorInfo, headers: &HeaderMap) -> Verdict {
    let class = classify(&info);
    Verdict::Refused(Box::new(Refusal { info, class, again: retry_after(headers) }))
}

fn classify(info: &ErrorInfo) -> Class {
    match info.code.as_deref().map(ExceptionCode::from) {
        Some(ExceptionCode::InvalidSessionId) => Class::Session,
        Some(
            ExceptionCode::Unknown
            | ExceptionCode::InternalServerError
            | ExceptionCode::Timeout
            | ExceptionCode::TooManyLockFailure
            | ExceptionCode::ServerUnavailable
            | ExceptionCode::TransactionSecurityInternalError,
        ) => Class::Passing,
        None | Some(ExceptionCode::Other(_)) if info.status == 401 => Class::Session,
        None | Some(ExceptionCode::Other(_)) if info.status == 429 => Class::Passing,
        _ => Class::Final,
    }
}

/// `Retry-After`, in seconds or as a date. A date is compared with the answer's own `Date`, so that
/// nobody's clock matters.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let value = text(http::header::RETRY_AFTER)?;
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let then = httpdate::parse_http_date(value).ok()?;
    let now = httpdate::parse_http_date(text(http::header::DATE)?).ok()?;
    Some(then.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn verdict(status: u16, headers: &[(&str, &str)], body: &str) -> Verdict {
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        judge(Reply::Whole(response.body(Bytes::from(body.to_owned())).unwrap()))
    }

    fn class(status: u16, body: &str) -> Option<Class> {
        match verdict(status, &[], body) {
            Verdict::Refused(refusal) => Some(refusal.class),
            _ => None,
        }
    }

    fn error(code: &str) -> String {
        format!(
            "<error><exceptionCode>{code}</exceptionCode><exceptionMessage>m</exceptionMessage></error>"
        )
    }

    #[test]
    fn the_apis_own_words_are_a_refusal_whatever_the_status() {
        for status in [200, 400, 403, 500, 503] {
            assert_eq!(class(status, &error("InvalidBatch")), Some(Class::Final), "{status}");
            assert_eq!(class(status, &error("InvalidSessionId")), Some(Class::Session), "{status}");
            assert_eq!(class(status, &error("InternalServerError")), Some(Class::Passing));
        }
        assert_eq!(
            class(401, r#"[{"errorCode":"INVALID_SESSION_ID","message":"x"}]"#),
            Some(Class::Session)
        );
        assert_eq!(
            class(403, r#"[{"errorCode":"REQUEST_LIMIT_EXCEEDED","message":"x"}]"#),
            Some(Class::Final)
        );
        assert_eq!(class(401, "go away"), Some(Class::Session));
        assert_eq!(class(429, ""), Some(Class::Passing));
        assert_eq!(class(404, "<html>nothing here</html>"), Some(Class::Final));
    }

    #[test]
    fn a_gateways_page_and_a_garbled_answer_are_unknown() {
        for (status, body) in [
            (502, ""),
            (503, "<html><title>We are down for maintenance</title></html>"),
            (504, "<!DOCTYPE html><html/>"),
            (500, "oops"),
            (503, r#"{"error":"Service Unavailable"}"#),
            (500, r#"[{"errorCode":"UNKNOWN_EXCEPTION","message":"x"}]"#),
            (408, ""),
            (100, ""),
            (303, ""),
            (200, "<html>log in</html>"),
            (201, ""),
            (201, "<batchInfo><id>7515g00000"),
        ] {
            let broken = (200..300).contains(&status);
            assert!(
                matches!(verdict(status, &[], body), Verdict::Unknown(doubtful) if doubtful.broken == broken),
                "{status} {body}"
            );
        }
        let lost = judge(Reply::Failed(Failure::Lost("reset".into())));
        assert!(matches!(lost, Verdict::Unknown(doubtful) if doubtful.broken));
        let unsent = judge(Reply::Failed(Failure::Unsent("no route".into())));
        assert!(matches!(unsent, Verdict::Refused(refusal) if refusal.class == Class::Unsent));
    }

    #[test]
    fn a_redirect_is_refused_and_named() {
        let location = [("location", "https://evil.example/x?sid=00D")];
        let Verdict::Refused(refusal) = verdict(302, &location, "") else { panic!() };
        assert_eq!(refusal.class, Class::Final);
        assert_eq!(refusal.info.message, "a redirect to evil.example, which is not followed");
    }

    #[test]
    fn retry_after_is_read_as_seconds_or_as_a_date() {
        let date = ("date", "Mon, 23 Nov 2026 11:00:00 GMT");
        for (headers, wait) in [
            (vec![("retry-after", "7")], Some(7)),
            (vec![("retry-after", "Mon, 23 Nov 2026 11:00:30 GMT"), date], Some(30)),
            (vec![("retry-after", "Mon, 23 Nov 2026 10:00:00 GMT"), date], Some(0)),
            (vec![("retry-after", "Mon, 23 Nov 2026 11:00:30 GMT")], None),
            (vec![("retry-after", "soon"), date], None),
            (vec![], None),
        ] {
            let Verdict::Unknown(doubtful) = verdict(503, &headers, "") else { panic!() };
            assert_eq!(doubtful.again, wait.map(Duration::from_secs), "{headers:?}");
        }
    }
}
