//! The device flow: a code is shown, and the server asked again and again whether somebody has
//! entered it (RFC 8628, topic "OAuth 2.0 Device Flow" of the vendor's help).

use std::time::Duration;

use crate::error::{Error, ErrorKind};
use crate::secret::Secret;

use super::exchange::{DeviceCode, Form};
use super::oauth::{self, App};
use super::server::LoginServer;

/// How much longer to wait when the server says `slow_down`.
const SLOWER: Duration = Duration::from_secs(5);

/// What a person has to enter, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserCode {
    /// The code, a few letters and digits.
    pub code: String,
    /// The page that asks for it, on a host that [may be](LoginServer) one of the org's.
    pub address: String,
}

pub(super) struct Device {
    app: App,
    scope: String,
    show: Box<dyn FnMut(&UserCode) + Send>,
    /// Once a code is shown.
    pending: Option<Pending>,
}

struct Pending {
    code: Secret,
    interval: Duration,
    /// How much longer the code is good, by the waits: no clock is asked.
    left: Duration,
}

impl Device {
    pub(super) fn new(
        app: App,
        scope: impl Into<String>,
        show: impl FnMut(&UserCode) + Send + 'static,
    ) -> Self {
        Self { app, scope: scope.into(), show: Box::new(show), pending: None }
    }

    pub(super) fn app(&self) -> &App {
        &self.app
    }

    pub(super) fn forget(&mut self) {
        self.pending = None;
    }

    /// Whether a person has a code already. One code is all a login shows, or it might never end.
    pub(super) fn is_shown(&self) -> bool {
        self.pending.is_some()
    }

    pub(super) fn form(&self) -> Form {
        match &self.pending {
            None => oauth::device(&self.app, &self.scope),
            Some(pending) => {
                self.app.form("grant_type", "device").with_secret("code", &pending.code)
            }
        }
    }

    /// Shows the code, and says how long to wait.
    pub(super) fn show(
        &mut self,
        shown: DeviceCode,
        server: &LoginServer,
    ) -> Result<Duration, Error> {
        let DeviceCode { code, user_code, address, interval, lifetime } = shown;
        server.instance(&address)?; // nobody is sent to a page of somebody else's
        let printable =
            |text: &str| text.len() <= 200 && text.bytes().all(|b| b.is_ascii_graphic());
        if !printable(&user_code) || !printable(&address) {
            return Err(Error::new(ErrorKind::Login, "the device's code cannot be shown"));
        }
        (self.show)(&UserCode { code: user_code, address });
        self.pending = Some(Pending { code, interval, left: lifetime });
        Ok(interval)
    }

    /// How long to wait on, if nobody has entered the code yet.
    pub(super) fn waits_on(&mut self, error: &Error) -> Option<Duration> {
        let pending = self.pending.as_mut()?;
        match error.code()? {
            "authorization_pending" => {}
            "slow_down" => pending.interval += SLOWER,
            _ => return None,
        }
        pending.left = pending.left.checked_sub(pending.interval)?;
        Some(pending.interval)
    }
}
