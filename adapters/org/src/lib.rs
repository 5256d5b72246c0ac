//! A practice org.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod answer;
mod calendar;
mod config;
mod csv;
mod documents;
mod error;
mod gzip;
mod ids;
mod ingest;
mod jobs;
mod org;
mod query;
mod route;
mod schema;
mod soql;
mod store;
mod value;
mod work;

pub use config::Config;
pub use error::OrgError;
pub use org::Org;
