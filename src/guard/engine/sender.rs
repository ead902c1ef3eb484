//! The engine's way to Marketo: look leads up and send a write, on behalf of the writer.
//!
//! A sender knows how a call is made, repeated and judged. It asks [`Turns`] for a turn before each
//! attempt and a [`SendGate`] at the last moment before each write leaves, and knows nothing of
//! leases, limits or other writers.
//!
//! Never: sends a write again unless it is certain that nothing was done (law 4).

use std::collections::BTreeSet;

use crate::marketo::{CallFailure, Found, SendGate, Turns, Written};

/// Looks leads up and sends writes. Production talks to Marketo; tests have a fake.
pub(crate) trait Sender: Send + Sync + 'static {
    /// Needed to act for a writer.
    type Origin: Send + Sync + 'static;

    /// The leads whose `field` has one of these values, with these of their fields.
    fn look_up(
        &self,
        origin: &Self::Origin,
        field: &str,
        values: &[&str],
        fields: &[&str],
        turns: &impl Turns,
    ) -> impl Future<Output = Result<Found, CallFailure>> + Send;

    /// The names of the fields that leads can be asked for here.
    fn lead_fields(
        &self,
        origin: &Self::Origin,
        turns: &impl Turns,
    ) -> impl Future<Output = Result<BTreeSet<String>, CallFailure>> + Send;

    fn write(
        &self,
        origin: &Self::Origin,
        body: Vec<u8>,
        turns: &impl Turns,
        gate: &impl SendGate,
    ) -> impl Future<Output = Result<Written, CallFailure>> + Send;
}
