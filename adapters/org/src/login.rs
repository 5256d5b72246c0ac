//! Logging in: SOAP `login()` and the OAuth 2.0 endpoints, for one app and one user.
//!
//! | flow | what it takes |
//! |---|---|
//! | SOAP, username-password | [`USERNAME`] and [`PASSWORD`], followed by [`SECURITY_TOKEN`] where [`Logins::security_token`] wants it |
//! | all of OAuth | [`CLIENT_ID`]; [`CLIENT_SECRET`] for username-password and client credentials |
//! | JWT bearer | an assertion signed with [`APP_KEY`] |
//! | web server | `/services/oauth2/authorize` asks nobody: it sends the browser back with a code at once; PKCE with S256 |
//! | device | the code counts as entered after [`Logins::device_polls`] questions |
//! | refresh token | one that the two before gave, since the org was started |
//!
//! All give the org's one session ([`Org::session`]), and where the org was asked as its address. What
//! goes wrong is set by [`Logins`], sent wrong by the client, or armed as a fault:
//! `refuse:login:1:LOGIN_RATE_EXCEEDED` has the next login refused with that code.

use std::collections::{BTreeMap, VecDeque};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{HOST, LOCATION};
use http::{HeaderValue, Method, Response, StatusCode, request};
use quick_xml::Reader;
use quick_xml::events::Event;
use ring::digest::{SHA256, digest};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::{Value, json};

use crate::answer::{self, Refusal};
use crate::documents::{resolve, xml_text};
use crate::org::Org;
use crate::schema;

/// The consumer key of the practice app.
pub const CLIENT_ID: &str = "PRACTICE.app";
/// The consumer secret of the practice app.
pub const CLIENT_SECRET: &str = "practice-app-word";
/// The user of the practice org.
pub const USERNAME: &str = "practice@example.com";
/// The user's password.
pub const PASSWORD: &str = "practice&password";
/// The user's security token.
pub const SECURITY_TOKEN: &str = "practicetoken";
/// The practice app's private key in PEM, known to everybody: good for nothing but practice.
pub const APP_KEY: &str = include_str!("practice_app.pem");

/// Its public half.
const APP_PUBLIC_KEY: &[u8] = include_bytes!("practice_app.der");

/// Codes and refresh tokens that are remembered, of each kind; the oldest is forgotten for the next.
/// The service keeps five.
const KEPT: usize = 5;
/// The largest request read, in bytes.
const REQUEST: usize = 64 << 10;
/// How far ahead an assertion's end may lie, as at the service.
const ASSERTION: i64 = 180;

/// How logins go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logins {
    /// The password alone is not enough, as outside of trusted networks. `false`.
    pub security_token: bool,
    /// The user's password has expired. `false`.
    pub password_expired: bool,
    /// Each refresh token is good once; the answer has the next one. `false`.
    pub rotation: bool,
    /// How often a device is told to wait before its code counts as entered. 2; at
    /// [`NEVER`](Self::NEVER) the user says no.
    pub device_polls: u32,
    /// What answers name as the org's address; `None` is where the org was asked.
    pub instance: Option<String>,
}

impl Logins {
    /// The device's user says no.
    pub const NEVER: u32 = u32::MAX;
}

impl Default for Logins {
    fn default() -> Self {
        let (security_token, password_expired, rotation) = (false, false, false);
        Self { security_token, password_expired, rotation, device_polls: 2, instance: None }
    }
}

/// What was given out and may come back.
#[derive(Debug, Default)]
pub(crate) struct Given {
    count: u32,
    refresh_tokens: VecDeque<String>,
    /// Codes, each with its challenge.
    codes: VecDeque<(String, String)>,
    /// Device codes, each with the number of questions until it is entered.
    devices: VecDeque<(String, u32)>,
}

/// Which of the endpoints is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Soap,
    Token,
    Authorize,
    Revoke,
}

impl Place {
    pub(crate) fn of(method: &Method, path: &str) -> Option<Self> {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let post = method == Method::POST;
        match parts[..] {
            ["services", "Soap", "u" | "c", ..] if post => Some(Self::Soap),
            ["services", "oauth2", "token"] if post => Some(Self::Token),
            ["services", "oauth2", "revoke"] if post => Some(Self::Revoke),
            ["services", "oauth2", "authorize"] if method == Method::GET => Some(Self::Authorize),
            _ => None,
        }
    }

    /// Whether a session is asked for here.
    pub(crate) fn logs_in(self) -> bool {
        matches!(self, Self::Soap | Self::Token)
    }
}

type Form = BTreeMap<String, String>;

