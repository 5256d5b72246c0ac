//! An application on tokio and reqwest; `executor.rs` is all that it takes.
//!
//! ```sh
//! cargo run -p sfbulk-tests --example tokio_reqwest "SELECT Id, Name FROM Account"
//! cargo run -p sfbulk-tests --example tokio_reqwest Account < accounts.csv
//! ```

#[path = "../app/mod.rs"]
mod app;
mod executor;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), sfbulk::Error> {
    let (mut job, mut app) = app::start()?;
    let summary = executor::run(&mut job, &executor::client(), &mut app).await?;
    eprintln!("{} rows, {} calls", summary.rows, summary.calls);
    Ok(())
}
