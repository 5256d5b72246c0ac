//! Ctrl-C: the first one stops in good order, the second one at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use sfbulk_ureq::{JobId, Waker};

use crate::exit::{Exit, Failure};
use crate::progress::{self, Count, Things};

static STOP: AtomicBool = AtomicBool::new(false);
static WAKER: OnceLock<Waker> = OnceLock::new();
static LEFT: Mutex<Option<Left>> = Mutex::new(None);

/// What a second Ctrl-C leaves behind.
struct Left {
    job: JobId,
    /// Of a load: how many rows are in result files, and how many there are.
    rows: Option<(u64, u64)>,
}

/// Watches from now on; before, Ctrl-C just ends the process, since nothing was sent.
pub(crate) fn watch() -> Result<(), Failure> {
    let on_signal = || {
        if STOP.swap(true, Ordering::Relaxed) {
            progress::complain(&left());
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

/// How far a run is, should it be left at once.
pub(crate) fn leaves(job: JobId, rows: Option<(u64, u64)>) {
    *LEFT.lock().unwrap_or_else(PoisonError::into_inner) = Some(Left { job, rows });
}

fn left() -> String {
    match &*LEFT.lock().unwrap_or_else(PoisonError::into_inner) {
        None => "left: no job is known to be open".into(),
        Some(Left { job, rows: None }) => format!("left: job {job} may still be open"),
        Some(Left { job, rows: Some((done, total)) }) => format!(
            "left: job {job} may still be open; the result files hold {} of {}, the others are \
             not accounted for",
            Things(*done, "row"),
            Count(*total)
        ),
    }
}
