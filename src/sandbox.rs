//! A Marketo to practise on.

#[allow(dead_code, reason = "the server that answers with it follows")]
mod activities;
#[allow(dead_code, reason = "the server that answers with it follows")]
mod extract;
#[allow(dead_code, reason = "the server that heeds it follows")]
mod options;
#[allow(dead_code, reason = "the server that answers with it follows")]
mod schema;
#[allow(dead_code, reason = "the server that is filled with it follows")]
mod seed;

#[allow(dead_code, reason = "the server that answers with it follows")]
mod world;

pub use options::{Fault, Faults, Knobs, OptionError, Options};
pub use seed::{Seed, SeedCause, SeedLabel};
