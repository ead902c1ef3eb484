//! How one lead came although its group had others: the rules, the surest first.
//!
//! Where a lead came from weighs more than where it is synced now: what Marketo sends to the CRM
//! has an id there too.

use chrono::{DateTime, SecondsFormat, Utc};

use super::kind::{Cause, Confidence};
use super::member::{Member, after};
use crate::lead::Precision;

/// The longest that Marketo lets a sync call run: creations further apart cannot have overlapped.
const RACE_SECONDS: i64 = 90;

/// How one lead came although earlier ones were there.
pub(super) struct Finding {
    pub(super) cause: Cause,
    pub(super) confidence: Confidence,
    pub(super) evidence: String,
    /// What speaks against it, or what it leaves open.
    pub(super) doubt: Option<String>,
}

/// `earlier` is not empty, and in the order of creation.
pub(super) fn find(late: &Member<'_>, earlier: &[Member<'_>]) -> Finding {
    by_partition(late, earlier)
        .or_else(|| by_import(late, earlier))
        .or_else(|| by_crm_source(late, earlier))
        .or_else(|| by_one_call(late, earlier))
        .or_else(|| by_proved_race(late, earlier))
        .or_else(|| by_likely_race(late, earlier))
        .or_else(|| by_crm_ids(late, earlier))
        .or_else(|| by_create_duplicate(late, earlier))
        .unwrap_or_else(|| {
            let evidence = format!(
                "lead {} was created {}, and nothing that is known of it says why",
                late.id(),
                after(late, earlier)
            );
            Finding::new(Cause::Unknown, Confidence::Low, evidence)
                .but("an address that was changed later leaves no trace after 90 days")
        })
}

fn by_partition(late: &Member<'_>, earlier: &[Member<'_>]) -> Option<Finding> {
    let own = late.lead.partition()?;
    let others: Option<Vec<String>> =
        earlier.iter().map(|member| member.lead.partition()).collect();
    let others = others.filter(|others| !others.contains(&own))?;
    let (first, other) = (earlier.first()?, others.first()?);
    let evidence = format!(
        "lead {} is in partition {own} and lead {} in partition {other}, each of which may hold an address",
        late.id(),
        first.id()
    );
    Some(Finding::new(Cause::Partition, Confidence::High, evidence))
}

fn by_import(late: &Member<'_>, earlier: &[Member<'_>]) -> Option<Finding> {
    late.came_by_import().then(|| {
        let list = late.birth.and_then(|birth| birth.list.as_deref());
        let evidence = format!(
            "lead {} came by a list import{}, {}",
            late.id(),
            list.map(|list| format!(" into `{list}`")).unwrap_or_default(),
            after(late, earlier)
        );
        Finding::new(Cause::Import, Confidence::Medium, evidence)
            .but("an import looks for addresses: it ran beside another, or the address was changed later")
    })
}

fn by_crm_source(late: &Member<'_>, earlier: &[Member<'_>]) -> Option<Finding> {
    late.came_by_crm().then(|| {
        let confidence =
            if earlier.iter().any(Member::in_crm) { Confidence::High } else { Confidence::Medium };
        let evidence = format!(
            "lead {} came from the CRM, whose sync looks for no address, {}",
            late.id(),
            after(late, earlier)
        );
        Finding::new(Cause::Crm, confidence, evidence)
    })
}

/// One call that named an address twice: the two records overlapped as surely as two calls at one
/// moment.
fn by_one_call(late: &Member<'_>, earlier: &[Member<'_>]) -> Option<Finding> {
    let request_id = late.request_id()?;
    if late.seen(earlier).is_some() {
        return None;
    }
    let rival = earlier.iter().find(|member| member.request_id() == Some(request_id))?;
    let evidence = format!(
        "leads {} and {} came from one call ({request_id}{}), which named the address twice",
        rival.id(),
        late.id(),
        by(late)
    );
    Some(Finding::new(Cause::Race, Confidence::High, evidence))
}

fn by_proved_race(late: &Member<'_>, earlier: &[Member<'_>]) -> Option<Finding> {
    let (arrived, request_id) = (late.arrived()?, late.request_id()?);
    // A lead that was there when the call arrived would have been found, whatever came in between.
    if !late.came_by_api() || late.seen(earlier).is_some() {
        return None;
    }
    let unseen = || earlier.iter().filter(|member| late.could_see(member) == Some(false));
    let looks = |member: &&Member<'_>| member.came_by_api() || member.came_by_form();
    let rival = unseen().find(looks).or_else(|| unseen().next())?;
    let born = rival.birth?.at;
    let evidence = format!(
        "the call that made lead {} ({request_id}{}) arrived at {}, before lead {} was there at {}: it could not see it",
        late.id(),
        by(late),
        millis(arrived),
        rival.id(),
        seconds(born)
    );
    if looks(&rival) {
        return Some(Finding::new(Cause::Race, Confidence::High, evidence));
    }
    let doubt = format!(
        "lead {} came neither by the API nor by a form, and may have looked for nobody",
        rival.id()
    );
    Some(Finding::new(Cause::Race, Confidence::Medium, evidence).but(doubt))
}

