//! Random numbers for the web-server flow.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use sfbulk::login::Pkce;
use sfbulk::{Error, ErrorKind, Secret};

/// A new verifier and a new state, of 256 random bits each.
///
/// ```
/// use sfbulk::login::{App, Authorization, LoginServer};
///
/// let app = App::new("3MVG9…");
/// let callback = "http://localhost:1717/OauthRedirect";
/// let scope = "api refresh_token";
/// let asked =
///     Authorization::new(LoginServer::production(), app, callback, scope, sfbulk_login::pkce()?);
/// println!("open {}", asked.url());
/// # Ok::<(), sfbulk::Error>(())
/// ```
pub fn pkce() -> Result<Pkce, Error> {
    Pkce::new(random()?, random()?, |verifier| {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, verifier).as_ref());
        hash
    })
}

fn random() -> Result<Secret, Error> {
    let mut bytes = [0; 32];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| Error::new(ErrorKind::Local, "the system gives no random numbers"))?;
    Ok(Secret::new(URL_SAFE_NO_PAD.encode(bytes)))
}
