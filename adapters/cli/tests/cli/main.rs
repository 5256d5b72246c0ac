//! The real binary, as people run it, against a server that plays a script, and against the
//! practice org.

mod files;
mod loads;
mod options;
mod practice;
mod queries;
mod refusals;
mod resume;
mod sf;
mod stage;
mod wire;
