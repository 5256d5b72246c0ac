//! Serves a practice org until it is stopped: `cargo run -p sfbulk-org --example serve [PORT [FILE]]`.

use sfbulk_org::{Org, serve};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let port = arguments.next().map_or(Ok(0), |port| port.parse())?;
    let org = arguments.next().map_or_else(Org::in_memory, Org::open)?;
    let server = serve(org, port)?;
    println!("instance {}\nsession  {}", server.url(), server.session());
    server.wait();
    Ok(())
}
