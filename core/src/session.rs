//! A session: which org, and the right to talk to it.

use core::net::{Ipv4Addr, Ipv6Addr};
use std::fmt; // addresses as text; nothing here opens a socket

use http::{HeaderValue, Uri};

use crate::error::{Error, ErrorKind};
use crate::secret::Secret;

/// An org's address and a session id or OAuth access token for it. The token is wiped from memory
/// when the session is dropped, is never printed, and cannot be serialised.
///
/// ```
/// let session = sfbulk::Session::new("https://acme.my.salesforce.com", "00D5g000007Org1!AQ4AQ")?;
/// assert_eq!(format!("{session:?}"), "Session(https://acme.my.salesforce.com, [redacted])");
/// # Ok::<(), sfbulk::Error>(())
/// ```
#[derive(Clone)]
pub struct Session {
    instance: String,
    token: Secret,
}

impl Session {
    /// A session for the org at `instance` (its My Domain or instance address, as the login
    /// answer told it), with the bare `token`.
    ///
    /// Fails with [`ErrorKind::Usage`] if the address is not `https://host` (plain http is allowed
    /// only to this machine itself), or if the token holds anything but printable ASCII.
    pub fn new(instance: &str, token: impl Into<String>) -> Result<Self, Error> {
        let token = Secret::new(token);
        check_token(token.reveal())?;
        Ok(Self { instance: check_instance(instance)?, token })
    }

    /// The session that variables tell of, as other tools of the field name them:
    /// `SF_ACCESS_TOKEN`, and `SF_ORG_INSTANCE_URL` or `SF_INSTANCE_URL`. `read` looks one up; an
    /// empty one counts as not set.
    ///
    /// Fails with [`ErrorKind::Usage`] if one is missing or malformed.
    ///
    /// ```
    /// let vars = [("SF_ACCESS_TOKEN", "00D!x"), ("SF_ORG_INSTANCE_URL", "https://a.example")];
    /// let read = |name: &str| Some(vars.iter().find(|(var, _)| *var == name)?.1.to_owned());
    /// assert_eq!(sfbulk::Session::from_vars(read)?.instance(), "https://a.example");
    /// assert!(sfbulk::Session::from_vars(|_| None).is_err());
    /// # Ok::<(), sfbulk::Error>(())
    /// ```
    pub fn from_vars(read: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let find = |names: &[&str]| {
            let mut values = names.iter().filter_map(|name| read(name));
            values.find(|value| !value.is_empty()).ok_or_else(|| {
                Error::new(ErrorKind::Usage, format!("{} is not set", names[0]))
                    .advise("set SF_ACCESS_TOKEN and SF_ORG_INSTANCE_URL")
            })
        };
        let token = find(&["SF_ACCESS_TOKEN"])?;
        Self::new(&find(&["SF_ORG_INSTANCE_URL", "SF_INSTANCE_URL"])?, token)
    }

    /// The org's address, `https://host`, without a slash at the end.
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// Whether the org is on this machine, as the practice org is.
    pub(crate) fn is_of_this_machine(&self) -> bool {
        is_local(&self.instance)
    }

    /// The token as the value of `X-SFDC-Session`, marked sensitive so that no transcript and no
    /// `Debug` shows it.
    pub(crate) fn header(&self) -> HeaderValue {
        sensitive(&self.token)
    }

    /// The token as the REST API wants it: the value of `Authorization`, marked sensitive as well.
    pub(crate) fn bearer(&self) -> HeaderValue {
        sensitive(&Secret::new(format!("Bearer {}", self.token.reveal())))
    }
}

impl Session {
    /// A text without the token in it, also where it stands as in an address.
    pub(crate) fn blank_out(&self, text: &str) -> String {
        self.token.blank_out(text)
    }

    /// A text without the token and without the org's host in it.
    pub(crate) fn hide(&self, text: &str) -> String {
        let host = self.instance.split_once("://").map_or("", |(_, host)| host);
        self.blank_out(text).replace(host, "[org]")
    }

