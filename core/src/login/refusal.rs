//! Why a login was refused, and what to do about it.

use crate::error::{Error, ErrorInfo, ErrorKind};

/// Why a login was refused, as far as its code is known (topics "OAuth 2.0 Authorization Errors" and
/// "login()" of the vendor's guides). The code itself, as it came, is [`Error::code`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// `invalid_grant`: the password, token, code or assertion is not accepted; the message says
    /// more.
    InvalidGrant,
    /// `invalid_client`, `invalid_client_id`, `invalid_client_credentials`: the app is not known, or
    /// its secret is wrong.
    InvalidClient,
    /// `INVALID_LOGIN`: wrong user name, password or security token, or the user is locked out.
    InvalidLogin,
    /// `LOGIN_MUST_USE_SECURITY_TOKEN`: from this network the token must follow the password.
    SecurityTokenNeeded,
    /// `INVALID_OPERATION_WITH_EXPIRED_PASSWORD`; also a SOAP login that succeeded with
    /// `passwordExpired`: its session is good for nothing but a new password.
    PasswordExpired,
    /// `inactive_user`, `inactive_org`, `ORG_LOCKED`.
    Inactive,
    /// `API_DISABLED_FOR_ORG`: the user or the org may not use the API.
    ApiDisabled,
    /// `UNSUPPORTED_API_VERSION`: SOAP login is gone from this org.
    UnsupportedVersion,
    /// `unsupported_grant_type`, `unsupported_response_type`, `unauthorized_client`: the app or the
    /// org does not allow this flow.
    FlowNotAllowed,
    /// `invalid_request`, `invalid_scope`, `redirect_uri_mismatch`: the app's settings and what was
    /// asked differ.
    InvalidRequest,
    /// `access_denied`: the user, or a rule of the org, said no.
    AccessDenied,
    /// `expired_token`, or still `authorization_pending` or `slow_down` in the end: nobody entered
    /// the device's code in time.
    CodeExpired,
    /// `rate_limit_exceeded`, `LOGIN_RATE_EXCEEDED`: too many logins; it will pass.
    RateLimited,
    /// `SERVER_UNAVAILABLE`, `UNKNOWN_EXCEPTION`, `server_error`: the server failed; it will
    /// pass.
    ServerFailed,
    /// Any other code.
    Other,
}

const CODES: [(&str, Refusal); 27] = [
    ("invalid_grant", Refusal::InvalidGrant),
    ("invalid_client", Refusal::InvalidClient),
    ("invalid_client_id", Refusal::InvalidClient),
    ("invalid_client_credentials", Refusal::InvalidClient),
    ("INVALID_LOGIN", Refusal::InvalidLogin),
    ("LOGIN_MUST_USE_SECURITY_TOKEN", Refusal::SecurityTokenNeeded),
    (PASSWORD_EXPIRED, Refusal::PasswordExpired),
    ("inactive_user", Refusal::Inactive),
    ("inactive_org", Refusal::Inactive),
    ("ORG_LOCKED", Refusal::Inactive),
    ("API_DISABLED_FOR_ORG", Refusal::ApiDisabled),
    ("UNSUPPORTED_API_VERSION", Refusal::UnsupportedVersion),
    ("unsupported_grant_type", Refusal::FlowNotAllowed),
    ("unsupported_response_type", Refusal::FlowNotAllowed),
    ("unauthorized_client", Refusal::FlowNotAllowed),
    ("invalid_request", Refusal::InvalidRequest),
    ("invalid_scope", Refusal::InvalidRequest),
    ("redirect_uri_mismatch", Refusal::InvalidRequest),
    ("access_denied", Refusal::AccessDenied),
    ("expired_token", Refusal::CodeExpired),
    ("authorization_pending", Refusal::CodeExpired),
    ("slow_down", Refusal::CodeExpired),
    ("rate_limit_exceeded", Refusal::RateLimited),
    ("LOGIN_RATE_EXCEEDED", Refusal::RateLimited),
    ("SERVER_UNAVAILABLE", Refusal::ServerFailed),
    ("UNKNOWN_EXCEPTION", Refusal::ServerFailed),
    ("server_error", Refusal::ServerFailed),
];

/// What an expired password is called.
pub(super) const PASSWORD_EXPIRED: &str = "INVALID_OPERATION_WITH_EXPIRED_PASSWORD";

/// What the message of an `invalid_grant` means; the code alone says little.
const GRANTS: [(&str, &str); 7] = [
    ("expired access/refresh token", "the refresh token is spent or revoked: authorize again"),
    ("expired authorization code", "a code is good for one use and a few minutes: authorize again"),
    ("hasn't approved", "let an administrator approve the app for the user beforehand"),
    (
        "audience",
        "the audience is https://login.salesforce.com, or https://test.salesforce.com for sandboxes",
    ),
    ("ip restricted", "the app's or the profile's IP rules do not allow this network"),
    ("inactive user", "let an administrator activate the user"),
    ("expired password", "set a new password in the browser"),
];

