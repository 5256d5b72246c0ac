//! The flows: what each sends, and how it goes on after a session.

use std::time::Duration;

use bytes::Bytes;
use http::Response;

use crate::error::{Error, ErrorKind};
use crate::secret::Secret;

use super::device::Device;
use super::exchange::{Answer, DeviceCode, Exchange};
use super::oauth::{self, App, Sign};
use super::server::LoginServer;
use super::soap;

pub(super) enum Flow {
    Soap {
        username: String,
        password: Secret,
    },
    Password {
        app: App,
        username: String,
        password: Secret,
    },
    ClientCredentials {
        app: App,
    },
    Jwt {
        client_id: String,
        username: String,
        key: Box<dyn Sign>,
    },
    Refresh {
        app: App,
        token: Secret,
    },
    Code {
        app: App,
        code: Secret,
        redirect_uri: String,
        verifier: Secret,
    },
    Device(Device),
    /// A code was used, and no refresh token came.
    Spent,
}

impl Flow {
    /// What the vendor calls it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Soap { .. } => "SOAP login()",
            Self::Password { .. } => "OAuth username-password flow",
            Self::ClientCredentials { .. } => "OAuth client credentials flow",
            Self::Jwt { .. } => "OAuth JWT bearer flow",
            Self::Refresh { .. } => "OAuth refresh token flow",
            Self::Code { .. } | Self::Spent => "OAuth web server flow",
            Self::Device(_) => "OAuth device flow",
        }
    }

    pub(super) fn is_soap(&self) -> bool {
        matches!(self, Self::Soap { .. })
    }

    /// A new attempt.
    pub(super) fn begin(&mut self) {
        if let Self::Device(device) = self {
            device.forget();
        }
    }

    pub(super) fn exchange(
        &self,
        server: &LoginServer,
        since_1970: Duration,
    ) -> Result<Exchange, Error> {
        let grant = |app: &App, grant_type: &str| app.form("grant_type", grant_type);
        let form = match self {
            Self::Soap { username, password } => return soap::login(server, username, password),
            Self::Password { app, username, password } => {
                grant(app, "password").with("username", username).with_secret("password", password)
            }
            Self::ClientCredentials { app } => grant(app, "client_credentials"),
            Self::Jwt { client_id, username, key } => {
                oauth::assertion(server, client_id, username, &**key, since_1970)?
            }
            Self::Refresh { app, token } => {
                grant(app, "refresh_token").with_secret("refresh_token", token)
            }
            Self::Code { app, code, redirect_uri, verifier } => grant(app, "authorization_code")
                .with("redirect_uri", redirect_uri)
                .with_secret("code", code)
                .with_secret("code_verifier", verifier),
            Self::Device(device) => device.form(),
            Self::Spent => {
                let message = "the session has expired, and the login cannot renew it";
                return Err(Error::new(ErrorKind::Login, message).advise(
                    "ask for the scope refresh_token too, or send the user back to the browser",
                ));
            }
        };
        oauth::token(server, form)
    }

    /// Reads a good answer.
    pub(super) fn read(&self, response: &Response<Bytes>) -> Result<Answer, Error> {
        let answer = match self {
            Self::Soap { .. } => soap::read(response)?,
            _ => oauth::read(response)?,
        };
        let takes_code = matches!(self, Self::Device(device) if !device.is_shown());
        if matches!(answer, Answer::Code(_)) && !takes_code {
            return Err(Error::new(
                ErrorKind::Login,
                "the login's answer is of another flow or step",
            ));
        }
        Ok(answer)
    }

    /// Shows a person the code that was answered, and says how long to wait.
    pub(super) fn show(
        &mut self,
        code: DeviceCode,
        server: &LoginServer,
    ) -> Result<Duration, Error> {
        match self {
            Self::Device(device) => device.show(code, server),
            _ => Ok(Duration::ZERO), // `read` lets no code pass
        }
    }

    /// How long to wait before asking again, if this refusal says no more than that.
    pub(super) fn waits_on(&mut self, error: &Error) -> Option<Duration> {
        match self {
            Self::Device(device) => device.waits_on(error),
            _ => None,
        }
    }

    /// Goes on after a session was granted: by the refresh token, if there is one. Gives it back if
    /// it is new.
    pub(super) fn granted(&mut self, token: Option<Secret>) -> Option<Secret> {
        let app = match self {
            Self::Refresh { app, .. } | Self::Code { app, .. } => app.clone(),
            Self::Device(device) => device.app().clone(),
            _ => return None, // these renew themselves as they began
        };
        match (token, &self) {
            (Some(new), Self::Refresh { token: old, .. }) if new == *old => None,
            (Some(token), _) => {
                *self = Self::Refresh { app, token: token.clone() };
                Some(token)
            }
            (None, Self::Code { .. }) => {
                *self = Self::Spent;
                None
            }
            (None, _) => None,
        }
    }
}
