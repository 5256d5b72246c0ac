//! The web-server flow with PKCE (RFC 7636): the half before the browser and the half after it.
//! What lies between, showing a page and taking the redirect, is the application's.

use form_urlencoded::{Serializer, parse};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::error::{Error, ErrorInfo, ErrorKind};
use crate::secret::Secret;

use super::oauth::{AUTHORIZE, App};
use super::refusal::refused;
use super::server::LoginServer;
use super::{Flow, Login};

/// The fewest characters of a state: enough that nobody guesses it.
const STATE: usize = 16;

/// What proves that who asks for tokens is who sent the user to the browser: random, and new each
/// time. `sfbulk_login::pkce()` makes one.
#[derive(Clone, Debug)]
pub struct Pkce {
    verifier: Secret,
    challenge: String,
    state: Secret,
}

impl Pkce {
    /// Of a verifier (43 to 128 letters, digits, `-`, `.`, `_` or `~`), a state (16 of them at
    /// least), and what computes SHA-256.
    ///
    /// Fails with [`ErrorKind::Usage`] if a text is no such thing.
    pub fn new(
        verifier: impl Into<Secret>,
        state: impl Into<Secret>,
        sha256: impl FnOnce(&[u8]) -> [u8; 32],
    ) -> Result<Self, Error> {
        let (verifier, state) = (verifier.into(), state.into());
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let is_plain = |secret: &Secret| secret.reveal().bytes().all(plain);
        let long = (43..=128).contains(&verifier.reveal().len()) && state.reveal().len() >= STATE;
        if !long || !is_plain(&verifier) || !is_plain(&state) {
            let message = "a PKCE verifier has 43 to 128 letters and digits, a state 16 at least";
            return Err(Error::new(ErrorKind::Usage, message));
        }
        let challenge = URL_SAFE_NO_PAD.encode(sha256(verifier.reveal().as_bytes()));
        Ok(Self { verifier, challenge, state })
    }
}

/// An authorization that a user is asked for in the browser.
///
/// ```
/// use sfbulk::login::{App, Authorization, LoginServer, Pkce};
/// # let (verifier, state) = ("v".repeat(43), "s".repeat(16));
/// # let pkce = Pkce::new(verifier, state.as_str(), |_| [0; 32])?; // sfbulk_login::pkce()
///
/// let server = LoginServer::at("https://acme.my.salesforce.com")?;
/// let app = App::new("3MVG9…");
/// let callback = "http://localhost:1717/OauthRedirect";
/// let asked = Authorization::new(server, app, callback, "api refresh_token", pkce);
/// println!("open {}", asked.url());
/// # let redirected = format!("{callback}?code=aPrx&state={state}");
/// let login = asked.login(&redirected)?; // the address the browser was sent to
/// # Ok::<(), sfbulk::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Authorization {
    server: LoginServer,
    app: App,
    redirect_uri: String,
    scope: String,
    pkce: Pkce,
}

impl Authorization {
    /// Asks for these scopes, separated by blanks: `api refresh_token`, say; without the second one
    /// the login cannot renew itself. The redirect URI is one of the app's callback URLs.
    pub fn new(
        server: LoginServer,
        app: App,
        redirect_uri: impl Into<String>,
        scope: impl Into<String>,
        pkce: Pkce,
    ) -> Self {
        Self { server, app, redirect_uri: redirect_uri.into(), scope: scope.into(), pkce }
    }

    /// The page to be opened in the user's browser.
    pub fn url(&self) -> String {
        let page = self.server.url(AUTHORIZE) + "?";
        let start = page.len();
        Serializer::for_suffix(page, start)
            .append_pair("response_type", "code")
            .append_pair("client_id", self.app.id())
            .append_pair("redirect_uri", &self.redirect_uri)
            .append_pair("scope", &self.scope)
            .append_pair("state", self.pkce.state.reveal())
            .append_pair("code_challenge", &self.pkce.challenge)
            .append_pair("code_challenge_method", "S256")
            .finish()
    }