    /// Whether this is the same right to talk to the same org.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.instance == other.instance && self.token == other.token
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({}, [redacted])", self.instance)
    }
}

fn sensitive(text: &Secret) -> HeaderValue {
    // `new` has checked the characters; an empty header would be refused by the service.
    let value = HeaderValue::from_str(text.reveal());
    let mut value = value.unwrap_or(const { HeaderValue::from_static("") });
    value.set_sensitive(true);
    value
}

fn check_token(token: &str) -> Result<(), Error> {
    let bad = |why: String| Err(Error::new(ErrorKind::Usage, format!("the session {why}")));
    match token.bytes().position(|byte| !byte.is_ascii_graphic()) {
        None if token.is_empty() => bad("is empty".into()),
        None => Ok(()),
        Some(at) => {
            let what = match token.as_bytes()[at] {
                b'\r' | b'\n' => "a line break",
                b' ' | b'\t' => "a blank",
                byte if byte.is_ascii() => "a control character",
                _ => "a character that is not ASCII",
            };
            bad(format!("has {what} at position {}; give the bare token", at + 1))
        }
    }
}

pub(crate) fn check_instance(text: &str) -> Result<String, Error> {
    let bad = |why: &str| {
        let shown: String = text.chars().take(200).collect();
        let message = format!("{shown:?} is not the address of an org: {why}");
        Err(Error::new(ErrorKind::Usage, message).advise("give it as https://host"))
    };
    let Ok(uri) = text.trim_end_matches('/').parse::<Uri>() else {
        return bad("it cannot be read");
    };
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return bad("it needs a scheme and a host");
    };
    match scheme {
        _ if authority.as_str().contains('@') => bad("it holds a user name"),
        _ if authority.host().is_empty() => bad("it has no host"),
        _ if !matches!(uri.path(), "" | "/") || uri.query().is_some() => {
            bad("only the host is wanted, no path")
        }
        "https" => Ok(format!("https://{authority}")),
        "http" if is_loopback(authority.host()) => Ok(format!("http://{authority}")),
        "http" => bad("plain http would show the session to everybody on the way"),
        _ => bad("only https is possible"),
    }
}

/// Whether an address is on this machine, and of no user: it may be a practice org's.
pub(crate) fn is_local(address: &str) -> bool {
    let uri: Option<Uri> = address.parse().ok();
    uri.as_ref().and_then(Uri::host).is_some_and(is_loopback) && !address.contains('@')
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
        || host.trim_matches(['[', ']']).parse::<Ipv6Addr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_a_host_reached_safely() {
        for good in [
            "https://acme.my.salesforce.com",
            "https://acme.my.salesforce.com/",
            "https://localhost:8443",
            "http://127.0.0.1:8080",
            "http://[::1]:8080",
            "http://localhost:1",
        ] {
            let session = Session::new(good, "00D!x").unwrap();
            assert_eq!(session.instance(), good.trim_end_matches('/'));
        }
        for bad in [
            "",
            "acme.my.salesforce.com",
            "http://acme.my.salesforce.com",
            "http://localhost.evil.example",
            "http://127.0.0.1.evil.example",
            "https://u:p@acme.my.salesforce.com",
            "https://acme.my.salesforce.com/services",
            "https://acme.my.salesforce.com?x=1",
            "ftp://acme.my.salesforce.com",
            "https://acme\n.com",
            "https://:",
            "https://:8443",
        ] {
            let error = Session::new(bad, "00D!x").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage, "{bad}");
        }
    }

    #[test]
    fn a_token_is_printable_ascii_and_never_shown() {
        for bad in ["", "00D!a\n", "00D!a b", "00D!\u{7f}", "00D!é", "\r\nX-Evil: 1"] {
            let error = Session::new("https://a.example", bad).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage);
            assert!(!error.to_string().contains("00D"), "{error}");
        }
        let session = Session::new("https://a.example", "00Dsecret!x").unwrap();
        assert!(!format!("{session:?} {:?}", session.header()).contains("secret"));
        assert_eq!(session.header(), "00Dsecret!x");
    }
}
