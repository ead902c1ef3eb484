//! Fills a sandbox with a believable instance, the same for the same seed on any machine and any
//! day.
//!
//! What is in it: people of many scripts with values that break careless readers, records without
//! an address, shared mailboxes, duplicates of every cause with exactly the traces that such a
//! cause leaves, merges and deletions of long ago. Who is in it is decided by pure code below this
//! file (`draw`, `population`, `causes`, `people`); only `fill` touches the sandbox's world. It
//! never reads a clock: an instance's present is a constant.

mod births;
mod causes;
mod draw;
mod fill;
mod history;
mod names;
mod people;
mod population;
mod profile;
mod rng;
mod spec;

pub(super) use fill::fill;
pub use spec::{Seed, SeedCause, SeedLabel};
