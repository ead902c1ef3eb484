//! A Marketo to practise on.

#[allow(dead_code, reason = "the server that answers with it follows")]
mod activities;
#[allow(dead_code, reason = "the server that answers with it follows")]
mod extract;
#[allow(dead_code, reason = "the server that is filled with it follows")]
mod seed;

pub use seed::{Seed, SeedCause, SeedLabel};
