//! The guards of one instance share its limits over their store of leases. Together they use no
//! more than one of them alone may.
//!
//! Each guard has a row in the store with its *claim*, renewed every [`Timing::renewal`] or so, and
//! a row lasts for a window and a margin longer than that. Why no window of Marketo's sees more
//! calls than `limits.calls`, and no more than `limits.concurrency` are in flight:
//!
//! 1. A guard never uses more than its claim. It raises what it may use after the store has taken
//!    the raised claim, and lowers it before it asks for a lower one; what it has used up in the
//!    window before keeps the claim up ([`Claim::keep`]) until those calls have left the window.
//! 2. The claims never come to more than the limit. Rounds are one after another, and in its round
//!    a guard's claim is raised by no more than what the other rows leave ([`shared`]).
//! 3. A row outlives the last call of a guard that died by the window, and a margin for that call's
//!    way.
//! 4. A guard that stops in good order replaces its row by rows of no more than it had, each of
//!    which lasts until its calls have left the window (`leaving`). Nobody wants anything
//!    by them, so what they do not hold is divided among those that are there.
//!
//! None of this rests on how the limit is divided ([`parts`]), so that it is divided by need: an
//! idle guard keeps little, and a newcomer has its part as soon as the others have seen it and
//! their calls have left the window.
//!
//! The limit can be exceeded for a while all the same; 606 and 615 are then waited out as always:
//!
//! - A guard is cut off from the store for longer than its row lasts, and others are not. It goes
//!   on reading with its last part.
//! - A guard was started while the store was away. It takes the whole limit for its own.
//! - A machine slept for longer than its row lasts, until its first round.
//! - A call of a guard that died runs on for longer than the row lasts.
//! - The store has lost its rows.
//!
//! No call waits for the store: the rounds are made in the background ([`RateShare`] is a guard's
//! memory of them).

use std::collections::BTreeMap;
use std::ops::Add as _;
use std::time::Duration;

use tokio::time::Instant;

use super::key::LeaseKey;
use crate::marketo::{Clock, Share, margin};

/// An idle guard keeps this part of an equal part, so that its first calls need not wait for a
/// round.
const IDLE: usize = 4;

/// After so many renewals in a row, a guard that was away takes it that every living guard has
/// renewed too.
const ALL_ARE_BACK: u32 = 10;

/// How long and how often what is shared is claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Timing {
    /// Between two renewals.
    pub(crate) renewal: Duration,
    /// How long a row lasts.
    pub(crate) row: Duration,
}

impl Timing {
    /// For limits with this window of the wall's time.
    pub(crate) fn of(window: Duration, clock: Clock) -> Self {
        let margin = margin(clock);
        let renewal = (window / 20).clamp(Duration::from_millis(50), Duration::from_secs(1));
        // The last call may leave as late as the renewal that did not come, and arrive a margin
        // later.
        Self { renewal, row: window + margin + (renewal * 10).max(margin) }
    }
}

/// What a guard claims in a renewal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    /// Whose limits: an instance of Marketo's.
    pub(crate) instance: LeaseKey,
    /// The limits, which are to be the same for all guards.
    pub(crate) limit: Share,
    /// What it uses or may be using. Its claim cannot be less.
    pub(crate) keep: Share,
    /// What it needs.
    pub(crate) wants: Share,
    /// Whether its claim may be raised.
    pub(crate) grows: bool,
    /// How long the claim lasts.
    pub(crate) lasts: Duration,
}

/// What a guard may use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Shared {
    /// What the store has noted for it.
    pub(crate) claim: Share,
    /// Its part of the limit, divided by need.
    pub(crate) part: Share,
    /// How many guards share, those included that are silent.
    pub(crate) guards: usize,
    /// Others that have not renewed for long: most likely they were killed or are cut off.
    pub(crate) silent: usize,
    /// Held by calls of guards that stopped in good order.
    pub(crate) left: Share,
    /// When the last row of a silent or stopped guard ends.
    pub(crate) frees_in: Duration,
}

/// A guard's claim, as a row of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct ClaimRow {
    pub(super) share: Share,
    pub(super) wants: Share,
    pub(super) ends_at: Duration,
}

/// Renews a guard's claim within the room that the others leave.
pub(super) fn renew(
    rows: &mut BTreeMap<(LeaseKey, i64), ClaimRow>,
    guard: i64,
    now: Duration,
    claim: &Claim,
) -> Shared {
    rows.retain(|_, row| row.ends_at > now);
    let all = rows.range((claim.instance, i64::MIN)..=(claim.instance, i64::MAX));
    let others = all.map(|((_, other), row)| (*other, row)).filter(|(other, _)| *other != guard);
    let told = shared(guard, now, claim, others);
    let ends_at = now.saturating_add(claim.lasts);
    rows.insert(
        (claim.instance, guard),
        ClaimRow { share: told.claim, wants: claim.wants, ends_at },
    );
    told
}

