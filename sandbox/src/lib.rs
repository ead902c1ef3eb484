//! A Marketo to practise on: an HTTP server on this machine that behaves as Adobe documents the
//! REST API to behave, and where the documents are silent, in the way that is harder on its client.
//!
//! For: the tests, the demo, and anybody who wants to see what a command does before it does it for
//! real. The race is real in it (`sync`), merges follow Marketo's rules to the letter (`merge`),
//! calls are limited and counted (`limits`), and what can go wrong does go wrong when asked to
//! ([`Fault`]). Never: real people, another address than loopback, or a line of code shared with
//! the client, since a misreading in the one must not hide in the other.

mod activities;
mod answer;
mod clock;
mod control;
mod extract;
mod faults;
mod flags;
mod import;
mod instance;
mod leads;
mod limits;
mod lists;
mod meddle;
mod merge;
mod objects;
mod options;
mod programs;
mod request;
mod routes;
mod sandbox;
mod schema;
mod seed;
mod server;
mod stored;
mod sync;
mod values;
mod view;
mod wire;
mod world;

pub use control::ObjectSpec;
pub use flags::Flags;
pub use meddle::screens::{Deed, Meanwhile, Meddled, Moment, Screens};
pub use options::{Fault, Faults, Knobs, OptionError, Options};
pub use routes::PERMISSIONS;
pub use sandbox::{HeldWrites, Sandbox};
pub use seed::{Seed, SeedCause, SeedLabel};
pub use view::LeadView;
pub use world::objects::Relation;
pub use world::past::Held;

/// Keeps the example of the README true.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