impl Refusal {
    /// Why the login was refused that ended with this error; `None` if the server said no code.
    ///
    /// ```
    /// # use sfbulk::{Error, ErrorInfo, ErrorKind, login::Refusal};
    /// # let answer = ErrorInfo { code: Some("invalid_grant".into()), ..ErrorInfo::default() };
    /// # let error = Error::new(ErrorKind::Login, "refused").answered(answer);
    /// if Refusal::of(&error) == Some(Refusal::InvalidGrant) {
    ///     println!("log in again: {error}");
    /// }
    /// ```
    pub fn of(error: &Error) -> Option<Self> {
        error.code().map(Self::from_code)
    }

    fn from_code(code: &str) -> Self {
        let known = CODES.iter().find(|(known, _)| known.eq_ignore_ascii_case(code));
        known.map_or(Self::Other, |(_, refusal)| *refusal)
    }

    /// Whether the same credentials may do another time. All others are not tried again: a user
    /// whose wrong password is repeated is locked out.
    pub fn passes(self) -> bool {
        matches!(self, Self::RateLimited | Self::ServerFailed | Self::CodeExpired)
    }

    fn advice(self, message: &str) -> &'static str {
        let message = message.to_ascii_lowercase();
        match self {
            Self::InvalidGrant => {
                let known = GRANTS.iter().find(|(words, _)| message.contains(words));
                known.map_or(
                    "check user name, password and security token; the org's login history says why",
                    |(_, advice)| advice,
                )
            }
            Self::InvalidClient => {
                "check the app's consumer key and secret, and the login host; a new app takes some \
                 minutes to be known"
            }
            Self::InvalidLogin => {
                "check user name, password and login host (sandboxes have their own), and append the \
                 security token to the password; do not repeat it, or the user is locked out"
            }
            Self::SecurityTokenNeeded => {
                "append the user's security token to the password, or let an administrator trust \
                 this network"
            }
            Self::PasswordExpired => "set a new password in the browser",
            Self::Inactive => "let an administrator activate the user or the org",
            Self::ApiDisabled => "the user needs the permission API Enabled",
            Self::UnsupportedVersion => "use an OAuth flow: SOAP login is being retired",
            Self::FlowNotAllowed => "allow this flow in the app and in the org, or use another",
            Self::InvalidRequest => "compare scopes and callback with the app's settings",
            Self::AccessDenied => "the user or a rule of the org denied it",
            Self::CodeExpired => "ask for a new code, and enter it in time",
            Self::RateLimited => "too many logins: wait, and share one login among runs",
            Self::ServerFailed => "try again later",
            Self::Other => "see the org's login history",
        }
    }
}

/// Whether the login itself may be to blame for a refusal with this code.
pub(super) fn is_known(code: &str) -> bool {
    Refusal::from_code(code) != Refusal::Other
}

/// The error of a login that was refused in these words.
pub(super) fn refused(what: &str, answer: ErrorInfo) -> Error {
    let advice = match &answer.code {
        Some(code) => Refusal::from_code(code).advice(&answer.message),
        None if (300..400).contains(&answer.status) => "the login host is another one",
        None => "check the address of the login host, and what stands between",
    };
    Error::new(ErrorKind::Login, format!("{what} was refused")).answered(answer).advise(advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: &str, message: &str) -> Error {
        let (code, message) = (Some(code.to_owned()), message.to_owned());
        refused("logging in", ErrorInfo { status: 400, code, message, request_id: None })
    }

    #[test]
    fn every_known_code_says_what_to_do() {
        for (code, refusal) in CODES {
            let error = error(code, "no");
            assert_eq!(Refusal::of(&error), Some(refusal), "{code}");
            assert!(error.to_string().contains(refusal.advice("no")), "{error}");
        }
    }

    #[test]
    fn an_invalid_grant_is_told_by_its_message() {
        let told = error("invalid_grant", "user hasn't approved this consumer").to_string();
        assert!(told.ends_with("let an administrator approve the app for the user beforehand"));
        let told = error("invalid_grant", "authentication failure").to_string();
        assert!(told.contains("check user name, password and security token"), "{told}");
    }

    #[test]
    fn an_unknown_code_is_kept_as_it_came() {
        let error = error("Brand_New_CODE", "x");
        assert_eq!(
            (error.code(), Refusal::of(&error)),
            (Some("Brand_New_CODE"), Some(Refusal::Other))
        );
        assert!(!Refusal::Other.passes(), "better not tried than a user locked out");
    }
}
