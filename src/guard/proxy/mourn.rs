//! Records whose task broke off, by a fault of this program or by the end of its runtime: what they
//! held is given back, and their callers are told what is known of them, which is nothing.
//!
//! Such a record may have left, and Marketo may be writing it (law 4). So its caller gets 604, and
//! its rights are not given back: they end by themselves, no earlier than Marketo's time limit for
//! its call. In the lines of this guard it makes room at once, so that whoever is behind it waits
//! for the key as for that of a guard that died.

use std::sync::Weak;

use tokio::sync::mpsc::UnboundedReceiver;

use super::Proxy;
use super::board::BrokenOff;
use super::caller::Outcome;
use crate::guard::lease::Leases;

/// Sees to each record that broke off, as long as the proxy lives.
pub(super) async fn mourn<L: Leases>(
    proxy: Weak<Proxy<L>>,
    mut broken_off: UnboundedReceiver<BrokenOff>,
) {
    while let Some(record) = broken_off.recv().await {
        let Some(proxy) = proxy.upgrade() else { return };
        proxy.metrics.broken_off();
        tracing::error!(
            user = %record.caller.user,
            call = record.caller.envelope.verb.name(),
            key = record.keys.first().map(tracing::field::display),
            "a fault of the guard broke off a write: its caller is told that its outcome is open, and its key stays \
             protected until Marketo cannot be writing it any more"
        );
        record.caller.settle(record.place, Outcome::Unknown);
        let users = proxy.board().bury(&record);
        for user in users {
            proxy.attend(user);
        }
    }
}
