//! OAuth 2.0: forms to the token endpoint, and its answers (topic "OAuth Authorization Flows" of the
//! vendor's help).

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::Response;
use serde::Deserialize;

use crate::error::{Error, ErrorKind};
use crate::secret::Secret;

use super::exchange::{Answer, DeviceCode, Exchange, Form, Grant};
use super::server::LoginServer;

/// Where tokens are given out.
const TOKEN: &str = "/services/oauth2/token";
/// Where people are asked.
pub(super) const AUTHORIZE: &str = "/services/oauth2/authorize";

/// How long an assertion may be used. The service takes three minutes; the clocks need not agree to
/// the second.
const ASSERTION: Duration = Duration::from_secs(150);

/// How often a device asks, and how long its code is good, if the answer does not say (RFC 8628; the
/// service says ten minutes in its documents only). Neither is believed beyond the last number.
const INTERVAL: (u64, u64) = (5, 60);
const LIFETIME: (u64, u64) = (600, 1800);

/// A connected app or an external client app: what a client calls itself.
#[derive(Clone, Debug)]
pub struct App {
    id: String,
    secret: Option<Secret>,
}

impl App {
    /// The app with this consumer key, one that keeps no secret.
    pub fn new(client_id: impl Into<String>) -> Self {
        Self { id: client_id.into(), secret: None }
    }

    /// The app with this consumer key and consumer secret.
    pub fn with_secret(client_id: impl Into<String>, secret: impl Into<Secret>) -> Self {
        Self { id: client_id.into(), secret: Some(secret.into()) }
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn has_secret(&self) -> bool {
        self.secret.is_some()
    }

    /// A form that begins as all of this app's do.
    pub(super) fn form(&self, name: &str, value: &str) -> Form {
        let form = Form::of(name, value).with("client_id", &self.id);
        match &self.secret {
            Some(secret) => form.with_secret("client_secret", secret),
            None => form,
        }
    }
}

/// What signs a JWT: RSA with PKCS #1 v1.5 padding over SHA-256 (RS256), by the key whose
/// certificate the app has. `sfbulk-login` has one for key files.
pub trait Sign: Send {
    /// The signature of this message.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error>;
}

/// A form to the token endpoint.
pub(super) fn token(server: &LoginServer, form: Form) -> Result<Exchange, Error> {
    Exchange::form(&server.url(TOKEN), form)
}

/// The form of a JWT bearer login at a moment, in time since 1970.
pub(super) fn assertion(
    server: &LoginServer,
    client_id: &str,
    username: &str,
    key: &dyn Sign,
    since_1970: Duration,
) -> Result<Form, Error> {
    let claims = serde_json::json!({
        "iss": client_id,
        "sub": username,
        "aud": server.audience(),
        "exp": since_1970.saturating_add(ASSERTION).as_secs(),
    });
    let encode = |text: &[u8]| URL_SAFE_NO_PAD.encode(text);
    let message =
        format!("{}.{}", encode(br#"{"alg":"RS256"}"#), encode(claims.to_string().as_bytes()));
    let signature = key.sign(message.as_bytes())?;
    let assertion = Secret::new(format!("{message}.{}", encode(&signature)));
    let form = Form::of("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer");
    Ok(form.with_secret("assertion", &assertion))
}

/// What a device asks first.
pub(super) fn device(app: &App, scope: &str) -> Form {
    app.form("response_type", "device_code").with("scope", scope)
}

#[derive(Deserialize)]
struct Tokens {
    access_token: String,
    instance_url: String,
    refresh_token: Option<String>,
}

#[derive(Deserialize)]
struct Codes {
    device_code: String,
    user_code: String,
    verification_uri: String,
    interval: Option<u64>,
    expires_in: Option<u64>,
}

/// Reads a good answer. The error says nothing of what is in it.
pub(super) fn read(response: &Response<Bytes>) -> Result<Answer, Error> {
    let body = response.body();
    if let Ok(tokens) = serde_json::from_slice::<Tokens>(body) {
        return Ok(Answer::Grant(Grant {
            instance: tokens.instance_url,
            token: tokens.access_token.into(),
            refresh_token: tokens.refresh_token.map(Secret::new),
        }));
    }
    let codes: Codes = serde_json::from_slice(body).map_err(|_| {
        let message = "the login's answer is no JSON with access_token and instance_url";
        Error::new(ErrorKind::Login, message).advise("check the address of the login host")
    })?;
    let within = |told: Option<u64>, (usual, most): (u64, u64)| {
        Duration::from_secs(told.unwrap_or(usual).clamp(1, most))
    };
    Ok(Answer::Code(DeviceCode {
        code: codes.device_code.into(),
        user_code: codes.user_code,
        address: codes.verification_uri,
        interval: within(codes.interval, INTERVAL),
        lifetime: within(codes.expires_in, LIFETIME),
    }))
}
