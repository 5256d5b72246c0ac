//! An application on tokio and reqwest; `executor.rs` is all that it takes.
//!
//! ```sh
//! cargo run -p sfbulk-tests --example tokio_reqwest "SELECT Id, Name FROM Account"
//! cargo run -p sfbulk-tests --example tokio_reqwest Account < accounts.csv
//! ```

use std::time::Duration;

#[path = "../app/mod.rs"]
mod app;
mod executor;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), sfbulk::Error> {
    let (mut job, mut app) = app::start()?;
    let http = executor::client(Duration::from_secs(30), Duration::from_secs(120));
    let summary = executor::run(&mut job, &http, &mut app).await?;
    eprintln!("{} rows, {} calls", summary.rows, summary.calls);
    Ok(())
}
