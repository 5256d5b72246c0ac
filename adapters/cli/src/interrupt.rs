//! Ctrl-C: the first one stops in good order, the second one at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use sfbulk_ureq::Waker;

use crate::exit::{Exit, Failure};
use crate::progress;

static STOP: AtomicBool = AtomicBool::new(false);
static WAKER: OnceLock<Waker> = OnceLock::new();
static LEFT: Mutex<Option<String>> = Mutex::new(None);

/// Watches from now on; before, Ctrl-C just ends the process, since nothing was sent.
pub(crate) fn watch() -> Result<(), Failure> {
    let on_signal = || {
        if STOP.swap(true, Ordering::Relaxed) {
            progress::complain(&format_args!("left at once: {}", left()));
            std::process::exit(Exit::Interrupted.code().into());
        }
        progress::complain(&"stopping: no more is sent; Ctrl-C again leaves at once");
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

/// What is to be said of a run that is left at once.
pub(crate) fn leaves(what: String) {
    *LEFT.lock().unwrap_or_else(PoisonError::into_inner) = Some(what);
}

fn left() -> String {
    let left = LEFT.lock().unwrap_or_else(PoisonError::into_inner);
    left.clone().unwrap_or_else(|| "no job is known to be open".into())
}
