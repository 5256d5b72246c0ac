//! The machine against answers written by hand; over sockets, see the tests' `login`.

#![allow(clippy::disallowed_types)] // a test looks on while the machine keeps a token

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use http::{Response, StatusCode};

use super::*;
use crate::session::Session;

const ORG: &str = "https://acme.my.salesforce.com";
const GOOD: &str =
    r#"{"access_token":"00D!TOKEN","instance_url":"https://acme.my.salesforce.com"}"#;

fn server() -> LoginServer {
    LoginServer::at(ORG).unwrap()
}

fn app() -> App {
    App::with_secret("id", "CANARY&1")
}

fn password() -> Login {
    Login::password(server(), app(), "ada@example.com", "CANARY+2")
}

fn answer(status: u16, body: &str) -> Reply {
    let mut response = Response::new(bytes::Bytes::from(body.to_owned()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    Reply::Whole(response)
}

/// The body of the next request.
fn asked(login: &mut Login) -> String {
    match login.poll(Duration::from_secs(1_000)) {
        LoginStep::Send(call) => {
            assert!(!format!("{call:?}").contains("CANARY"));
            String::from_utf8(call.request.body().to_vec()).unwrap()
        }
        other => panic!("{other:?}"),
    }
}

fn waits(login: &mut Login) -> u64 {
    match login.poll(Duration::ZERO) {
        LoginStep::Wait(time) => time.as_secs(),
        other => panic!("{other:?}"),
    }
}

fn done(login: &mut Login) -> Result<Session, Error> {
    match login.poll(Duration::ZERO) {
        LoginStep::Done(result) => result,
        other => panic!("{other:?}"),
    }
}

/// One request, one answer, and the end.
fn told(login: &mut Login, status: u16, body: &str) -> Result<Session, Error> {
    asked(login);
    login.reply(answer(status, body));
    done(login)
}

struct Key;

impl Sign for Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        assert!(message.starts_with(b"eyJhbGciOiJSUzI1NiJ9."));
        Ok(vec![0xff; 3])
    }
}

#[test]
fn each_flow_asks_as_documented() {
    let asks = |mut login: Login| asked(&mut login);
    assert_eq!(
        asks(password()),
        "grant_type=password&client_id=id&client_secret=CANARY%261&username=ada%40example.com\
         &password=CANARY%2B2"
    );
    assert_eq!(
        asks(Login::client_credentials(server(), app()).unwrap()),
        "grant_type=client_credentials&client_id=id&client_secret=CANARY%261"
    );
    assert_eq!(
        asks(Login::refresh_token(server(), App::new("id"), "CANARY")),
        "grant_type=refresh_token&client_id=id&refresh_token=CANARY"
    );
    // {"aud":"https://login.salesforce.com","exp":1150,"iss":"id","sub":"ada@example.com"}
    assert_eq!(
        asks(Login::jwt_bearer(server(), "id", "ada@example.com", Key)),
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=\
         eyJhbGciOiJSUzI1NiJ9.\
         eyJhdWQiOiJodHRwczovL2xvZ2luLnNhbGVzZm9yY2UuY29tIiwiZXhwIjoxMTUwLCJpc3MiOiJpZCIsInN1YiI6\
         ImFkYUBleGFtcGxlLmNvbSJ9.____"
    );
    let soap = asks(Login::soap(server(), "a<b@example.com", "x&\"CANARY"));
    assert!(soap.contains("<urn:username>a&lt;b@example.com</urn:username>"), "{soap}");
    assert!(soap.contains("<urn:password>x&amp;&quot;CANARY</urn:password>"), "{soap}");
}

#[test]
fn a_moment_at_the_end_of_time_is_one() {
    let mut login = Login::jwt_bearer(server(), "id", "ada@example.com", Key);
    assert!(matches!(login.poll(Duration::MAX), LoginStep::Send(_)));
}

#[test]
fn client_credentials_are_for_my_domain_and_a_secret() {
    for (server, app) in [
        (LoginServer::production(), app()),
        (LoginServer::sandbox(), app()),
        (server(), App::new("id")),
    ] {
        assert_eq!(Login::client_credentials(server, app).unwrap_err().kind(), ErrorKind::Usage);
    }
}

#[test]
fn a_session_is_renewed_only_once_it_has_expired() {
    let mut login = password();
    let first = told(&mut login, 200, GOOD).unwrap();
    login.begin(None);
    assert!(done(&mut login).unwrap().is(&first));
    login.begin(Some(&first));
    let second = told(&mut login, 200, &GOOD.replace("TOKEN", "TOKEN2")).unwrap();
    assert!(!second.is(&first));
    login.begin(Some(&first)); // somebody else's was the first, too
    assert!(done(&mut login).unwrap().is(&second));
}

