//! Where to log in, and which orgs an answer may name.
//!
//! A login answer tells the client where to send the session and every record from then on. One
//! that names a host of somebody else's is an attack or a mistake, and never a setting.

use http::Uri;

use crate::error::{Error, ErrorKind};
use crate::session::{check_instance, is_local};

/// The domains of Salesforce's hosts: My Domains and instances, Experience sites, government.
const DOMAINS: [&str; 3] = [".salesforce.com", ".force.com", ".salesforce.mil"];

/// Those of the orgs whose shared host is the sandboxes'.
const TEST_ORGS: [&str; 2] = [".sandbox.my.salesforce.com", ".scratch.my.salesforce.com"];

const PRODUCTION: &str = "https://login.salesforce.com";
const SANDBOX: &str = "https://test.salesforce.com";

/// A login host, and the hosts that an answer of it may name as the org's: Salesforce's own, the
/// login host itself, and those that were [allowed](Self::allow).
///
/// ```
/// use sfbulk::login::LoginServer;
///
/// let server = LoginServer::at("https://acme--uat.sandbox.my.salesforce.com")?;
/// let proxied = server.allow("salesforce-gateway.acme.example:8443")?;
/// # Ok::<(), sfbulk::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct LoginServer {
    address: String,
    allowed: Vec<String>,
}

impl LoginServer {
    /// `login.salesforce.com`, for production and developer orgs. Some orgs forbid it: their
    /// [My Domain](Self::at) is always right.
    pub fn production() -> Self {
        Self { address: PRODUCTION.into(), allowed: Vec::new() }
    }

    /// `test.salesforce.com`, for sandboxes.
    pub fn sandbox() -> Self {
        Self { address: SANDBOX.into(), allowed: Vec::new() }
    }

    /// The login host at this address: the org's My Domain, `https://name.my.salesforce.com`.
    ///
    /// Fails with [`ErrorKind::Usage`] if it is not `https://host`; plain http is possible only to
    /// this machine itself.
    pub fn at(address: &str) -> Result<Self, Error> {
        let address = check_instance(address)?;
        let usual = address.strip_prefix("https://").and_then(|host| host.strip_suffix(":443"));
        let address = usual.map_or(address.clone(), |host| format!("https://{host}"));
        Ok(Self { address, allowed: Vec::new() })
    }

    /// Allows one more host, by name, or by name and port. It is still reached by https alone.
    ///
    /// Fails with [`ErrorKind::Usage`] if it is no such thing.
    pub fn allow(mut self, host: &str) -> Result<Self, Error> {
        let address = check_instance(&format!("https://{host}"))?;
        self.allowed.push(address.to_ascii_lowercase());
        Ok(self)
    }

    /// The address of a resource.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }

    /// Whether all orgs share it.
    pub(super) fn is_shared(&self) -> bool {
        [PRODUCTION, SANDBOX].iter().any(|shared| self.address.eq_ignore_ascii_case(shared))
    }

    /// The audience of a JWT: not the My Domain, but the shared host of its kind of org. Scratch
    /// orgs are of the sandboxes' kind.
    pub(super) fn audience(&self) -> &str {
        let host = self.address.to_ascii_lowercase();
        match host.strip_prefix("https://") {
            Some(host) if TEST_ORGS.iter().any(|domain| host.ends_with(domain)) => SANDBOX,
            Some(host) if host.ends_with(".my.salesforce.com") => PRODUCTION,
            _ => &self.address,
        }
    }

    /// The org's address in an answer, `https://host`, if it may be one; what is behind the host is
    /// left out.
    pub(super) fn instance(&self, named: &str) -> Result<String, Error> {
        let uri: Option<Uri> = named.parse().ok();
        let parts = uri.as_ref().and_then(|uri| Some((uri.scheme_str()?, uri.authority()?)));
        let Some((scheme, authority)) = parts else {
            return Err(Error::new(ErrorKind::Login, "the login's answer names no org's address"));
        };
        let address = format!("{scheme}://{authority}").to_ascii_lowercase();
        if self.may_be(&address, authority) {
            return Ok(address);
        }
        let host: String = authority.as_str().rsplit('@').next().unwrap_or_default().into();
        let host: String = host.chars().take(200).collect();
        let message = format!("the login's answer names an org at {scheme}://{host}");
        Err(Error::new(ErrorKind::Login, message).advise(
            "it is no host of Salesforce's that is reached by https on its usual port, so no \
             session was sent there: find out who answers, or, if this is right, allow the host",
        ))
    }

