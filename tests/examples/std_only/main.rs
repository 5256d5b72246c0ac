//! An application on nothing but the standard library; `executor.rs` is all that it takes.
//!
//! ```sh
//! cargo run -p sfbulk-tests --example std_only "SELECT Id, Name FROM Account"
//! cargo run -p sfbulk-tests --example std_only Account < accounts.csv
//! ```

use std::time::Duration;

#[path = "../app/mod.rs"]
mod app;
mod executor;

fn main() -> Result<(), sfbulk::Error> {
    let (mut job, mut app) = app::start()?;
    let summary = executor::run(&mut job, Duration::from_secs(120), &mut app)?;
    eprintln!("{} rows, {} calls", summary.rows, summary.calls);
    Ok(())
}
