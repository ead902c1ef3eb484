//! The guard as an HTTP proxy: an integration changes its base URL, and its upserts can make no
//! duplicate.
//!
//! A lead write is parsed, submitted to the engine and answered (`handler`); everything else is
//! sent on as it comes, within the limits (`forward`). Which is which is decided by `classify`. In
//! shadow mode writes are sent on too, and it is counted what would have raced (`shadow`).
//!
//! Never: a decision about a record, which is the engine's; a person, a token or a body in a log
//! line. It cannot see writers that do not come through it. Against those strict mode narrows the
//! window, no more.

mod body;
mod classify;
mod forward;
mod handler;
mod identity;
mod metrics;
mod min_rate;
mod parse;
mod refusals;
mod response;
mod sender;
mod serve;
mod service;
mod settings;
mod shadow;
mod write_timeout;

pub use serve::{ServeError, serve};
pub use settings::{CreateDuplicate, Mode, ProxySettings};

#[cfg(test)]
mod fuzz;
