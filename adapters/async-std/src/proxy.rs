//! The proxy of the environment, by the rules that the blocking adapter's HTTP library follows, so
//! that a program behaves alike in both: one proxy for all addresses, and always a tunnel.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use http::Uri;
use percent_encoding::percent_decode_str;

use crate::net::Wire;
use crate::transport::{AGENT, Target};

/// The first of these that holds an address counts.
const VARIABLES: [&str; 6] =
    ["ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"];

/// The most bytes of a proxy's answer; it is a line and a few headers.
const HEAD: usize = 16 << 10;

/// A proxy, and whom to reach without it.
pub(crate) struct Proxy {
    pub(crate) at: Target,
    /// `user:password` in the form of `Proxy-Authorization`. Never part of a message.
    credentials: Option<String>,
    exceptions: Vec<String>,
}

impl Proxy {
    /// The proxy that variables tell of; `read` looks one up.
    pub(crate) fn from_vars(read: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let exceptions = read("NO_PROXY").or_else(|| read("no_proxy")).unwrap_or_default();
        let exceptions = exceptions.split(',').map(|entry| entry.trim().to_ascii_lowercase());
        let mut addresses = VARIABLES.iter().filter_map(|name| read(name));
        let (at, credentials) = addresses.find_map(|address| parse(&address))?;
        Some(Self { at, credentials, exceptions: exceptions.collect() })
    }

    /// Whether a host is to be reached through it. `NO_PROXY` knows `host`, `*.host`, `.host`,
    /// `10.*`, `10.` and `*`, separated by commas.
    pub(crate) fn serves(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        !self.exceptions.iter().any(|entry| match entry.strip_prefix('*') {
            Some(end) => host.ends_with(end),
            None if entry.starts_with('.') => host.ends_with(entry),
            None if entry.ends_with('.') => host.starts_with(entry),
            None => entry
                .strip_suffix('*')
                .map_or(host == *entry, |beginning| host.starts_with(beginning)),
        })
    }

    /// Has the proxy at the other end of `wire` connect to `target`.
    pub(crate) async fn tunnel(&self, wire: &mut dyn Wire, target: &Target) -> Result<(), String> {
        let broken = |e: std::io::Error| format!("the proxy {} broke off: {e}", self.at);
        let request = self.request(target);
        wire.write_all(request.as_bytes()).await.map_err(broken)?;
        wire.flush().await.map_err(broken)?;
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            if head.len() == HEAD {
                return Err(format!("the proxy {} gave an endless answer", self.at));
            }
            wire.read_exact(&mut byte).await.map_err(broken)?;
            head.extend(byte);
        }
        match status(&head) {
            Some(200..=299) => Ok(()),
            Some(407) => Err(format!("the proxy {} wants a user and password it accepts", self.at)),
            Some(code) => Err(format!("the proxy {} refused the tunnel ({code})", self.at)),
            None => Err(format!("what answers at {} is no proxy", self.at)),
        }
    }

    fn request(&self, target: &Target) -> String {
        let to = target.authority();
        let credentials = match &self.credentials {
            Some(credentials) => format!("Proxy-Authorization: Basic {credentials}\r\n"),
            None => String::new(),
        };
        format!(
            "CONNECT {to} HTTP/1.1\r\nHost: {to}\r\nUser-Agent: {AGENT}\r\n\
             Proxy-Connection: Keep-Alive\r\n{credentials}\r\n"
        )
    }
}

/// The place and the credentials in `scheme://user:password@host:port`, where all but the host may
/// be missing. Only http and https proxies are known; a tunnel cannot be had of another.
fn parse(address: &str) -> Option<(Target, Option<String>)> {
    let uri: Uri = address.parse().ok()?;
    let authority = uri.authority()?.as_str();
    let (credentials, place) = match authority.rsplit_once('@') {
        Some((credentials, place)) => (Some(credentials), place),
        None => (None, authority),
    };
    let credentials = credentials.map(|credentials| {
        // The first colon ends the user; a missing password is an empty one.
        let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
        let decode = |text| percent_decode_str(text).collect::<Vec<u8>>();
        BASE64_STANDARD.encode([decode(user), vec![b':'], decode(password)].concat())
    });
    let scheme = uri.scheme_str().unwrap_or("http");
    let place = format!("{scheme}://{place}/").parse().ok()?;
    Some((Target::of(&place)?, credentials))
}

