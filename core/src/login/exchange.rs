//! One request of a login, and what its answer gives.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderName};
use http::{HeaderValue, Method, Request};
use zeroize::Zeroizing;

use crate::call::{Call, Expect, Tag};
use crate::error::{Error, ErrorKind};
use crate::secret::Secret;

/// The largest answer taken, in bytes: a SOAP login's has about two kilobytes, and tokens may be
/// JWTs of a few.
const ANSWER: usize = 64 << 10;

/// A request to be sent, and the secrets in it, which no error may repeat.
pub(super) struct Exchange {
    pub(super) call: Call,
    pub(super) secrets: Vec<Secret>,
}

impl Exchange {
    /// A POST of this body, whose memory is wiped when it was sent.
    pub(super) fn post(
        url: &str,
        headers: [(HeaderName, &'static str); 2],
        body: String,
        secrets: Vec<Secret>,
    ) -> Result<Self, Error> {
        let body = Bytes::from_owner(Zeroizing::new(body.into_bytes()));
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = url.parse().map_err(|_| {
            Error::new(ErrorKind::Usage, format!("{url:?} is no address to log in at"))
        })?;
        for (name, value) in headers {
            request.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        let expect = Expect::Whole { at_most: ANSWER };
        let call = Call { tag: Tag(0), request, expect, packs: false };
        Ok(Self { call, secrets })
    }

    /// The same, as forms are posted.
    pub(super) fn form(url: &str, form: Form) -> Result<Self, Error> {
        let headers =
            [(CONTENT_TYPE, "application/x-www-form-urlencoded"), (ACCEPT, "application/json")];
        Self::post(url, headers, form.text, form.secrets)
    }
}

/// Names and values, to be posted.
pub(super) struct Form {
    text: String,
    secrets: Vec<Secret>,
}

impl Form {
    /// One that begins with this field.
    pub(super) fn of(name: &str, value: &str) -> Self {
        // Room for all of it, so that no copy is left behind by growing.
        Self { text: String::with_capacity(ANSWER), secrets: Vec::new() }.with(name, value)
    }

    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        let mut form = form_urlencoded::Serializer::for_suffix(self.text, 0);
        form.append_pair(name, value);
        self.text = form.finish();
        self
    }

    pub(super) fn with_secret(mut self, name: &str, value: &Secret) -> Self {
        self.secrets.push(value.clone());
        self.with(name, value.reveal())
    }
}

/// What a good answer gives.
pub(super) enum Answer {
    Grant(Grant),
    Code(DeviceCode),
}

/// A session, and perhaps the means to get the next one.
pub(super) struct Grant {
    /// The org's address as it came: to be checked.
    pub(super) instance: String,
    pub(super) token: Secret,
    pub(super) refresh_token: Option<Secret>,
}

/// A device's code, which somebody has to enter elsewhere.
pub(super) struct DeviceCode {
    pub(super) code: Secret,
    pub(super) user_code: String,
    /// Where, as it came: to be checked.
    pub(super) address: String,
    pub(super) interval: Duration,
    pub(super) lifetime: Duration,
}
