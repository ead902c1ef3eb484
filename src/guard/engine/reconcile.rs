//! A call in doubt: wait, look, decide.
//!
//! `InDoubt => early looks, where they may prove a record done => over => last look => (Done |
//! Again
//! | Open)`. Until the call is over its keys stay leased, and nothing else is sent with them (law
//! 4). Writers that stop waiting before are told that the outcome is open.
//!
//! Never: sends anything, or concludes from an early look that a record was not written.

use std::collections::BTreeSet;

use super::calls::Calls;
use super::decide::{Doubt, Verdict};
use super::evidence::Evidence;
use super::execute::{InDoubt, Next, Results, all, first_request, may_try_again, written_fields};
use super::outcome::{Outcome, Refused};
use super::request::Action;
use super::sender::Sender;
use super::settle::written;
use super::unit::{Sharing, Submitted, Unit};
use crate::marketo::Meaning;

/// Waits for the next look at a call in doubt, and looks.
pub(super) async fn look<S: Sender>(
    calls: &Calls<S>,
    units: Vec<Unit<S::Origin>>,
    in_doubt: InDoubt,
) -> Results<S::Origin> {
    let Some(request) = first_request(&units) else { return Vec::new() };
    let InDoubt { mode, in_flight, looks } = in_doubt;
    let doubt = Doubt { envelope: &request.envelope, mode, sent_at: in_flight.sent_at() };
    // A record without a key cannot be looked for, and one without a lease protects nothing by
    // waiting.
    let (units, nameless): (Vec<_>, Vec<_>) =
        units.into_iter().partition(|unit| unit.key().is_some() || !unit.leases.is_empty());
    let mut results = all(nameless, |_| Next::Done(Outcome::Open));
    if units.is_empty() {
        return results;
    }
    let early = in_flight.early_looks().nth(looks).filter(|_| doubt.may_be_born());
    if let Some(at) = early {
        if !results.is_empty() {
            // Their writers do not wait for the look.
            results.extend(all(units, |_| Next::InDoubt(in_doubt)));
            return results;
        }
        tokio::time::sleep_until(at).await;
        let evidence = look_for(calls, &request, &units).await.ok();
        let next_look = InDoubt { looks: looks + 1, ..in_doubt };
        let born = |unit: &Unit<_>| {
            let evidence = evidence.as_ref()?;
            let id = doubt.born(&unit.raw, unit.key()?, evidence)?;
            Some(done(id, true, evidence))
        };
        return all(units, |unit| born(unit).unwrap_or(Next::InDoubt(next_look)));
    }
    tokio::time::sleep_until(in_flight.over_at()).await;
    results.extend(when_over(calls, &request, &doubt, units).await);
    results
}

/// The call is over, and can change nothing any more.
async fn when_over<S: Sender>(
    calls: &Calls<S>,
    request: &Submitted<S::Origin>,
    doubt: &Doubt<'_>,
    units: Vec<Unit<S::Origin>>,
) -> Results<S::Origin> {
    let is_knowable =
        |unit: &Unit<_>| unit.key().is_some() && request.envelope.action != Action::CreateDuplicate;
    let found = if units.iter().any(is_knowable) {
        look_for(calls, request, &units).await
    } else {
        Ok(Evidence::default())
    };
    let evidence = match found {
        Ok(evidence) => evidence,
        Err(refused) => {
            let code = refused.code();
            tracing::warn!(user = %request.user, code, "what became of a write cannot be looked up with its caller's token");
            return all(units, |_| Next::Done(Outcome::Open));
        }
    };
    all(units, |unit| match doubt.verdict(&unit.raw, unit.key(), &evidence) {
        Verdict::Done { id, created } => done(id, created, &evidence),
        Verdict::NotDone if may_try_again(unit) => {
            // A record that is in such a call twice may be the cause. Then each writer's records
            // leave apart.
            let is_twice = unit.items().any(|item| item.tries > 1);
            Next::Again(if is_twice { Sharing::OwnWriter } else { Sharing::OwnRecord })
        }
        Verdict::NotDone | Verdict::Unknowable => Next::Done(Outcome::Open),
    })
}

async fn look_for<S: Sender>(
    calls: &Calls<S>,
    request: &Submitted<S::Origin>,
    units: &[Unit<S::Origin>],
) -> Result<Evidence, Refused> {
    let mut fields = written_fields(units);
    fields.insert("createdAt".to_owned());
    match calls.look_up(request, units, &fields, None).await {
        // A field that cannot be read cannot be compared.
        Err(Refused::Marketo(refusal))
            if matches!(refusal.meaning, Meaning::InvalidData | Meaning::UnknownField) =>
        {
            let fields = BTreeSet::from(["createdAt".to_owned()]);
            calls.look_up(request, units, &fields, None).await
        }
        found => found,
    }
}

/// A row for a record as in the lost answer.
fn done(id: u64, created: bool, evidence: &Evidence) -> Next {
    Next::Done(Outcome::Row {
        row: written(id, if created { "created" } else { "updated" }),
        request_id: evidence.request_id.clone().unwrap_or_else(|| "".into()),
        warnings: [].into(),
        coalesced: false,
    })
}

#[cfg(test)]
mod tests;