/// The status of an answer, if it is one.
fn status(head: &[u8]) -> Option<u16> {
    let line = std::str::from_utf8(head.split(|byte| *byte == b'\r').next()?).ok()?;
    let (version, rest) = line.split_once(' ')?;
    let code = rest.split(' ').next()?;
    version.starts_with("HTTP/1.").then(|| code.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(vars: &[(&str, &str)]) -> Option<Proxy> {
        let read = |name: &str| Some(vars.iter().find(|(var, _)| *var == name)?.1.to_owned());
        Proxy::from_vars(read)
    }

    #[test]
    fn the_address_may_lack_all_but_the_host() {
        for (address, at) in [
            ("http://proxy.example:3128", "http://proxy.example:3128"),
            ("proxy.example:3128", "http://proxy.example:3128"),
            ("proxy.example", "http://proxy.example:80"),
            ("https://proxy.example/", "https://proxy.example:443"),
            ("http://u:p@[::1]:8080", "http://[::1]:8080"),
        ] {
            let proxy = proxy(&[("https_proxy", address)]).unwrap();
            assert_eq!(proxy.at.to_string(), at, "{address}");
        }
        for none in ["", "socks5://proxy.example", "http://"] {
            assert!(proxy(&[("HTTPS_PROXY", none)]).is_none(), "{none}");
        }
        let both = [("HTTPS_PROXY", "b.example"), ("ALL_PROXY", "a.example")];
        assert_eq!(proxy(&both).unwrap().at.host, "a.example");
        assert!(proxy(&[("NO_PROXY", "*")]).is_none());
    }

    #[test]
    fn credentials_go_to_the_proxy_and_nowhere_else() {
        let proxy = proxy(&[("ALL_PROXY", "http://us%40er:pa%3Ass@p.example")]).unwrap();
        let target = Target::of(&"https://acme.example".parse().unwrap()).unwrap();
        let request = proxy.request(&target);
        let coded = BASE64_STANDARD.encode("us@er:pa:ss");
        assert!(request.starts_with("CONNECT acme.example:443 HTTP/1.1\r\n"), "{request}");
        assert!(request.contains(&format!("\r\nProxy-Authorization: Basic {coded}\r\n")));
        assert!(request.ends_with("\r\n\r\n"));
        assert_eq!(proxy.at.to_string(), "http://p.example:80");
    }

    #[test]
    fn exceptions_are_names_and_their_ends_or_beginnings() {
        let list = "localhost, .corp.example,*.lan,10.*,192.168.,exact.example";
        let proxy = proxy(&[("ALL_PROXY", "p.example"), ("no_proxy", list)]).unwrap();
        for without in
            ["localhost", "LOCALHOST", "a.corp.example", "x.lan", "10.0.0.1", "192.168.1.1"]
        {
            assert!(!proxy.serves(without), "{without}");
        }
        for through in ["corp.example", "lan", "110.0.0.1", "a.exact.example", "example"] {
            assert!(proxy.serves(through), "{through}");
        }
    }

    #[test]
    fn a_status_line_is_known_from_nonsense() {
        assert_eq!(status(b"HTTP/1.1 200 Connection established\r\n\r\n"), Some(200));
        assert_eq!(status(b"HTTP/1.0 407\r\n\r\n"), Some(407));
        for nonsense in [&b"SSH-2.0-x\r\n\r\n"[..], b"HTTP/1.1 abc\r\n\r\n", b"\xff \r\n\r\n"] {
            assert_eq!(status(nonsense), None);
        }
    }
}
