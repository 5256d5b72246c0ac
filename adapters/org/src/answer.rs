//! Answers: the one place that makes HTTP responses, and the refusal a request can end in.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};

use crate::documents::{self, Fact, Wire};

/// A refusal: a status, a code of the service's list and a text.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) code: Cow<'static, str>,
    pub(crate) message: String,
}

impl Refusal {
    /// Nearly every refusal is a 400.
    pub(crate) fn bad(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code: code.into(), message: message.into() }
    }

    pub(crate) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    pub(crate) fn response(&self, wire: Wire) -> Response<Bytes> {
        let facts = vec![
            ("exceptionCode", Fact::text(&*self.code)),
            ("exceptionMessage", Fact::text(&self.message)),
        ];
        control(self.status, wire, documents::document(wire, "error", &facts))
    }
}

impl From<rusqlite::Error> for Refusal {
    /// The org's own trouble (a full disk, a damaged file): the one thing that is not the client's.
    fn from(error: rusqlite::Error) -> Self {
        let message = format!("The practice org's database failed: {error}");
        Self::bad("InternalServerError", message).with_status(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// The day's batches are used up.
pub(crate) fn quota() -> Refusal {
    Refusal::bad("ExceededQuota", "ApiBatchItems Limit exceeded.")
}

/// A control document.
pub(crate) fn control(status: StatusCode, wire: Wire, body: Bytes) -> Response<Bytes> {
    typed(status, wire.media_type(), body)
}

/// Anything.
pub(crate) fn typed(status: StatusCode, media_type: &'static str, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}
