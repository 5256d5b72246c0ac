//! Every login over real sockets, by both executors: against the practice org, and against a server
//! that answers what no org should.

use std::io::{Cursor, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use futures_lite::StreamExt;
use futures_lite::future::block_on;
use sfbulk::login::{App, Authorization, Login, LoginServer, Refusal};
use sfbulk::{Error, ErrorKind, Session};
use sfbulk_login::{Key, pkce};
use sfbulk_org::login::{
    APP_KEY, CLIENT_ID, CLIENT_SECRET, Logins, PASSWORD, SECURITY_TOKEN, USERNAME,
};
use sfbulk_org::{Call, Config, Fault, Org, Server, serve};

/// Logs in, and loads with what it got.
type Load = fn(Login) -> Result<(), Error>;

const EXECUTORS: [(&str, Load); 2] = [("ureq", load_by_ureq), ("async-std", load_by_async_std)];

/// A login at the org of this address.
type Flow = fn(&str) -> Login;

const ROWS: &str = "Name\none\ntwo\n";

fn load_by_ureq(login: Login) -> Result<(), Error> {
    let org = sfbulk_ureq::Client::logging_in(login);
    let mut outcomes = org.insert("Account").csv(Cursor::new(ROWS))?;
    outcomes.try_for_each(|outcome| outcome.map(|outcome| assert!(outcome.success())))
}

fn load_by_async_std(login: Login) -> Result<(), Error> {
    let org = sfbulk_async_std::Client::logging_in(login);
    block_on(async {
        let mut outcomes = org.insert("Account").csv(futures_lite::io::Cursor::new(ROWS))?;
        while let Some(outcome) = outcomes.next().await {
            assert!(outcome?.success());
        }
        Ok(())
    })
}

fn org_with(logins: Logins) -> Server {
    let config = Config::new().latency(Duration::from_millis(5)).logins(logins);
    // Assertions say when they end, so the org must live today.
    let today = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    serve(Org::in_memory_with(config.epoch(today)).unwrap(), 0).unwrap()
}

fn at(url: &str) -> LoginServer {
    LoginServer::at(url).unwrap()
}

fn app() -> App {
    App::with_secret(CLIENT_ID, CLIENT_SECRET)
}

fn password(url: &str) -> Login {
    Login::password(at(url), app(), USERNAME, PASSWORD)
}

fn soap(url: &str) -> Login {
    Login::soap(at(url), USERNAME, PASSWORD)
}

fn credentials(url: &str) -> Login {
    Login::client_credentials(at(url), app()).unwrap()
}

fn jwt(url: &str) -> Login {
    jwt_of(url, USERNAME)
}

fn jwt_of(url: &str, username: &str) -> Login {
    Login::jwt_bearer(at(url), CLIENT_ID, username, Key::from_pem(APP_KEY.as_bytes()).unwrap())
}

/// Plays the browser, too: the practice org asks nobody.
fn web(url: &str) -> Login {
    let callback = "http://localhost:1717/OauthRedirect";
    let scope = "api refresh_token";
    let asked = Authorization::new(at(url), App::new(CLIENT_ID), callback, scope, pkce().unwrap());
    asked.login(&sent_to(&asked.url())).unwrap()
}

/// Where a page sends the browser.
fn sent_to(page: &str) -> String {
    let (host, path) = page.trim_start_matches("http://").split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let location = answer.lines().find_map(|line| line.strip_prefix("location: "));
    location.unwrap_or_else(|| panic!("{answer}")).to_owned()
}

fn device(url: &str) -> Login {
    let page = format!("{url}/connect");
    Login::device(at(url), App::new(CLIENT_ID), "api refresh_token", move |shown| {
        assert_eq!((shown.code.as_str(), &shown.address), ("PRACTICE", &page));
    })
}

#[test]
fn each_flow_gets_a_session_that_loads() {
    let org = org_with(Logins { device_polls: 1, ..Logins::default() });
    let flows: [(&str, Flow); 6] = [
        ("SOAP", soap),
        ("username-password", password),
        ("client credentials", credentials),
        ("JWT bearer", jwt),
        ("web server", web),
        ("device", device),
    ];
    for (executor, load) in EXECUTORS {
        for (flow, login) in flows {
            load(login(&org.url())).unwrap_or_else(|error| panic!("{flow}, {executor}: {error}"));
        }
    }
}

#[test]
fn a_login_renews_a_session_that_has_expired() {
    let flows: [Flow; 5] = [soap, password, credentials, jwt, web];
    for (_, load) in EXECUTORS {
        for login in flows {
            let org = org_with(Logins::default());
            let login = login(&org.url());
            let before = org.session();
            org.fault(Fault::ExpireSession { request: 4 });
            load(login).unwrap();
            assert_ne!(org.session(), before);
        }
    }
}

#[test]
fn a_rotated_refresh_token_reaches_the_application() {
    for (_, load) in EXECUTORS {
        let org = org_with(Logins { rotation: true, ..Logins::default() });
        let kept = Arc::new(Mutex::new(Vec::new()));
        let keep = Arc::clone(&kept);
        let login = web(&org.url()).on_refresh_token(move |token| {
            keep.lock().unwrap().push(token.reveal().to_owned());
            Ok(())
        });
        org.fault(Fault::ExpireSession { request: 4 });
        load(login).unwrap();
        let kept = kept.lock().unwrap().clone();
        assert_eq!(kept.len(), 2, "one of the code, one of the first");
        let again = |token: &str| Login::refresh_token(at(&org.url()), App::new(CLIENT_ID), token);
        let error = load(again(&kept[0])).unwrap_err();
        assert_eq!(Refusal::of(&error), Some(Refusal::InvalidGrant), "the first is spent: {error}");
        load(again(&kept[1])).unwrap();
    }
}

/// What must come of a login at an org with these settings.
type Case = (&'static str, Logins, Flow, Refusal, &'static str);

fn cases() -> Vec<Case> {
    let usual = Logins::default;
    let strict = || Logins { security_token: true, ..usual() };
    let expired = || Logins { password_expired: true, ..usual() };
    vec![
        (
            "a wrong password by SOAP",
            usual(),
            |url| Login::soap(at(url), USERNAME, "CANARY"),
            Refusal::InvalidLogin,
            "locked out",
        ),
        ("no security token", strict(), soap, Refusal::SecurityTokenNeeded, "append"),
        (
            "an expired password in a good answer",
            expired(),
            soap,
            Refusal::PasswordExpired,
            "browser",
        ),
        (
            "a wrong password",
            usual(),
            |url| Login::password(at(url), app(), USERNAME, "CANARY"),
            Refusal::InvalidGrant,
            "security token",
        ),
        ("an expired password", expired(), password, Refusal::InvalidGrant, "set a new password"),
        (
            "a wrong secret",
            usual(),
            |url| {
                Login::client_credentials(at(url), App::with_secret(CLIENT_ID, "CANARY")).unwrap()
            },
            Refusal::InvalidClient,
            "consumer key and secret",
        ),
        (
            "another app",
            usual(),
            |url| Login::refresh_token(at(url), App::new("other"), "CANARY"),
            Refusal::InvalidClient,
            "consumer key",
        ),
        (
            "a user who did not approve",
            usual(),
            |url| jwt_of(url, "bob@example.com"),
            Refusal::InvalidGrant,
            "approve the app",
        ),
        (
            "a spent refresh token",
            usual(),
            |url| Login::refresh_token(at(url), App::new(CLIENT_ID), "CANARY"),
            Refusal::InvalidGrant,
            "authorize again",
        ),
        (
            "a device that is denied",
            Logins { device_polls: Logins::NEVER, ..usual() },
            device,
            Refusal::AccessDenied,
            "denied",
        ),
    ]
}

#[test]
fn each_error_is_told_with_what_to_do() {
    for (what, logins, login, refusal, advice) in cases() {
        let org = org_with(logins);
        for (executor, load) in EXECUTORS {
            let error = load(login(&org.url())).expect_err(what);
            assert_eq!(Refusal::of(&error), Some(refusal), "{what}, {executor}: {error}");
            assert_eq!(error.kind(), ErrorKind::Login, "{what}, {executor}: {error}");
            let told = format!("{error} {error:?}");
            assert!(told.contains(advice), "{what}, {executor}: {error}");
            assert!(!told.contains("CANARY"), "{what}, {executor}: {error}");
        }
    }
    let strict = org_with(Logins { security_token: true, ..Logins::default() });
    let whole = format!("{PASSWORD}{SECURITY_TOKEN}");
    load_by_ureq(Login::soap(at(&strict.url()), USERNAME, whole)).unwrap();
}

#[test]
fn a_refusal_the_org_is_told_to_make_is_told_by_its_code() {
    for code in ["LOGIN_RATE_EXCEEDED", "ORG_LOCKED", "API_DISABLED_FOR_ORG", "SOMETHING_NEW"] {
        for (executor, load) in EXECUTORS {
            for login in [soap, password] {
                let org = org_with(Logins::default());
                org.fault(Fault::Refuse { call: Call::Login, nth: 1, code: code.into() });
                let error = load(login(&org.url())).unwrap_err();
                assert_eq!(error.code(), Some(code), "{executor}: {error}");
            }
        }
    }
}

#[test]
fn an_answer_that_names_another_host_is_refused() {
    for (executor, load) in EXECUTORS {
        for login in [soap, password] {
            let instance = Some("https://acme.my.salesforce.com.evil.example".into());
            let org = org_with(Logins { instance, ..Logins::default() });
            let error = load(login(&org.url())).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Login, "{executor}: {error}");
            assert!(error.to_string().contains("evil.example"), "{executor}: {error}");
            assert!(!error.to_string().contains("PRACTICE"), "{executor}: {error}");
        }
    }
}

