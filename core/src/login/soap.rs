//! SOAP `login()` (topic "login()" of the vendor's SOAP API guide): a user name and a password for a
//! session, in the last version that has it.

use bytes::Bytes;
use http::Response;
use http::header::{CONTENT_TYPE, HeaderName};
use quick_xml::escape::escape;
use serde_json::Value;

use crate::error::{Error, ErrorInfo, ErrorKind};
use crate::secret::Secret;
use crate::xml;

use super::exchange::{Answer, Exchange, Grant};
use super::refusal::{PASSWORD_EXPIRED, refused};
use super::server::LoginServer;

/// `login()` is not offered in API 65.0 and later. The Bulk API's version need not be the login's.
const PATH: &str = "/services/Soap/u/64.0";

/// Must be there, whatever it says.
const SOAP_ACTION: HeaderName = HeaderName::from_static("soapaction");

/// A login; the security token, if one is needed, is the end of the password.
pub(super) fn login(
    server: &LoginServer,
    username: &str,
    password: &Secret,
) -> Result<Exchange, Error> {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:urn=\"urn:partner.soap.sforce.com\"><soapenv:Header><urn:CallOptions>\
         <urn:client>sfbulk/{}</urn:client></urn:CallOptions></soapenv:Header>\
         <soapenv:Body><urn:login><urn:username>{}</urn:username><urn:password>{}</urn:password>\
         </urn:login></soapenv:Body></soapenv:Envelope>",
        env!("CARGO_PKG_VERSION"),
        escape(username),
        escape(password.reveal())
    );
    let headers = [(CONTENT_TYPE, "text/xml; charset=UTF-8"), (SOAP_ACTION, "login")];
    Exchange::post(&server.url(PATH), headers, body, vec![password.clone()])
}

/// Reads a good answer. The error says nothing of what is in it but codes.
pub(super) fn read(response: &Response<Bytes>) -> Result<Answer, Error> {
    let unreadable = || {
        let message = "the login's answer is no SOAP document with sessionId and serverUrl";
        Error::new(ErrorKind::Login, message).advise("check the address of the login host")
    };
    let text = std::str::from_utf8(response.body()).map_err(|_| unreadable())?;
    let (_, mut tree) = xml::read(text, xml::keep).map_err(|_| unreadable())?;
    let result = tree.pointer_mut("/Body/loginResponse/result").ok_or_else(unreadable)?;
    if result["passwordExpired"] == "true" {
        return Err(refused(
            "a login that may only change the password",
            ErrorInfo {
                status: response.status().as_u16(),
                code: Some(PASSWORD_EXPIRED.into()),
                message: "the password has expired (passwordExpired)".into(),
                request_id: None,
            },
        ));
    }
    let mut text = |name| match result.get_mut(name).map(Value::take) {
        Some(Value::String(text)) if !text.is_empty() => Ok(text),
        _ => Err(unreadable()),
    };
    let (token, instance) = (text("sessionId")?.into(), text("serverUrl")?);
    Ok(Answer::Grant(Grant { instance, token, refresh_token: None }))
}
