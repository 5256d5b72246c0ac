//! Telling what failed before a request could leave from what failed later.
//!
//! ureq's errors do not: a reset is the same whether it came in the TLS handshake or instead of an
//! answer. But a batch of the first kind may be sent again, and one of the second may not. So the
//! name is resolved and the connection made here, by ureq's own means, and what fails is marked.

use std::error::Error as StdError;
use std::fmt;

use ureq::Error;
use ureq::config::Config;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    ConnectionDetails, Connector, DefaultConnector, NextTimeout, Transport,
};

/// The error that kept this request from having a connection, TLS included, if that is why it
/// failed.
pub(crate) fn unconnected(error: &Error) -> Option<&impl fmt::Display> {
    match error {
        Error::Other(other) => other.downcast_ref::<Unconnected>(),
        _ => None,
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

/// ureq's way to a server, with marks.
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
    type Out = Box<dyn Transport>;

    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<()>,
    ) -> Result<Option<Self::Out>, Error> {
        self.0.connect(details, chained).map_err(Unconnected::mark)
    }
}
