//! Chaos: what goes wrong with a request is drawn, and the draw is a seed's.

use fastrand::Rng;

use crate::fault::{Call, Fault};
use crate::trouble::Kind;

/// One request in so many goes wrong: often enough that a load of some batches sees most of it, and
/// seldom enough for a client that retries no more than a tenth of what succeeds.
const ONE_IN: u32 = 16;

#[derive(Debug)]
pub(crate) struct Chaos(Rng);

impl Chaos {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Rng::with_seed(seed))
    }

    /// What goes wrong with this request, if anything does.
    pub(crate) fn strike(&mut self, request: Kind) -> Option<Fault> {
        if self.0.u32(..ONE_IN) > 0 {
            return None;
        }
        self.0.choice(menu(request))
    }

    /// Whether a batch is dropped in the middle of its body, which is decided at its head.
    pub(crate) fn cuts(&mut self) -> bool {
        self.0.u32(..8 * ONE_IN) == 0
    }
}

/// What can happen to a request. The counts have done their work when a fault is played.
fn menu(request: Kind) -> Vec<Fault> {
    let (call, nth) = (request.call, 1);
    let status = |status, retry_after| Fault::Status { call, nth, status, retry_after };
    let mut menu = vec![
        Fault::DropRequest { call, nth },
        Fault::LoseAnswer { batch: nth },
        Fault::Gateway { batch: nth },
        Fault::Refuse { call, nth, code: "InternalServerError".into() },
        status(500, None),
        status(503, None),
        status(503, Some(1)),
        status(429, Some(1)),
    ];
    match call {
        Call::Batch => menu.push(Fault::Late { batch: nth, seconds: 1 }),
        Call::Poll if request.lists => {
            menu.extend([Fault::ListTwice { list: nth }, Fault::MissingFromList { list: nth }]);
        }
        Call::Result => menu.extend([
            Fault::CutResult { result: nth, bytes: 40 },
            Fault::ShortResult { result: nth },
        ]),
        _ => {}
    }
    menu
}