    fn may_be(&self, address: &str, authority: &http::uri::Authority) -> bool {
        let host = authority.host().to_ascii_lowercase();
        let own = self.address.eq_ignore_ascii_case(address);
        let practice = is_local(&self.address) && is_local(address);
        let salesforce = address == format!("https://{host}")
            && is_plain(&host)
            && DOMAINS.iter().any(|domain| host.ends_with(domain));
        own || practice || salesforce || self.allowed.iter().any(|allowed| allowed == address)
    }
}

/// A host by name, without tricks: no empty label, no other alphabet in disguise.
fn is_plain(host: &str) -> bool {
    host.split('.').all(|label| {
        !label.is_empty()
            && !label.starts_with("xn--")
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_org_is_taken_from_an_answer_only_if_the_host_is_allowed() {
        let server = LoginServer::production().allow("gateway.acme.example:8443").unwrap();
        for (named, taken) in [
            ("https://acme.my.salesforce.com", "https://acme.my.salesforce.com"),
            ("https://acme.my.salesforce.com/", "https://acme.my.salesforce.com"),
            (
                "https://ACME--UAT.Sandbox.my.Salesforce.com",
                "https://acme--uat.sandbox.my.salesforce.com",
            ),
            (
                "https://na9-api.salesforce.com/services/Soap/u/64.0/00D",
                "https://na9-api.salesforce.com",
            ),
            ("https://acme.my.site.force.com", "https://acme.my.site.force.com"),
            ("https://acme.my.salesforce.mil", "https://acme.my.salesforce.mil"),
            ("https://gateway.acme.example:8443/x", "https://gateway.acme.example:8443"),
        ] {
            assert_eq!(server.instance(named).unwrap(), taken);
        }
        for bad in [
            "",
            "acme.my.salesforce.com",
            "http://acme.my.salesforce.com",
            "https://evil.example",
            "https://salesforce.com.evil.example",
            "https://evilsalesforce.com",
            "https://evil.example/.salesforce.com",
            "https://evil.example?.salesforce.com",
            "https://evil.example#.salesforce.com",
            "https://evil.example\\.salesforce.com",
            "https://acme.my.salesforce.com@evil.example",
            "https://user@acme.my.salesforce.com",
            "https://user:word@acme.my.salesforce.com",
            "https://acme.my.salesforce.com:8443",
            "https://acme.my.salesforce.com.",
            "https://.salesforce.com",
            "https://acme..salesforce.com",
            "https://xn--acm-dma.salesforce.com",
            "https://acme%2eevil.salesforce.com",
            "https://gateway.acme.example",
            "http://gateway.acme.example:8443",
            "https://127.0.0.1:8443",
            "http://localhost:8080",
            "javascript://acme.my.salesforce.com",
        ] {
            let error = server.instance(bad).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Login, "{bad}");
            assert!(!error.to_string().contains("word"), "{error}");
        }
    }

    #[test]
    fn this_machine_is_an_org_only_for_a_login_on_this_machine() {
        let practice = LoginServer::at("http://127.0.0.1:8080").unwrap();
        for named in ["http://127.0.0.1:8080", "http://localhost:9", "http://[::1]:9/services"] {
            assert!(practice.instance(named).is_ok(), "{named}");
        }
        assert!(practice.instance("http://127.0.0.1.evil.example").is_err());
        assert!(practice.instance("http://me@127.0.0.1:8080").is_err());
        assert!(practice.instance("https://evil.example").is_err());
        let own = LoginServer::at("https://sso.acme.example").unwrap();
        assert!(own.instance("https://sso.acme.example").is_ok());
        assert!(own.instance("http://127.0.0.1:8080").is_err());
    }

    #[test]
    fn the_audience_is_the_shared_host() {
        let of = |address| LoginServer::at(address).unwrap().audience().to_owned();
        assert_eq!(of("https://acme.my.salesforce.com"), PRODUCTION);
        assert_eq!(of("https://acme--uat.sandbox.my.salesforce.com"), SANDBOX);
        assert_eq!(of("https://acme.scratch.my.salesforce.com:443"), SANDBOX);
        assert_eq!(of("https://acme.my.site.com"), "https://acme.my.site.com");
        assert_eq!(LoginServer::sandbox().audience(), SANDBOX);
    }
}