fn by_likely_race(late: &Member<'_>, earlier: &[Member<'_>]) -> Option<Finding> {
    if late.seen(earlier).is_some() {
        return None;
    }
    // Two leads of one day are near each other by the file's lack of a time alone.
    let has_time = |member: &Member<'_>| member.lead.creation_precision() != Some(Precision::Day);
    let may_race = |member: &Member<'_>| {
        has_time(member)
            && (member.source().is_none() || member.came_by_api() || member.came_by_form())
    };
    let (rival, apart) = earlier
        .iter()
        .filter(|member| may_race(member))
        .filter_map(|member| Some((member, (late.at? - member.at?).num_seconds())))
        .min_by_key(|(_, seconds)| *seconds)
        .filter(|(_, seconds)| *seconds <= RACE_SECONDS && may_race(late))?;
    let known = rival.source().is_some() && late.source().is_some();
    // A lead that is in the CRM and whose source nobody knows came from there as likely as not.
    if !known && (late.in_crm() || rival.in_crm()) {
        return None;
    }
    let both_by_api = rival.came_by_api() && late.came_by_api();
    let to_the_minute = [late, rival]
        .iter()
        .any(|member| member.lead.creation_precision() == Some(Precision::Minute));
    let apart = match apart {
        0 if to_the_minute => "in the same minute".to_owned(),
        0 => "in the same second".to_owned(),
        apart => format!("{apart} s apart"),
    };
    let how = match (both_by_api, known) {
        (true, _) => ", both by the API",
        (false, true) => ", by a form and the API or by two forms",
        (false, false) => "; how is not in the cache",
    };
    let evidence = format!(
        "leads {} and {} were created {apart}, within the {RACE_SECONDS} s that a call may take{how}",
        rival.id(),
        late.id()
    );
    let confidence = if both_by_api { Confidence::Medium } else { Confidence::Low };
    let doubt = match late.arrived() {
        Some(arrived) => format!(
            "the call that made lead {} arrived at {}, and nobody can tell whether lead {} was there by then",
            late.id(),
            millis(arrived),
            rival.id()
        ),
        None => format!("no request id says when the call that made lead {} arrived", late.id()),
    };
    Some(Finding::new(Cause::Race, confidence, evidence).but(doubt))
}

fn by_crm_ids(late: &Member<'_>, earlier: &[Member<'_>]) -> Option<Finding> {
    let rival = earlier.iter().find(|member| member.in_crm());
    let (confidence, evidence) = match (late.in_crm(), rival) {
        (true, Some(rival)) => (
            Confidence::High,
            format!(
                "leads {} and {} are two records of the CRM, whose sync looks for no address",
                rival.id(),
                late.id()
            ),
        ),
        (true, None) => (
            Confidence::Medium,
            format!("lead {} is a record of the CRM, and came {}", late.id(), after(late, earlier)),
        ),
        (false, Some(rival)) if !late.came_by_api() => (
            Confidence::Low,
            format!(
                "lead {} is a record of the CRM, lead {} is known to Marketo alone",
                rival.id(),
                late.id()
            ),
        ),
        (false, _) => return None,
    };
    Some(Finding::new(Cause::Crm, confidence, evidence))
}

fn by_create_duplicate(late: &Member<'_>, earlier: &[Member<'_>]) -> Option<Finding> {
    if !late.came_by_api() {
        return None;
    }
    let Some((seen, arrived)) = late.seen(earlier).zip(late.arrived()) else {
        let evidence = format!(
            "the API created lead {} {}, when an upsert would have found that one; or an address was changed later",
            late.id(),
            after(late, earlier)
        );
        return Some(Finding::new(Cause::CreateDuplicate, Confidence::Low, evidence));
    };
    let evidence = format!(
        "the call that made lead {} ({}{}) arrived at {}, when lead {} was there: an upsert would have found it, and this was none",
        late.id(),
        late.request_id().unwrap_or_default(),
        by(late),
        millis(arrived),
        seen.id()
    );
    Some(
        Finding::new(Cause::CreateDuplicate, Confidence::Medium, evidence).but(
            "unless one of the addresses was changed later, or the call looked for another field",
        ),
    )
}

impl Finding {
    fn new(cause: Cause, confidence: Confidence, evidence: String) -> Self {
        Self { cause, confidence, evidence, doubt: None }
    }

    fn but(self, doubt: impl Into<String>) -> Self {
        Self { doubt: Some(doubt.into()), ..self }
    }
}

/// `, by webshop@api.example.com`, where it is known.
fn by(member: &Member<'_>) -> String {
    member.api_user().map(|user| format!(", by {user}")).unwrap_or_default()
}

fn millis(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn seconds(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}