pub(crate) fn respond(
    org: &mut Org,
    now: i64,
    place: Place,
    head: &request::Parts,
    body: &[u8],
) -> Response<Bytes> {
    let form = |text: &[u8]| form_urlencoded::parse(text).into_owned().collect::<Form>();
    let body = &body[..body.len().min(REQUEST)];
    let answer = match place {
        Place::Soap => soap(org, head, body),
        Place::Token => token(org, now, head, &form(body)),
        Place::Revoke => revoke(org, &form(body)),
        Place::Authorize => authorize(org, &form(head.uri.query().unwrap_or_default().as_bytes())),
    };
    answer.unwrap_or_else(|refusal| refuse(place, &refusal))
}

/// A refusal in the syntax of the place.
pub(crate) fn refuse(place: Place, refusal: &Refusal) -> Response<Bytes> {
    let (code, message) = (xml_text(&refusal.code), xml_text(&refusal.message));
    if place != Place::Soap {
        let body = json!({"error": refusal.code, "error_description": refusal.message});
        return answer::typed(refusal.status, "application/json;charset=UTF-8", told(&body));
    }
    let fault = format!(
        "<soapenv:Fault><faultcode>sf:{code}</faultcode><faultstring>{code}: {message}</faultstring>\
         <detail><sf:LoginFault xsi:type=\"sf:LoginFault\"><sf:exceptionCode>{code}</sf:exceptionCode>\
         <sf:exceptionMessage>{message}</sf:exceptionMessage></sf:LoginFault></detail></soapenv:Fault>"
    );
    envelope(StatusCode::INTERNAL_SERVER_ERROR, &fault)
}

fn told(value: &Value) -> Bytes {
    value.to_string().into()
}

fn envelope(status: StatusCode, body: &str) -> Response<Bytes> {
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><soapenv:Envelope \
         xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:sf=\"urn:fault.partner.soap.sforce.com\" xmlns=\"urn:partner.soap.sforce.com\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><soapenv:Body>{body}\
         </soapenv:Body></soapenv:Envelope>"
    );
    answer::typed(status, "text/xml;charset=UTF-8", text.into())
}

/// The address that answers name.
fn instance(org: &Org, head: &request::Parts) -> String {
    let host = head.headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = host.or(head.uri.authority().map(http::uri::Authority::as_str));
    let here = || format!("http://{}", host.unwrap_or("127.0.0.1"));
    org.config.logins.instance.clone().unwrap_or_else(here)
}

/// The org's id, the first part of its sessions.
fn organization(org: &Org) -> &str {
    org.session().split('!').next().unwrap_or_default()
}

fn soap(org: &Org, head: &request::Parts, body: &[u8]) -> Result<Response<Bytes>, Refusal> {
    let version = head.uri.path().rsplit('/').find(|part| !part.is_empty()).unwrap_or_default();
    if version.strip_suffix(".0").and_then(|v| v.parse::<u32>().ok()).is_none_or(|v| v > 64) {
        return Err(Refusal::bad("UNSUPPORTED_API_VERSION", format!("Invalid version: {version}")));
    }
    let said = std::str::from_utf8(body).ok().and_then(soap_fields);
    let said =
        said.ok_or_else(|| Refusal::bad("UNKNOWN_EXCEPTION", "Unable to parse the request"))?;
    let said = |name: &str| said.get(name).map_or("", String::as_str);
    let wrong = "Invalid username, password, security token; or user locked out.";
    check_password(org, said("username"), said("password"))
        .map_err(|code| Refusal::bad(code, wrong))?;
    let (here, user, organization) = (instance(org, head), schema::me(), organization(org));
    Ok(envelope(
        StatusCode::OK,
        &format!(
            "<loginResponse><result><metadataServerUrl>{here}/services/Soap/m/{version}/{organization}\
             </metadataServerUrl><passwordExpired>{}</passwordExpired><sandbox>false</sandbox>\
             <serverUrl>{here}/services/Soap/u/{version}/{organization}</serverUrl>\
             <sessionId>{}</sessionId><userId>{user}</userId><userInfo>\
             <organizationId>{organization}</organizationId>\
             <sessionSecondsValid>7200</sessionSecondsValid><userName>{USERNAME}</userName>\
             </userInfo></result></loginResponse>",
            org.config.logins.password_expired,
            org.session()
        ),
    ))
}

/// The texts of a SOAP request's elements, by their names.
fn soap_fields(text: &str) -> Option<Form> {
    let (mut reader, mut fields, mut value) = (Reader::from_str(text), Form::new(), String::new());
    loop {
        match reader.read_event().ok()? {
            Event::Start(_) => value.clear(),
            Event::Text(text) => value.push_str(&text.xml10_content()),
            Event::CData(text) => value.push_str(&text.xml10_content()),
            Event::GeneralRef(name) => value.push(resolve(&name)?),
            Event::End(tag) => {
                let name = tag.local_name().as_ref().to_owned();
                fields.entry(name).or_insert_with(|| std::mem::take(&mut value));
            }
            Event::DocType(_) => return None,
            Event::Eof => return Some(fields),
            _ => {}
        }
    }
}

