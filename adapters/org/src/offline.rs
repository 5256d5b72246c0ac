//! The org at the other end of an offline line.

use bytes::Bytes;
use http::{Request, Response};
use sfbulk::{Failure, Service, Time};

use crate::org::Org;
use crate::trouble::NoAnswer;

/// With the faults that are armed, but for [`Slow`](crate::Fault::Slow): how long a message takes
/// is up to the line.
impl Service for Org {
    fn handle(&mut self, now: Time, request: Request<Bytes>) -> Result<Response<Bytes>, Failure> {
        self.deliver(now, request).map_err(|why| {
            Failure::Lost(match why {
                NoAnswer::Dropped => "the connection was dropped".into(),
                NoAnswer::Lost | NoAnswer::Late(_) => "no answer came".into(),
            })
        })
    }
}
