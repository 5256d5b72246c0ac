//! Logins: how a program gets a session, and the next one when it has expired.
//!
//! A [`Login`] is a small machine like [`Job`](crate::Job): it says which request to send, and is
//! told what came of it. It opens no socket, so each executor runs it with its own time-outs and
//! proxy; the front doors do so by themselves (`Client::logging_in`).
//!
//! | flow | needs | renews itself by |
//! |---|---|---|
//! | [`Login::client_credentials`] | an app with a secret, the org's My Domain | the same |
//! | [`Login::jwt_bearer`] | an app, the key of its certificate, a user who approved it | the same |
//! | [`Login::refresh_token`] | a refresh token of an earlier flow | the token, or the one that replaces it |
//! | [`Authorization`] | a browser | the refresh token it gave |
//! | [`Login::device`] | a browser on another device | the refresh token it gave |
//! | [`Login::password`] | a password; blocked in orgs since Summer '23 unless allowed | the same |
//! | [`Login::soap`] | a password; to be retired in Summer '27, and off in new orgs | the same |
//!
//! Each is one user's for good. A job belongs to the user who made it, so whoever resumes a run has
//! to log in as the same one.
//!
//! Three more things hold for all of them. The org is taken from the answer only if its host is one that
//! [may be](LoginServer). What was refused for good is not tried again: a user whose wrong password is
//! repeated is locked out ([`Refusal`] tells what passes). And no error holds a secret, not even
//! where a server repeats it.
//!
//! ```
//! use sfbulk::Reply;
//! use sfbulk::login::{App, Login, LoginServer, LoginStep};
//! use std::time::Duration;
//!
//! # fn perform(call: sfbulk::Call) -> Reply {
//! #     assert_eq!(call.request.uri(), "https://acme.my.salesforce.com/services/oauth2/token");
//! #     let answer = r#"{"access_token":"00D!x","instance_url":"https://acme.my.salesforce.com"}"#;
//! #     call.expect.take_in(http::Response::new(answer.into())).1
//! # }
//! let server = LoginServer::at("https://acme.my.salesforce.com")?;
//! let mut login = Login::client_credentials(server, App::with_secret("3MVG9…", "secret"))?;
//! login.begin(None);
//! let session = loop {
//!     match login.poll(Duration::ZERO) { // the time since 1970; only JWTs look at it
//!         LoginStep::Send(call) => login.reply(perform(call)),
//!         LoginStep::Wait(time) => std::thread::sleep(time),
//!         LoginStep::Done(result) => break result?,
//!     }
//! };
//! assert_eq!(session.instance(), "https://acme.my.salesforce.com");
//! # Ok::<(), sfbulk::Error>(())
//! ```

mod device;
mod exchange;
mod flow;
mod oauth;
mod refusal;
mod server;
mod soap;
mod web;

use std::fmt;
use std::time::Duration;

use crate::backoff::grow;
use crate::call::{Call, Failure, Reply};
use crate::document;
use crate::error::{Error, ErrorKind};
use crate::judge::retry_after;
use crate::secret::Secret;
use crate::session::Session;

pub use device::UserCode;
pub use oauth::{App, Sign};
pub use refusal::Refusal;
pub use server::LoginServer;
pub use web::{Authorization, Pkce};

use device::Device;
use exchange::{Answer, Grant};
use flow::Flow;
use refusal::is_known;

/// How often one login is asked for while the server cannot be reached or fails: for half a minute,
/// unless it asks for more time itself.
const TRIES: u32 = 6;
/// The first wait between two of these, and the longest.
const WAITS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(16));

/// The longest `Retry-After` that is honoured to the second; a longer one is cut to this.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60);

/// Takes a new refresh token to where the application keeps it.
type Keep = dyn FnMut(&Secret) -> Result<(), Error> + Send;

/// A source of sessions that renews itself; see the [module's page](self).
pub struct Login {
    server: LoginServer,
    flow: Flow,
    keep: Option<Box<Keep>>,
    /// A refresh token that came, and was not kept so far.
    unkept: Option<Secret>,
    /// The last one it gave.
    session: Option<Session>,
    /// Why the credentials are not tried again.
    refused: Option<Error>,
    phase: Phase,
    tries: u32,
}

enum Phase {
    /// A request is to be made.
    Ask,
    /// This one is under way, with these secrets in it.
    Sent(Vec<Secret>),
    Wait(Duration),
    Over(Result<Session, Error>),
}

/// What a login wants done.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and it is soon taken apart")]
pub enum LoginStep {
    /// Perform this call, and tell [`Login::reply`] what came of it.
    Send(Call),
    /// Poll again after this time.
    Wait(Duration),
    /// This is the session, or there is none.
    Done(Result<Session, Error>),
}