#[test]
fn what_was_refused_for_good_is_not_tried_again() {
    let mut login = password();
    let refusal = r#"{"error":"invalid_grant","error_description":"authentication failure"}"#;
    for _ in 0..2 {
        let error = match login.poll(Duration::ZERO) {
            LoginStep::Send(_) => {
                login.reply(answer(400, refusal));
                done(&mut login).unwrap_err()
            }
            LoginStep::Done(result) => result.unwrap_err(),
            LoginStep::Wait(_) => panic!("nothing to wait for"),
        };
        assert_eq!(Refusal::of(&error), Some(Refusal::InvalidGrant));
        login.begin(None);
        assert!(matches!(login.poll(Duration::ZERO), LoginStep::Done(Err(_))));
    }
    let mut login = password();
    told(&mut login, 429, r#"{"error":"rate_limit_exceeded"}"#).unwrap_err();
    login.begin(None);
    told(&mut login, 200, GOOD).unwrap();
}

/// An envelope with this in it.
fn envelope(body: &str) -> String {
    format!("<e:Envelope xmlns:e=\"x\"><e:Body>{body}</e:Body></e:Envelope>")
}

#[test]
fn a_refusal_is_one_whatever_its_status_and_form() {
    let fault = envelope("<e:Fault><faultcode>sf:INVALID_LOGIN</faultcode></e:Fault>");
    let newer = envelope("<e:Fault><e:Code><e:Value>e:Sender</e:Value></e:Code></e:Fault>");
    let twice = "<e:Fault><faultcode>INVALID_LOGIN</faultcode><faultcode>x</faultcode></e:Fault>";
    let page = "<html><title>wrong password</title></html>";
    let soap = || Login::soap(server(), "ada@example.com", "CANARY");
    for (mut login, status, body, code) in [
        (password(), 200, r#"{"error":"invalid_grant"}"#, Some("invalid_grant")),
        (soap(), 200, &fault, Some("INVALID_LOGIN")),
        (soap(), 500, &newer, None),
        (soap(), 500, &envelope(twice), None),
        (soap(), 500, &envelope("<e:Fault/>"), None),
        (soap(), 500, &fault[..80], None),
        (password(), 400, page, None),
        (password(), 401, page, None),
        (password(), 403, page, None),
    ] {
        let error = told(&mut login, status, body).unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Login, code), "{status} {body}");
        login.begin(None);
        done(&mut login).expect_err("the password is sent once");
    }
}

#[test]
fn what_a_failing_server_says_is_not_for_good() {
    for (mut login, body) in [
        (password(), r#"{"error":"temporarily_unavailable"}"#),
        (Login::soap(server(), "ada@example.com", "CANARY"), "<html><title>Down</title></html>"),
    ] {
        for _ in 1..TRIES {
            asked(&mut login);
            login.reply(answer(503, body));
            waits(&mut login);
        }
        let error = told(&mut login, 503, body).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unreachable);
        login.begin(None);
        asked(&mut login);
    }
}

