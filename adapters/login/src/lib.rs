//! What a [login](sfbulk::login) needs from the world: the [`Key`] that signs a JWT, from a file;
//! the random numbers of [`pkce`]; and the sessions of the vendor's own command, [`sf`](sf_session).
//!
//! ```no_run
//! use sfbulk::login::{Login, LoginServer};
//! use sfbulk_login::Key;
//!
//! let server = LoginServer::at("https://acme.my.salesforce.com")?;
//! let key = Key::from_file("server.key")?;
//! let login = Login::jwt_bearer(server, "3MVG9…", "ada@example.com", key);
//! // let org = sfbulk_ureq::Client::logging_in(login);
//! # Ok::<(), sfbulk::Error>(())
//! ```

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod key;
mod pkce;
mod sf;

pub use key::Key;
pub use pkce::pkce;
pub use sf::{default_org, sf_session};