impl Login {
    /// With a user name and password, and an app with a secret (OAuth 2.0 username-password flow).
    /// Outside of trusted networks the user's security token is the end of the password. Blocked by
    /// default in orgs created since Summer '23, and not there for external client apps.
    ///
    /// ```
    /// use sfbulk::login::{App, Login, LoginServer};
    ///
    /// let app = App::with_secret("3MVG9…", "consumer secret");
    /// let password = ["password", "security token"].concat();
    /// let login = Login::password(LoginServer::production(), app, "ada@example.com", password);
    /// ```
    pub fn password(
        server: LoginServer,
        app: App,
        username: impl Into<String>,
        password: impl Into<Secret>,
    ) -> Self {
        let (username, password) = (username.into(), password.into());
        Self::by(server, Flow::Password { app, username, password })
    }

    /// As the user that the app's settings name (OAuth 2.0 client credentials flow).
    ///
    /// Fails with [`ErrorKind::Usage`] if the server is not the org's My Domain, which alone offers
    /// this flow, or the app has no secret.
    pub fn client_credentials(server: LoginServer, app: App) -> Result<Self, Error> {
        let usage = |message| Err(Error::new(ErrorKind::Usage, message));
        if server.is_shared() {
            return usage("client credentials are taken by the org's My Domain only");
        }
        if !app.has_secret() {
            return usage("client credentials are an app's id and its secret");
        }
        Ok(Self::by(server, Flow::ClientCredentials { app }))
    }

    /// As a user who approved the app beforehand, by the app's key (OAuth 2.0 JWT bearer flow).
    pub fn jwt_bearer(
        server: LoginServer,
        client_id: impl Into<String>,
        username: impl Into<String>,
        key: impl Sign + 'static,
    ) -> Self {
        let (client_id, username, key) = (client_id.into(), username.into(), Box::new(key));
        Self::by(server, Flow::Jwt { client_id, username, key })
    }

    /// With the refresh token of an earlier login. Where the org rotates them, each is good once:
    /// see [`on_refresh_token`](Self::on_refresh_token).
    pub fn refresh_token(server: LoginServer, app: App, token: impl Into<Secret>) -> Self {
        Self::by(server, Flow::Refresh { app, token: token.into() })
    }

    /// By a code that a person enters on another device (OAuth 2.0 device flow): `show` is given
    /// the code and where to enter it. For scopes see [`Authorization::new`].
    pub fn device(
        server: LoginServer,
        app: App,
        scope: impl Into<String>,
        show: impl FnMut(&UserCode) + Send + 'static,
    ) -> Self {
        Self::by(server, Flow::Device(Device::new(app, scope, show)))
    }

    /// With user name and password by SOAP, where there is no app. The security token is the end of
    /// the password, outside of trusted networks. `login()` is part of API versions up to 64.0, is
    /// off by default in new orgs, and is to be retired in Summer '27: choose another flow.
    ///
    /// ```
    /// use sfbulk::login::{Login, LoginServer};
    ///
    /// let password = ["password", "security token"].concat();
    /// let login = Login::soap(LoginServer::sandbox(), "ada@example.com.uat", password);
    /// ```
    pub fn soap(
        server: LoginServer,
        username: impl Into<String>,
        password: impl Into<Secret>,
    ) -> Self {
        let (username, password) = (username.into(), password.into());
        Self::by(server, Flow::Soap { username, password })
    }

    /// Has `keep` store each new refresh token, before the session that came with it is given out:
    /// the one before may be worth nothing from then on. An error of it is the login's, and the next
    /// login has the token stored again.
    #[must_use]
    pub fn on_refresh_token(
        mut self,
        keep: impl FnMut(&Secret) -> Result<(), Error> + Send + 'static,
    ) -> Self {
        self.keep = Some(Box::new(keep));
        self
    }

    fn by(server: LoginServer, flow: Flow) -> Self {
        let (phase, tries) = (Phase::Ask, 0);
        Self { server, flow, keep: None, unkept: None, session: None, refused: None, phase, tries }
    }

    /// Begins to get a session, another one than that which has `expired`. If there is one already
    /// (somebody else asked before), or the credentials were refused for good, nothing is sent. What
    /// was under way is forgotten.
    pub fn begin(&mut self, expired: Option<&Session>) {
        let good =
            self.session.as_ref().filter(|session| !expired.is_some_and(|old| old.is(session)));
        self.tries = 0;
        self.phase = match (good, &self.refused) {
            (Some(session), _) => Phase::Over(Ok(session.clone())),
            (None, Some(error)) => Phase::Over(Err(error.clone())),
            (None, None) => Phase::Ask,
        };
        self.flow.begin();
    }