/// A guard's claim and part, given the rows of the others.
fn shared<'r>(
    owner: i64,
    now: Duration,
    claim: &Claim,
    others: impl Iterator<Item = (i64, &'r ClaimRow)>,
) -> Shared {
    let (mut claimed, mut left, mut wants) =
        (Share::default(), Share::default(), vec![(claim.wants, owner)]);
    let (mut silent, mut frees_in) = (0, Duration::ZERO);
    for (other, row) in others {
        claimed = each(claimed, row.share, usize::add);
        let ends_in = row.ends_at.saturating_sub(now);
        let has_stopped = row.wants == Share::default();
        // A guard that lives renews its row several times before an eighth of it is over.
        let is_silent = !has_stopped && ends_in < claim.lasts / 8 * 7;
        if has_stopped {
            left = each(left, row.share, usize::add);
        } else {
            wants.push((row.wants, other));
        }
        silent += usize::from(is_silent);
        if has_stopped || is_silent {
            frees_in = frees_in.max(ends_in);
        }
    }
    let divided = each(claim.limit, left, usize::saturating_sub);
    let part = |limit, of: fn(&Share) -> usize| {
        let wants = wants.iter().map(|(wants, owner)| (of(wants), *owner)).collect();
        let part = parts(limit, wants).into_iter().find(|(whose, _)| *whose == owner);
        part.map_or(0, |(_, part)| part)
    };
    let part = Share {
        calls: part(divided.calls, |share| share.calls),
        at_once: part(divided.at_once, |share| share.at_once),
    };
    let free = if claim.grows {
        each(claim.limit, claimed, usize::saturating_sub)
    } else {
        Share::default()
    };
    let claim = each(claim.keep, each(part, free, usize::min), usize::max);
    Shared { claim, part, guards: wants.len(), silent, left, frees_in }
}

/// Both numbers of two shares, put together.
fn each(one: Share, other: Share, with: fn(usize, usize) -> usize) -> Share {
    Share { calls: with(one.calls, other.calls), at_once: with(one.at_once, other.at_once) }
}

/// Divides the whole of a limit by need. A guard that wants less than an equal part gets what it
/// wants, and a fraction of an equal part at least. Those who want more share the rest equally. If
/// nobody wants more, the rest is divided equally among all. As long as there are no more guards
/// than the limit has units, each gets one.
fn parts(limit: usize, mut wants: Vec<(usize, i64)>) -> Vec<(i64, usize)> {
    let least = (limit / (wants.len().max(1) * IDLE)).max(1);
    for (wanted, _) in &mut wants {
        *wanted = (*wanted).max(least);
    }
    // The modest first: what they leave is for the others.
    wants.sort_unstable();
    let (mut left, mut parts) = (limit, Vec::with_capacity(wants.len()));
    for (served, (wanted, owner)) in wants.iter().enumerate() {
        let part = (*wanted).min(left / (wants.len() - served));
        left -= part;
        parts.push((*owner, part));
    }
    let of = parts.len();
    for (served, (_, part)) in parts.iter_mut().enumerate() {
        let more = left / (of - served);
        left -= more;
        *part += more;
    }
    parts
}

/// A guard's memory between its renewals.
#[derive(Debug)]
pub(crate) struct RateShare {
    instance: LeaseKey,
    limit: Share,
    timing: Timing,
    /// What may be used; nothing is known of it before the first answer.
    may_use: Option<Share>,
    /// Since when renewals have been answered one after another, and when the last one was.
    answered: Option<(Instant, Instant)>,
    /// Every renewal was answered, so that all who live have been in the store all along.
    always_there: bool,
}

impl RateShare {
    /// Of these limits.
    pub(crate) fn new(instance: LeaseKey, limit: Share, timing: Timing) -> Self {
        Self { instance, limit, timing, may_use: None, answered: None, always_there: true }
    }

    /// The claim of a renewal.
    pub(crate) fn claim(&self, now: Instant, used: Share, most_at_once: usize) -> Claim {
        let kept = self.may_use.unwrap_or_default();
        let all_are_back = match self.answered {
            None => self.always_there,
            Some((_, last)) if self.is_away(now, last) => false,
            Some((since, _)) => {
                self.always_there || now - since >= self.timing.renewal * ALL_ARE_BACK
            }
        };
        // Half as much again as it uses now, so that it can grow.
        let wants = |used: usize| used + used / 2 + 1;
        Claim {
            instance: self.instance,
            limit: self.limit,
            keep: each(kept, used, usize::max),
            wants: Share {
                calls: wants(used.calls),
                at_once: wants(most_at_once.max(used.at_once)),
            },
            grows: all_are_back,
            lasts: self.timing.row,
        }
    }

    /// What may be used after this answer.
    pub(crate) fn told(&mut self, now: Instant, shared: Shared) -> Share {
        let unbroken = self.answered.filter(|(_, last)| !self.is_away(now, *last));
        self.always_there &= unbroken.is_some() || self.answered.is_none();
        self.answered = Some((unbroken.map_or(now, |(since, _)| since), now));
        *self.may_use.insert(each(shared.claim, shared.part, usize::min))
    }

    /// Whether the last answer is so long ago that others may have counted this guard out, or this
    /// guard the others.
    fn is_away(&self, now: Instant, last: Instant) -> bool {
        now - last >= self.timing.row / 2
    }

    /// What may be used after a renewal that was not answered: as much as before, or the whole
    /// limit where nobody ever answered.
    pub(crate) fn not_told(&mut self) -> Share {
        self.always_there &= self.answered.is_some();
        self.may_use.unwrap_or(self.limit)
    }
}

#[cfg(test)]
mod tests;
