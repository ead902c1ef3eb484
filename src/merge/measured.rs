//! What `probe` measured of the instance, as the ledger keeps it.
//!
//! For: plans, merges and whoever tells about them read it in one way. Never: goes on with a
//! profile that is not what was measured, or that is another instance's.

use super::error::Error;
use crate::dedupe::{FieldFacts, InstanceProfile, ProfileName};
use crate::ledger::Ledger;

/// The profile that is in force; none where nothing was measured.
pub fn instance_profile(ledger: &Ledger) -> Result<Option<(ProfileName, InstanceProfile)>, Error> {
    let Some(kept) = ledger.instance_profile()? else { return Ok(None) };
    InstanceProfile::of_kept(kept.probe, &kept.body, &kept.sha256, &kept.instance)
        .map(Some)
        .map_err(|what| Error::UnusableProfile { probe: kept.probe, what })
}

/// Lets decisions and predictions rest on what was measured. A block that was seen long ago may be
/// lifted: the value is tried again, and whichever value the field then holds is foreseen.
pub(super) fn take_measured(
    facts: &mut FieldFacts,
    profile: &InstanceProfile,
    name: ProfileName,
    is_fresh: bool,
) {
    let blocked = profile.blocked();
    facts.measured = profile.measured(name);
    if is_fresh {
        facts.not_taken.extend(blocked);
    } else {
        facts.measured.tested.retain(|field| !blocked.contains(field));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dedupe::{Answer, Question};

    #[test]
    fn a_block_that_was_measured_long_ago_is_neither_blocked_nor_free() {
        let fields = [("title", "always"), ("city", "free")];
        let fields = fields.map(|(field, found)| (field.to_owned(), found.to_owned())).into();
        let profile = InstanceProfile {
            form: InstanceProfile::FORM,
            instance: "a".to_owned(),
            measured_at: "2026-11-30T08:00:00Z".parse().unwrap(),
            by: None,
            answers: vec![Answer { fields, ..Answer::found(Question::BlockedFields, "some") }],
        };
        let taken = |is_fresh| {
            let mut facts = FieldFacts::default();
            let (measured_at, sha256) = (profile.measured_at, String::new());
            let name = ProfileName { probe: 1, measured_at, sha256 };
            take_measured(&mut facts, &profile, name, is_fresh);
            let names = |all: std::collections::BTreeSet<String>| Vec::from_iter(all).join(" ");
            (names(facts.not_taken), names(facts.measured.tested))
        };
        assert_eq!(taken(true), ("title".to_owned(), "city title".to_owned()));
        assert_eq!(taken(false), (String::new(), "city".to_owned()));
    }
}