    /// What to do now, at this moment, in time since 1970. A call whose reply never comes is made
    /// anew.
    pub fn poll(&mut self, since_1970: Duration) -> LoginStep {
        match &self.phase {
            Phase::Over(result) => return LoginStep::Done(result.clone()),
            Phase::Wait(time) => {
                let time = *time;
                self.phase = Phase::Ask;
                return LoginStep::Wait(time);
            }
            Phase::Ask | Phase::Sent(_) => {}
        }
        match self.flow.exchange(&self.server, since_1970) {
            Ok(exchange) => {
                self.phase = Phase::Sent(exchange.secrets);
                LoginStep::Send(exchange.call)
            }
            Err(error) => {
                self.phase = Phase::Over(Err(error.clone()));
                LoginStep::Done(Err(error))
            }
        }
    }

    /// What came of the call.
    pub fn reply(&mut self, reply: Reply) {
        let Phase::Sent(secrets) = std::mem::replace(&mut self.phase, Phase::Ask) else { return };
        let what = format!("logging in at {} ({})", self.server.url(""), self.flow.name());
        let asked = match &reply {
            Reply::Whole(response) => retry_after(response.headers()),
            _ => None,
        };
        self.phase = match self.read(reply, &secrets, &what) {
            Ok(Answer::Grant(grant)) => Phase::Over(self.granted(grant)),
            Ok(Answer::Code(code)) => match self.flow.show(code, &self.server) {
                Ok(wait) => Phase::Wait(wait),
                Err(error) => Phase::Over(Err(error)),
            },
            Err(error) => self.failed(error, asked),
        };
    }

    fn read(&self, reply: Reply, secrets: &[Secret], what: &str) -> Result<Answer, Error> {
        let lost = |why: &str| Error::new(ErrorKind::Unreachable, format!("{what} failed: {why}"));
        let response = match reply {
            Reply::Whole(response) => response,
            Reply::Failed(Failure::Unsent(why) | Failure::Lost(why)) => return Err(lost(&why)),
            Reply::Streamed(_) => return Err(lost("the answer was not kept")),
        };
        let mut answer = document::refusal(&response);
        // Whatever the status is: a refusal taken for an odd answer would be asked for again.
        if response.status().is_success() && answer.code.is_none() {
            return self.flow.read(&response);
        }
        // What is no error document may be anything, also one with tokens in it.
        let message = answer.code.as_ref().map(|_| without(&answer.message, secrets));
        answer.message = message.unwrap_or_default();
        answer.code = answer.code.map(|code| without(&code, secrets));
        // A SOAP fault is a 500, whoever is to blame, and one that cannot be read may be about the
        // password; elsewhere a 500 is the server's own.
        let blamed = match answer.code.as_deref() {
            Some(code) => self.flow.is_soap() || is_known(code),
            None => self.flow.is_soap() && answer.status == 500,
        };
        let failed = matches!(answer.status, 408 | 429 | 500..) && !blamed;
        if failed {
            return Err(lost("the server failed").answered(answer));
        }
        Err(refusal::refused(what, answer))
    }

    fn granted(&mut self, grant: Grant) -> Result<Session, Error> {
        // First of all: the token before may be spent, whatever else is wrong with this answer.
        self.unkept = self.flow.granted(grant.refresh_token).or(self.unkept.take());
        if let (Some(new), Some(keep)) = (&self.unkept, &mut self.keep) {
            keep(new)?;
        }
        self.unkept = None;
        let instance = self.server.instance(&grant.instance).inspect_err(|error| {
            self.refused = Some(error.clone()); // whoever answers so gets no second look
        })?;
        let session = Session::new(&instance, grant.token.reveal())
            .map_err(|error| Error::new(ErrorKind::Login, error.message()))?;
        self.session = Some(session.clone());
        Ok(session)
    }

    /// Goes on after an error, and not before the server has `asked` for the next try.
    fn failed(&mut self, error: Error, asked: Option<Duration>) -> Phase {
        if let Some(wait) = self.flow.waits_on(&error) {
            return Phase::Wait(wait);
        }
        let refusal = Refusal::of(&error);
        let failed =
            error.kind() == ErrorKind::Unreachable || refusal == Some(Refusal::ServerFailed);
        self.tries += 1;
        if failed && self.tries < TRIES {
            let (first, most) = WAITS;
            let asked = asked.unwrap_or_default().min(LONGEST_RETRY_AFTER);
            return Phase::Wait(grow(first, 2.0, most, self.tries - 1).max(asked));
        }
        if error.kind() == ErrorKind::Login && refusal.is_none_or(|refusal| !refusal.passes()) {
            self.refused = Some(error.clone());
        }
        Phase::Over(Err(error))
    }
}

/// A server's words, should it repeat what it was sent.
fn without(text: &str, secrets: &[Secret]) -> String {
    secrets.iter().fold(text.to_owned(), |text, secret| secret.blank_out(&text))
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Login");
        debug.field("server", &self.server).field("flow", &self.flow.name()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