    /// The login that the user has granted, of the address that the browser was sent back to, or of
    /// its query. A code is good for one login, within minutes.
    ///
    /// Fails with [`ErrorKind::Login`] if the state is not the one of this authorization (somebody
    /// else's answer: wait for the right one), or if the user said no.
    pub fn login(&self, redirected: &str) -> Result<Login, Error> {
        let query = redirected.split('#').next().unwrap_or_default();
        let query = query.rsplit('?').next().unwrap_or_default();
        let find = |name: &str| {
            let mut fields = parse(query.as_bytes());
            fields.find(|(field, _)| field == name).map(|(_, value)| value.into_owned())
        };
        if find("state").map(Secret::new).as_ref() != Some(&self.pkce.state) {
            let message = "the state that came back from the browser is not the one sent there";
            let advice = "take no code from it: somebody else may have begun this login";
            return Err(Error::new(ErrorKind::Login, message).advise(advice));
        }
        if let Some(code) = find("error") {
            let short = |text: String| text.chars().take(200).collect();
            let message = short(find("error_description").unwrap_or_default());
            let answer = ErrorInfo { code: Some(short(code)), message, ..ErrorInfo::default() };
            return Err(refused("the authorization", answer));
        }
        let code = find("code").filter(|code| !code.is_empty()).map(Secret::new);
        let code =
            code.ok_or_else(|| Error::new(ErrorKind::Login, "no code came back from the browser"))?;
        Ok(Login::by(
            self.server.clone(),
            Flow::Code {
                app: self.app.clone(),
                code,
                redirect_uri: self.redirect_uri.clone(),
                verifier: self.pkce.verifier.clone(),
            },
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> Authorization {
        let server = LoginServer::at("https://acme.my.salesforce.com").unwrap();
        let pkce = Pkce::new("v".repeat(43), "s".repeat(16), |_| [0xff; 32]).unwrap();
        Authorization::new(server, App::new("id"), "http://localhost:1/cb?x", "api", pkce)
    }

    #[test]
    fn the_page_has_state_and_challenge_and_not_the_verifier() {
        assert_eq!(
            asked().url(),
            "https://acme.my.salesforce.com/services/oauth2/authorize?response_type=code\
             &client_id=id&redirect_uri=http%3A%2F%2Flocalhost%3A1%2Fcb%3Fx&scope=api\
             &state=ssssssssssssssss&code_challenge=__________________________________________8\
             &code_challenge_method=S256"
        );
    }

    #[test]
    fn a_code_counts_only_with_its_state() {
        let state = "s".repeat(16);
        for good in [
            format!("http://localhost:1/cb?code=a%3D%3D&state={state}"),
            format!("state={state}&code=a#_=_"),
        ] {
            assert!(asked().login(&good).is_ok(), "{good}");
        }
        for bad in ["code=a", "code=a&state=", "code=a&state=sssssssssssssss", ""] {
            let error = asked().login(bad).unwrap_err();
            assert!(error.to_string().contains("take no code from it"), "{error}");
        }
        let told = asked().login(&format!("error=access_denied&state={state}")).unwrap_err();
        assert_eq!(told.code(), Some("access_denied"));
        let told = asked().login(&format!("state={state}")).unwrap_err();
        assert!(told.to_string().starts_with("no code came back"), "{told}");
    }

    #[test]
    fn verifiers_and_states_are_long_and_plain() {
        let made = |verifier: &str, state: &str| Pkce::new(verifier, state, |_| [0; 32]);
        let (verifier, state) = ("a".repeat(128), "b".repeat(16));
        assert!(made(&verifier, &state).is_ok());
        for (verifier, state) in [
            ("a".repeat(42), state.clone()),
            ("a".repeat(129), state.clone()),
            ("a+".repeat(30), state.clone()),
            (verifier.clone(), "b".repeat(15)),
            (verifier, "b ".repeat(16)),
        ] {
            let error = made(&verifier, &state).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage);
        }
    }
}
