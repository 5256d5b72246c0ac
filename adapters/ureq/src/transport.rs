//! One request over the wire, and an honest account of how it ended.

use std::io::Read;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sfbulk::login::{Login, LoginStep};
use sfbulk::{Call, Error, Failure, Page, Reply, Session};
use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig};
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::DefaultConnector;

use crate::connect::{Marked, unconnected};

/// Name resolution is quick and a handshake takes a few round trips; more is a dead host.
const CONNECT: Duration = Duration::from_secs(30);

/// The longest silence borne, in either direction. The service may think for a while before it
/// answers a large batch.
const SILENCE: Duration = Duration::from_secs(120);

/// Connections that idled longer are not used again: the server may just be hanging up, and a
/// request lost that way is a request whose outcome nobody knows.
const IDLE: Duration = Duration::from_secs(10);

/// Idle connections kept; as many as a run usually has calls under way.
const KEPT: usize = 16;

/// The service's heads are a kilobyte or two.
const HEAD: usize = 64 << 10;

/// A pool of connections with the settings the machine relies on. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Transport(Agent);

impl Default for Transport {
    /// TLS verified with the platform's roots; the proxy of the environment (`HTTPS_PROXY`,
    /// `ALL_PROXY`, `NO_PROXY`).
    fn default() -> Self {
        Self::with_timeouts(CONNECT, SILENCE)
    }
}

impl Transport {
    /// The default, with other bounds on how long a connection may take to be made (TLS included),
    /// and how long the server may be silent. A call that passes the second one is lost, so a short
    /// one is for tests and for services that are known to be quick.
    pub fn with_timeouts(connect: Duration, silence: Duration) -> Self {
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false) // a refusal has a body, and the machine reads it
            .max_redirects(0) // a redirect would carry the session to another host
            .max_redirects_will_error(false)
            .user_agent(concat!("sfbulk/", env!("CARGO_PKG_VERSION")))
            .max_response_header_size(HEAD)
            .max_idle_connections(KEPT)
            .max_idle_connections_per_host(KEPT)
            .max_idle_age(IDLE)
            .timeout_connect(Some(connect))
            .timeout_recv_response(Some(silence))
            .timeout_per_read(Some(silence))
            .timeout_per_write(Some(silence));
        Self(Agent::with_parts(
            config.build(),
            <Marked<DefaultConnector>>::default(),
            <Marked<DefaultResolver>>::default(),
        ))
    }

    /// Performs a call; `deliver` takes the pages of its answer and says whether anybody still
    /// wants them. It is packed here, in a thread of its own.
    pub(crate) fn perform(&self, call: Call, deliver: impl FnMut(Page) -> bool) -> Reply {
        self.receive(call.packed(), deliver).unwrap_or_else(Reply::Failed)
    }

    fn receive(&self, call: Call, mut deliver: impl FnMut(Page) -> bool) -> Result<Reply, Failure> {
        let unwanted = || Failure::Lost("nobody waits for it any more".into());
        let mut hand_on = |page| if deliver(page) { Ok(()) } else { Err(unwanted()) };
        let response = self.send(call.request).map_err(|error| failure(&error))?;
        let (head, body) = response.into_parts();
        let mut intake = call.expect.open(head);
        let mut body = body.into_reader();
        loop {
            let mut page = match body.read(intake.space()) {
                Ok(0) => break,
                Ok(n) => intake.filled(n)?,
                Err(error) => return Ok(intake.broke_off(error)),
            };
            while let Some(whole) = page {
                hand_on(whole)?;
                page = intake.more()?;
            }
        }
        let (page, reply) = intake.finish();
        page.map_or(Ok(()), hand_on)?;
        Ok(reply)
    }

    /// Gets a session from a login, another one than that which has `expired`, and waits where the
    /// login wants to.
    ///
    /// ```no_run
    /// use sfbulk_ureq::Transport;
    /// use sfbulk_ureq::login::{App, Login, LoginServer};
    ///
    /// let show = |shown: &sfbulk_ureq::login::UserCode| {
    ///     println!("enter {} at {}", shown.code, shown.address);
    /// };
    /// let server = LoginServer::production();
    /// let mut login = Login::device(server, App::new("3MVG9…"), "api refresh_token", show);
    /// let session = Transport::default().log_in(&mut login, None)?;
    /// # Ok::<(), sfbulk_ureq::Error>(())
    /// ```
    pub fn log_in(&self, login: &mut Login, expired: Option<&Session>) -> Result<Session, Error> {
        login.begin(expired);
        loop {
            let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            match login.poll(since_1970) {
                LoginStep::Send(call) => login.reply(self.perform(call, |_| false)),
                LoginStep::Wait(time) => thread::sleep(time),
                LoginStep::Done(result) => return result,
            }
        }
    }

    fn send(
        &self,
        request: http::Request<bytes::Bytes>,
    ) -> Result<http::Response<ureq::Body>, ureq::Error> {
        let (head, body) = request.into_parts();
        if head.method == http::Method::GET {
            self.0.run(http::Request::from_parts(head, ()))
        } else {
            self.0.run(http::Request::from_parts(head, &body[..]))
        }
    }
}

/// Only what certainly happened before the first byte left counts as unsent.
fn failure(error: &ureq::Error) -> Failure {
    use ureq::Error::{BadUri, InvalidProxyUrl, TlsRequired};
    match (unconnected(error), error) {
        (Some(why), _) => Failure::unconnected(why),
        (None, BadUri(_) | InvalidProxyUrl | TlsRequired) => Failure::unconnected(error),
        _ => Failure::unanswered(error),
    }
}