#[test]
fn a_server_that_fails_is_asked_for_half_a_minute() {
    let mut login = password();
    let mut waited = Vec::new();
    for round in 0..5 {
        asked(&mut login);
        login.reply(match round {
            0 => Reply::Failed(Failure::Lost("reset".into())),
            1 => answer(500, "<Envelope><Body><Fault><faultcode>sf:SERVER_UNAVAILABLE</faultcode></Fault></Body></Envelope>"),
            2 => answer(500, r#"{"error":"unknown_error"}"#),
            _ => answer(503, "<html><title>Down</title></html>"),
        });
        waited.push(waits(&mut login));
    }
    assert_eq!(waited, [1, 2, 4, 8, 16]);
    asked(&mut login);
    login.reply(answer(503, ""));
    assert_eq!(done(&mut login).unwrap_err().kind(), ErrorKind::Unreachable);
    login.begin(None);
    told(&mut login, 200, GOOD).unwrap();
}

#[test]
fn a_server_that_asks_for_time_is_given_it_within_bounds() {
    let mut login = password();
    for (asks, waited) in [("7", 7), ("0", 2), ("86400", 60), ("soon", 8)] {
        asked(&mut login);
        let response = Response::builder().status(503).header("retry-after", asks);
        login.reply(Reply::Whole(response.body(bytes::Bytes::new()).unwrap()));
        assert_eq!(waits(&mut login), waited, "{asks}");
    }
}

#[test]
fn an_answer_that_names_a_foreign_host_is_refused_and_gets_no_second_look() {
    let mut login = password();
    let evil = GOOD.replace("acme.my.salesforce.com", "salesforce.com.evil.example");
    let error = told(&mut login, 200, &evil).unwrap_err();
    assert!(error.to_string().contains("https://salesforce.com.evil.example"), "{error}");
    login.begin(None);
    assert_eq!(done(&mut login).unwrap_err().kind(), ErrorKind::Login);
}

#[test]
fn no_error_repeats_a_secret() {
    let bodies = [
        r#"{"error":"odd","error_description":"bad CANARY+2, CANARY%2B2, CANARY&1"}"#,
        r#"{"access_token":"CANARY!","refresh_token":"CANARY"}"#,
        r#"{"access_token":"CANARY x","instance_url":"https://acme.my.salesforce.com"}"#,
        r#"{"access_token":"CANARY","instance_url":"https://CANARY+2@evil.example"}"#,
        "<Envelope><Body><loginResponse><result><sessionId>CANARY</sessionId></result>",
        "CANARY+2",
    ];
    for body in bodies {
        for status in [200, 302, 400, 500] {
            for mut login in [password(), Login::soap(server(), "ada@example.com", "CANARY+2")] {
                let sent = asked(&mut login);
                let body = if sent.contains("%261") { body } else { &body.replace("&1", "+2") };
                login.reply(answer(status, body));
                if let LoginStep::Done(result) = login.poll(Duration::ZERO) {
                    let error = result.unwrap_err();
                    let told = format!("{error} {error:?} {login:?}");
                    assert!(!told.contains("CANARY"), "{status} {told}");
                }
            }
        }
    }
}

#[test]
fn no_error_repeats_a_secret_that_its_end_cuts() {
    for before in [2_030, 2_040, 2_044, 2_046] {
        let said = format!("{}CANARY+2 {}", "x".repeat(before), "y".repeat(100));
        let body = format!(r#"{{"error":"odd","error_description":"{said}"}}"#);
        let error = told(&mut password(), 400, &body).unwrap_err();
        assert!(!error.to_string().contains("xC"), "{error}");
    }
}

#[test]
fn a_new_refresh_token_is_kept_before_the_session_is_given_out() {
    let with = |token: &str| GOOD.replace('}', &format!(r#","refresh_token":"{token}"}}"#));
    let mut login = Login::refresh_token(server(), App::new("id"), "first")
        .on_refresh_token(|token| Err(Error::new(ErrorKind::Local, token.reveal())));
    let session = told(&mut login, 200, &with("first")).expect("the same token is no news");
    login.begin(Some(&session));
    let error = told(&mut login, 200, &with("second")).unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Local, "second"));

    let kept = Arc::new(Mutex::new(Vec::new()));
    let (keep, full) = (Arc::clone(&kept), AtomicBool::new(true));
    let mut login =
        Login::refresh_token(server(), App::new("id"), "first").on_refresh_token(move |token| {
            if full.swap(false, Ordering::Relaxed) {
                return Err(Error::new(ErrorKind::Local, "the disk is full"));
            }
            keep.lock().unwrap().push(token.reveal().to_owned());
            Ok(())
        });
    told(&mut login, 200, &with("second")).unwrap_err();
    login.begin(None);
    assert!(asked(&mut login).ends_with("refresh_token=second"), "the session is not given out");
    login.reply(answer(200, GOOD));
    done(&mut login).unwrap();
    assert_eq!(*kept.lock().unwrap(), ["second"], "it is stored again, though none came anew");

    let keep = Arc::clone(&kept);
    let mut login =
        Login::refresh_token(server(), App::new("id"), "first").on_refresh_token(move |token| {
            keep.lock().unwrap().push(token.reveal().to_owned());
            Ok(())
        });
    told(&mut login, 200, &with("third").replace("acme", "acme.evil/")).unwrap_err();
    assert_eq!(kept.lock().unwrap().last().unwrap(), "third", "a foreign host spends no token");

    let mut login = Login::refresh_token(server(), App::new("id"), "first");
    let session = told(&mut login, 200, &with("second")).unwrap();
    login.begin(Some(&session));
    assert!(asked(&mut login).ends_with("refresh_token=second"));
}

#[test]
fn a_code_is_exchanged_once_and_renewed_by_the_refresh_token() {
    let state = "s".repeat(16);
    let pkce = Pkce::new("v".repeat(43), state.as_str(), |_| [0; 32]).unwrap();
    let asks = Authorization::new(server(), App::new("id"), "http://localhost:1/cb", "api", pkce);
    let mut login = asks.login(&format!("code=aPrx&state={state}")).unwrap();
    assert_eq!(
        asked(&mut login),
        format!(
            "grant_type=authorization_code&client_id=id&redirect_uri=http%3A%2F%2Flocalhost%3A1%2Fcb\
             &code=aPrx&code_verifier={}",
            "v".repeat(43)
        )
    );
    login.reply(answer(200, &GOOD.replace('}', r#","refresh_token":"5Aep"}"#)));
    let session = done(&mut login).unwrap();
    login.begin(Some(&session));
    assert!(asked(&mut login).ends_with("refresh_token=5Aep"));

    let mut login = asks.login(&format!("code=aPrx&state={state}")).unwrap();
    let session = told(&mut login, 200, GOOD).unwrap();
    login.begin(Some(&session));
    assert!(done(&mut login).unwrap_err().to_string().contains("refresh_token"));
}

const CODE: &str = r#"{"device_code":"CANARY","user_code":"AB12","interval":5,"expires_in":30,
    "verification_uri":"https://acme.my.salesforce.com/connect"}"#;

fn device() -> Login {
    Login::device(server(), App::new("id"), "api", |shown| assert_eq!(shown.code, "AB12"))
}

fn refused_with(code: &str) -> Reply {
    answer(400, &format!(r#"{{"error":"{code}","error_description":"CANARY"}}"#))
}

#[test]
fn a_device_waits_as_it_is_told() {
    let mut login = device();
    assert_eq!(asked(&mut login), "response_type=device_code&client_id=id&scope=api");
    login.reply(answer(200, CODE));
    assert_eq!(waits(&mut login), 5);
    assert_eq!(asked(&mut login), "grant_type=device&client_id=id&code=CANARY");
    login.reply(refused_with("authorization_pending"));
    assert_eq!(waits(&mut login), 5);
    asked(&mut login);
    login.reply(refused_with("slow_down"));
    assert_eq!(waits(&mut login), 10);
    told(&mut login, 200, GOOD).unwrap();
}

#[test]
fn a_device_gives_up_when_it_is_denied_or_nobody_comes() {
    let begun = || {
        let mut login = device();
        asked(&mut login);
        login.reply(answer(200, CODE));
        waits(&mut login);
        login
    };
    let mut login = begun();
    asked(&mut login);
    login.reply(refused_with("access_denied"));
    let error = done(&mut login).unwrap_err();
    assert_eq!(Refusal::of(&error), Some(Refusal::AccessDenied));
    assert!(!error.to_string().contains("CANARY"), "{error}");

    let mut login = begun();
    asked(&mut login);
    login.reply(refused_with("expired_token"));
    assert_eq!(Refusal::of(&done(&mut login).unwrap_err()), Some(Refusal::CodeExpired));
    login.begin(None);
    assert!(asked(&mut login).contains("device_code"), "a new code");

    let mut login = begun();
    let rounds = (0..100).position(|_| {
        asked(&mut login);
        login.reply(refused_with("authorization_pending"));
        matches!(login.poll(Duration::ZERO), LoginStep::Done(Err(_)))
    });
    assert_eq!(rounds, Some(6), "30 s of 5");

    let mut login = device();
    asked(&mut login);
    login.reply(answer(200, CODE));
    waits(&mut login);
    let error = told(&mut login, 200, CODE).expect_err("one code is all that is shown");
    assert_eq!(error.kind(), ErrorKind::Login);

    let mut login = device();
    asked(&mut login);
    login.reply(answer(200, &CODE.replace("acme.my", "evil.example/")));
    assert!(done(&mut login).is_err(), "nobody is sent to a page of somebody else's");
}

const SOAP: &str = "<?xml version=\"1.0\"?><soapenv:Envelope xmlns:soapenv=\"x\"><soapenv:Body>\
    <loginResponse><result><passwordExpired>false</passwordExpired>\
    <serverUrl>https://na9-api.salesforce.com/services/Soap/u/64.0/00D</serverUrl>\
    <sessionId>00D!TOKEN</sessionId></result></loginResponse></soapenv:Body></soapenv:Envelope>";

#[test]
fn a_soap_login_gives_the_session_and_the_org() {
    let soap = || Login::soap(server(), "ada@example.com", "CANARY");
    let session = told(&mut soap(), 200, SOAP).unwrap();
    assert_eq!(session.instance(), "https://na9-api.salesforce.com");
    assert_eq!(session.header(), "00D!TOKEN");

    let expired = SOAP.replace("false", "true");
    let error = told(&mut soap(), 200, &expired).unwrap_err();
    assert_eq!(Refusal::of(&error), Some(Refusal::PasswordExpired));
    assert!(!error.to_string().contains("TOKEN"), "{error}");

    let fault = "<Envelope><Body><Fault><faultcode>sf:INVALID_LOGIN</faultcode><faultstring>\
                 INVALID_LOGIN: Invalid username</faultstring></Fault></Body></Envelope>";
    let error = told(&mut soap(), 500, fault).unwrap_err();
    assert_eq!(Refusal::of(&error), Some(Refusal::InvalidLogin));
    assert!(told(&mut soap(), 200, "<!DOCTYPE a><a/>").is_err());
}