/// Fails with what SOAP calls it.
fn check_password(org: &Org, username: &str, password: &str) -> Result<(), &'static str> {
    match password.strip_prefix(PASSWORD) {
        _ if username != USERNAME => Err("INVALID_LOGIN"),
        Some(SECURITY_TOKEN) => Ok(()),
        Some("") if !org.config.logins.security_token => Ok(()),
        Some("") => Err("LOGIN_MUST_USE_SECURITY_TOKEN"),
        _ => Err("INVALID_LOGIN"),
    }
}

fn field<'a>(form: &'a Form, name: &str) -> &'a str {
    form.get(name).map_or("", String::as_str)
}

fn bad<T>(code: &'static str, message: &str) -> Result<T, Refusal> {
    Err(Refusal::bad(code, message))
}

fn token(
    org: &mut Org,
    now: i64,
    head: &request::Parts,
    form: &Form,
) -> Result<Response<Bytes>, Refusal> {
    let grant = field(form, "grant_type");
    let is_jwt = grant == "urn:ietf:params:oauth:grant-type:jwt-bearer";
    if !is_jwt {
        check_app(form, matches!(grant, "password" | "client_credentials"))?;
    }
    let renews = match grant {
        _ if field(form, "response_type") == "device_code" => return Ok(device_code(org, head)),
        "password" => {
            if check_password(org, field(form, "username"), field(form, "password")).is_err() {
                return bad("invalid_grant", "authentication failure");
            }
            if org.config.logins.password_expired {
                return bad("invalid_grant", "expired password");
            }
            false
        }
        "client_credentials" => false,
        _ if is_jwt => {
            check_assertion(field(form, "assertion"), now / 1000)?;
            false
        }
        "refresh_token" => return refresh(org, now, head, field(form, "refresh_token")),
        "authorization_code" => {
            check_code(&mut org.given, form)?;
            true
        }
        "device" => {
            check_device(&mut org.given, field(form, "code"))?;
            true
        }
        _ => return bad("unsupported_grant_type", "grant type not supported"),
    };
    let new = renews.then(|| next(&mut org.given, "5AepPRACTICE."));
    if let Some(token) = &new {
        keep(&mut org.given.refresh_tokens, token.clone());
    }
    Ok(grants(org, now, head, new))
}

fn grants(org: &Org, now: i64, head: &request::Parts, new: Option<String>) -> Response<Bytes> {
    let mut body = json!({
        "access_token": org.session(),
        "instance_url": instance(org, head),
        "id": format!("https://login.salesforce.com/id/{}/{}", organization(org), schema::me()),
        "token_type": "Bearer",
        "issued_at": now.to_string(),
        "signature": "PRACTICE",
        "scope": "api refresh_token",
    });
    if let Some(token) = new {
        body["refresh_token"] = token.into();
    }
    answer::typed(StatusCode::OK, "application/json;charset=UTF-8", told(&body))
}

/// Another text that nobody has yet.
fn next(given: &mut Given, prefix: &str) -> String {
    given.count += 1;
    format!("{prefix}{}", given.count)
}

fn keep<T>(kept: &mut VecDeque<T>, new: T) {
    kept.push_back(new);
    let surplus = kept.len().saturating_sub(KEPT);
    kept.drain(..surplus);
}

fn check_app(form: &Form, needs_secret: bool) -> Result<(), Refusal> {
    let secret = form.get("client_secret").map(String::as_str);
    if field(form, "client_id") != CLIENT_ID {
        return bad("invalid_client_id", "client identifier invalid");
    }
    match secret {
        Some(CLIENT_SECRET) => Ok(()),
        None if !needs_secret => Ok(()),
        _ => bad("invalid_client", "invalid client credentials"),
    }
}

fn check_assertion(assertion: &str, seconds: i64) -> Result<(), Refusal> {
    let part = |text: &str| URL_SAFE_NO_PAD.decode(text).ok();
    let read = || {
        let (message, signature) = assertion.rsplit_once('.')?;
        let (header, claims) = message.split_once('.')?;
        let header: Value = serde_json::from_slice(&part(header)?).ok()?;
        let claims: Value = serde_json::from_slice(&part(claims)?).ok()?;
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, APP_PUBLIC_KEY);
        let signed = key.verify(message.as_bytes(), &part(signature)?).is_ok();
        (signed && header["alg"] == "RS256").then_some(claims)
    };
    let Some(claims) = read() else { return bad("invalid_grant", "invalid assertion") };
    if claims["iss"] != CLIENT_ID {
        return bad("invalid_client_id", "client identifier invalid");
    }
    if claims["sub"] != USERNAME {
        return bad("invalid_grant", "user hasn't approved this consumer");
    }
    let audience = claims["aud"].as_str().unwrap_or_default();
    let shared = ["https://login.salesforce.com", "https://test.salesforce.com"];
    if !shared.contains(&audience) && !audience.starts_with("http://127.0.0.1") {
        return bad("invalid_grant", "audience is invalid");
    }
    let ends = claims["exp"].as_i64().unwrap_or_default();
    if ends <= seconds || ends > seconds + ASSERTION {
        return bad("invalid_grant", "expired authorization code");
    }
    Ok(())
}

