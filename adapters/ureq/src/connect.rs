//! ureq's way to a server, and two distinctions that ureq does not make.
//!
//! - *Before or after*: a reset is the same error to ureq whether it came in the TLS handshake or
//!   instead of an answer. But a batch of the first kind may be sent again, and one of the second
//!   may not. So what fails on the way to a connection is marked.
//! - *Ended or broken*: to ureq a reset ends a body without a length just as well as a proper end
//!   does, and so does a TLS connection that is cut without a farewell, which anybody on the way
//!   can do. Here both stay errors.

use std::error::Error as StdError;
use std::{fmt, io};

use ureq::Error;
use ureq::config::Config;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, DefaultConnector, NextTimeout, Transport,
};

/// The error that kept this request from having a connection, TLS included, if that is why it
/// failed.
pub(crate) fn unconnected(error: &Error) -> Option<&impl fmt::Display> {
    match error {
        Error::Other(other) => other.downcast_ref::<Unconnected>(),
        _ => None,
    }
}

/// ureq's resolver or connector, with marks on what fails.
#[derive(Debug, Default)]
pub(crate) struct Marked<T>(T);

impl Resolver for Marked<DefaultResolver> {
    fn resolve(
        &self,
        uri: &http::Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        self.0.resolve(uri, config, timeout).map_err(Unconnected::mark)
    }
}

impl Connector for Marked<DefaultConnector> {
    type Out = Strict;

    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<()>,
    ) -> Result<Option<Strict>, Error> {
        let transport = self.0.connect(details, chained).map_err(Unconnected::mark)?;
        Ok(transport.map(Strict))
    }
}

/// The mark.
#[derive(Debug)]
struct Unconnected(Error);

impl Unconnected {
    fn mark(error: Error) -> Error {
        Error::Other(Box::new(Self(error)))
    }
}

impl fmt::Display for Unconnected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for Unconnected {}

/// A connection that ends only in good order.
#[derive(Debug)]
pub(crate) struct Strict(Box<dyn Transport>);

impl Transport for Strict {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.0.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.0.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.0.await_input(timeout).map_err(|error| match error {
            // ureq would know these by their kind, and take them for an end.
            Error::Io(error) => Error::Io(io::Error::other(error)),
            other => other,
        })
    }

    fn is_open(&mut self) -> bool {
        self.0.is_open()
    }

    fn is_tls(&self) -> bool {
        self.0.is_tls()
    }
}