/// A server that gives these answers, one after the other, the last one again and again, and keeps
/// what it was asked.
struct Scripted {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Scripted {
    fn new(answers: &[(u16, &str, String)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (keep, here) = (Arc::clone(&asked), url.clone());
        let answers: Vec<String> = answers
            .iter()
            .map(|(status, header, body)| {
                let body = body.replace("HERE", &here);
                let length = body.len();
                format!(
                    "HTTP/1.1 {status} x\r\n{header}Content-Length: {length}\r\n\
                     Connection: close\r\n\r\n{body}"
                )
            })
            .collect();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let request = request(&mut stream);
                let at = keep.lock().unwrap().len().min(answers.len() - 1);
                keep.lock().unwrap().push(request);
                thread::sleep(Duration::from_millis(50)); // so that others come meanwhile
                stream.write_all(answers[at].as_bytes()).ok();
            }
        });
        Self { url, asked }
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

/// Reads a whole request.
fn request(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    let mut piece = [0; 4096];
    loop {
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().unwrap())
            });
            if body.len() >= length.unwrap_or(0) {
                return text;
            }
        }
        let read = stream.read(&mut piece).unwrap();
        assert_ne!(read, 0, "{text}");
        text.push_str(std::str::from_utf8(&piece[..read]).unwrap());
    }
}