fn refresh(
    org: &mut Org,
    now: i64,
    head: &request::Parts,
    token: &str,
) -> Result<Response<Bytes>, Refusal> {
    let Some(at) = org.given.refresh_tokens.iter().position(|known| known == token) else {
        return bad("invalid_grant", "expired access/refresh token");
    };
    let new = org.config.logins.rotation.then(|| {
        let new = next(&mut org.given, "5AepPRACTICE.");
        org.given.refresh_tokens[at].clone_from(&new);
        new
    });
    Ok(grants(org, now, head, new))
}

/// Nobody is asked: the practice user is sent back at once, with a code.
fn authorize(org: &mut Org, form: &Form) -> Result<Response<Bytes>, Refusal> {
    check_app(form, false)?;
    if field(form, "response_type") != "code" {
        return bad("unsupported_response_type", "response type not supported");
    }
    if !field(form, "redirect_uri").starts_with("http://localhost") {
        return bad("redirect_uri_mismatch", "redirect_uri must match configuration");
    }
    if field(form, "code_challenge_method") != "S256" {
        return bad("invalid_request", "code_challenge_method must be S256");
    }
    let code = next(&mut org.given, "aPrxPRACTICE.");
    let challenge = field(form, "code_challenge").to_owned();
    keep(&mut org.given.codes, (code.clone(), challenge));
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("code", &code)
        .append_pair("state", field(form, "state"))
        .finish();
    let mut response = answer::typed(StatusCode::FOUND, "text/html", Bytes::new());
    let location = format!("{}?{query}", field(form, "redirect_uri"));
    match HeaderValue::try_from(location) {
        Ok(location) => response.headers_mut().insert(LOCATION, location),
        Err(_) => return bad("redirect_uri_mismatch", "redirect_uri must match configuration"),
    };
    Ok(response)
}

/// A code is good once, and only for whoever knows what its challenge was made of.
fn check_code(given: &mut Given, form: &Form) -> Result<(), Refusal> {
    let code = field(form, "code");
    let Some(at) = given.codes.iter().position(|(known, _)| known == code) else {
        return bad("invalid_grant", "expired authorization code");
    };
    let challenge = given.codes.remove(at).map(|(_, challenge)| challenge);
    let verifier = digest(&SHA256, field(form, "code_verifier").as_bytes());
    if challenge != Some(URL_SAFE_NO_PAD.encode(verifier)) {
        return bad("invalid_grant", "invalid code verifier");
    }
    Ok(())
}

fn device_code(org: &mut Org, head: &request::Parts) -> Response<Bytes> {
    let code = next(&mut org.given, "PRACTICE.device.");
    keep(&mut org.given.devices, (code.clone(), org.config.logins.device_polls));
    let body = json!({
        "device_code": code,
        "user_code": "PRACTICE",
        "verification_uri": format!("{}/connect", instance(org, head)),
        "interval": 1,
    });
    answer::typed(StatusCode::OK, "application/json;charset=UTF-8", told(&body))
}

fn check_device(given: &mut Given, code: &str) -> Result<(), Refusal> {
    let Some(at) = given.devices.iter().position(|(known, _)| known == code) else {
        return bad("invalid_grant", "invalid device code");
    };
    match &mut given.devices[at].1 {
        0 => {
            given.devices.remove(at);
            Ok(())
        }
        &mut Logins::NEVER => bad("access_denied", "end-user denied authorization"),
        polls => {
            *polls -= 1;
            bad("authorization_pending", "user has not yet authorized")
        }
    }
}

/// Ends the session, or forgets a refresh token.
fn revoke(org: &mut Org, form: &Form) -> Result<Response<Bytes>, Refusal> {
    let token = field(form, "token");
    let before = org.given.refresh_tokens.len();
    org.given.refresh_tokens.retain(|known| known != token);
    if token == org.session() {
        org.expire_session();
    } else if org.given.refresh_tokens.len() == before {
        return bad("invalid_token", "invalid token");
    }
    Ok(answer::typed(StatusCode::OK, "text/html", Bytes::new()))
}
