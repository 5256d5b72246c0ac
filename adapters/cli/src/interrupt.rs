//! Ctrl-C: the first one stops in good order, the second one at once.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use sfbulk_ureq::Waker;

use crate::exit::{Exit, Failure};
use crate::progress;

static STOP: AtomicBool = AtomicBool::new(false);
static WAKER: OnceLock<Waker> = OnceLock::new();

/// Watches from now on; before, Ctrl-C just ends the process, since nothing was sent.
pub(crate) fn watch() -> Result<(), Failure> {
    let on_signal = || {
        if STOP.swap(true, Ordering::Relaxed) {
            std::process::exit(Exit::Interrupted.code().into());
        }
        progress::complain(
            &"stopping: no more is sent, and what the server has begun is waited for; \
              Ctrl-C again leaves at once",
        );
        WAKER.get().into_iter().for_each(Waker::wake);
    };
    ctrlc::set_handler(on_signal)
        .map_err(|error| Failure::nothing_sent(format!("Ctrl-C cannot be watched: {error}")))
}

/// Has the loop look at once, even if it waits.
pub(crate) fn wake(waker: Waker) {
    WAKER.set(waker).ok(); // there is one loop in a process
}

/// Whether somebody wants it to stop.
pub(crate) fn pending() -> bool {
    STOP.load(Ordering::Relaxed)
}