fn good() -> String {
    r#"{"access_token":"00D!TOKEN","instance_url":"HERE"}"#.into()
}

type Sessions = Box<dyn Fn(Option<&Session>) -> Result<Session, Error> + Send + Sync>;

/// The sessions of a login, by each executor.
fn by_each(login: impl Fn() -> Login) -> [(&'static str, Sessions); 2] {
    let ureq = sfbulk_ureq::Client::logging_in(login());
    let async_std = sfbulk_async_std::Client::logging_in(login());
    [
        ("ureq", Box::new(move |expired| ureq.session(expired))),
        ("async-std", Box::new(move |expired| block_on(async_std.session(expired.cloned())))),
    ]
}

#[test]
fn many_who_need_a_session_cause_one_login() {
    let server = Scripted::new(&[(200, "", good())]);
    for (n, (executor, session)) in by_each(|| password(&server.url)).into_iter().enumerate() {
        let all = |expired: Option<&Session>| {
            thread::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| session(expired).unwrap());
                }
            });
        };
        all(None);
        assert_eq!(server.asked(), 2 * n + 1, "{executor}");
        let expired = session(None).unwrap();
        assert!(session(Some(&expired)).is_ok());
        assert_eq!(server.asked(), 2 * n + 2, "{executor}: once it has expired, and not before");
    }
}

#[test]
fn a_login_that_was_refused_for_good_is_not_sent_again() {
    let refusal = r#"{"error":"invalid_grant","error_description":"authentication failure"}"#;
    let server = Scripted::new(&[(400, "", refusal.into())]);
    for (n, (executor, session)) in by_each(|| password(&server.url)).into_iter().enumerate() {
        for _ in 0..3 {
            let error = session(None).unwrap_err();
            assert_eq!(Refusal::of(&error), Some(Refusal::InvalidGrant), "{executor}: {error}");
        }
        assert_eq!(server.asked(), n + 1, "{executor}: one request, or the user is locked out");
    }
}

#[test]
fn a_redirect_takes_no_password_anywhere() {
    let elsewhere = Scripted::new(&[(200, "", good())]);
    let to = format!("Location: {}/services/oauth2/token\r\n", elsewhere.url);
    let server = Scripted::new(&[(307, &to, String::new())]);
    for (executor, session) in by_each(|| password(&server.url)) {
        let error = session(None).unwrap_err();
        assert!(error.to_string().contains("the login host is another one"), "{executor}: {error}");
    }
    assert_eq!(elsewhere.asked(), 0);
}

#[test]
fn a_login_that_meets_a_failing_server_is_tried_again() {
    for (executor, index) in [("ureq", 0), ("async-std", 1)] {
        let page = "<html><title>Down for maintenance</title></html>".to_owned();
        let server = Scripted::new(&[(503, "", page), (200, "", good())]);
        let session = &by_each(|| password(&server.url))[index].1;
        session(None).unwrap();
        assert_eq!(server.asked(), 2, "{executor}");
    }
}

#[test]
fn odd_answers_are_no_sessions_and_are_not_repeated() {
    for (body, words) in [
        ("", "no JSON with access_token"),
        ("<html>login</html>", "no JSON with access_token"),
        (r#"{"access_token":"00D!CANARY"}"#, "no JSON with access_token"),
        (r#"{"access_token":"00D!CANARY","instance_url":"x"}"#, "names no org's address"),
        (r#"{"access_token":"00D!CANARY\r\nX: y","instance_url":"HERE"}"#, "a line break"),
        (r#"{"access_token":"CANARY","access_token":"b","instance_url":"HERE"}"#, "no JSON with"),
    ] {
        let server = Scripted::new(&[(200, "Content-Type: application/json\r\n", body.into())]);
        for (executor, session) in by_each(|| password(&server.url)) {
            let error = session(None).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Login, "{executor}: {error}");
            assert!(error.to_string().contains(words), "{executor}: {error}");
            assert!(!format!("{error:?}").contains("CANARY"), "{executor}: {error}");
        }
    }
}
