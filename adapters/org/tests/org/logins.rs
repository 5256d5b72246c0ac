//! The login endpoints, as any client sees them; `tests/login` plays whole flows.

use bytes::Bytes;
use http::Request;
use sfbulk::Time;
use sfbulk_org::Org;
use sfbulk_org::login::{CLIENT_ID, CLIENT_SECRET, PASSWORD, USERNAME};

/// Status and body of an answer to a form.
fn post(org: &mut Org, path: &str, form: &[(&str, &str)]) -> (u16, String) {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    send(org, Request::post(path).header("Host", "localhost:1").body(body.into()).unwrap())
}

fn send(org: &mut Org, request: Request<Bytes>) -> (u16, String) {
    let answer = org.handle(Time::ZERO, request);
    (answer.status().as_u16(), String::from_utf8(answer.body().to_vec()).unwrap())
}

const TOKEN: &str = "/services/oauth2/token";

fn code(org: &mut Org) -> String {
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("response_type", "code")
        .append_pair("client_id", CLIENT_ID)
        .append_pair("redirect_uri", "http://localhost:1717/cb")
        .append_pair("state", "a b")
        .append_pair("code_challenge", "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU") // of ""
        .append_pair("code_challenge_method", "S256")
        .finish();
    let request = Request::get(format!("/services/oauth2/authorize?{query}"));
    let answer = org.handle(Time::ZERO, request.body(Bytes::new()).unwrap());
    let to = answer.headers()["location"].to_str().unwrap();
    let query = to.strip_prefix("http://localhost:1717/cb?").unwrap();
    assert!(query.ends_with("&state=a+b"), "{to}");
    query.split(['=', '&']).nth(1).unwrap().to_owned()
}

#[test]
fn a_token_is_answered_as_the_service_does() {
    let mut org = Org::in_memory().unwrap();
    let form = [
        ("grant_type", "password"),
        ("client_id", CLIENT_ID),
        ("client_secret", CLIENT_SECRET),
        ("username", USERNAME),
        ("password", PASSWORD),
    ];
    let (status, body) = post(&mut org, TOKEN, &form);
    let told: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, told["access_token"].as_str()), (200, Some(org.session())));
    assert_eq!(told["instance_url"], "http://localhost:1");
    assert!(told["issued_at"].is_string() && told["refresh_token"].is_null(), "{body}");
    let (status, body) = post(&mut org, TOKEN, &[("grant_type", "magic"), form[1]]);
    assert_eq!(status, 400);
    assert!(body.contains("unsupported_grant_type"), "{body}");
}

#[test]
fn a_code_is_good_once_and_for_whoever_asked() {
    let mut org = Org::in_memory().unwrap();
    let exchange = |org: &mut Org, code: &str, verifier: &str| {
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", CLIENT_ID),
            ("code", code),
            ("code_verifier", verifier),
        ];
        post(org, TOKEN, &form).0
    };
    let first = code(&mut org);
    assert_eq!(exchange(&mut org, &first, ""), 200);
    assert_eq!(exchange(&mut org, &first, ""), 400, "it is spent");
    let second = code(&mut org);
    assert_eq!(exchange(&mut org, &second, "stolen"), 400);
    assert_eq!(exchange(&mut org, &second, ""), 400, "nobody tries twice");
}

#[test]
fn a_session_can_be_revoked() {
    let mut org = Org::in_memory().unwrap();
    let session = org.session().to_owned();
    let revoke =
        |org: &mut Org, token: &str| post(org, "/services/oauth2/revoke", &[("token", token)]).0;
    assert_eq!(revoke(&mut org, &session), 200);
    assert_ne!(org.session(), session);
    assert_eq!(revoke(&mut org, &session), 400, "it is over");
}

#[test]
fn soap_login_is_gone_after_version_64() {
    let mut org = Org::in_memory().unwrap();
    let body = format!(
        "<Envelope><Body><login><username>{USERNAME}</username>\
         <password><![CDATA[{PASSWORD}]]></password></login></Body></Envelope>"
    );
    let mut login = |version: &str, body: &str| {
        let request = Request::post(format!("/services/Soap/u/{version}"));
        send(&mut org, request.body(Bytes::from(body.to_owned())).unwrap())
    };
    assert_eq!(login("64.0", &body).0, 200);
    let (status, fault) = login("65.0", &body);
    assert!(status == 500 && fault.contains("sf:UNSUPPORTED_API_VERSION"), "{fault}");
    for odd in ["", "<a", "<!DOCTYPE a><a/>", "<a>&b;</a>"] {
        assert_eq!(login("64.0", odd).0, 500, "{odd}");
    }
}
