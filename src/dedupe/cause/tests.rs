//! Each cause, told by what the leads hold.

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;

use super::{Cause, Confidence, explain};
use crate::lead::{Birth, Lead};

const API: &str = "Web service API";
const FORM: &str = "Web form fillout";
const CRM: &str = "Salesforce.com";

fn lead(id: u64, second: u32, source: &str) -> Lead {
    let created =
        format!("2026-01-01T{:02}:{:02}:{:02}Z", second / 3_600, second / 60 % 60, second % 60);
    Lead::new(id)
        .with("email", "ada@example.com")
        .with("createdAt", created)
        .with("originalSourceType", source)
}

#[test]
fn each_cause_is_told_by_what_the_leads_hold() {
    let first = lead(1, 0, API);
    for (second, cause, confidence) in [
        (lead(2, 0, API), Cause::Race, Confidence::Medium),
        (lead(2, 90, API), Cause::Race, Confidence::Medium),
        (lead(2, 91, API), Cause::CreateDuplicate, Confidence::Low),
        (lead(2, 1, FORM), Cause::Race, Confidence::Low),
        (lead(2, 1, ""), Cause::Race, Confidence::Low),
        (lead(2, 300, "List import"), Cause::Import, Confidence::Medium),
        (lead(2, 1, "List import"), Cause::Import, Confidence::Medium),
        (lead(2, 300, FORM), Cause::Unknown, Confidence::Low),
        (lead(2, 1, CRM), Cause::Crm, Confidence::Medium),
        (lead(2, 300, CRM).with("sfdcLeadId", "00Q1"), Cause::Crm, Confidence::Medium),
        (lead(2, 1, "").with("sfdcLeadId", "00Q1"), Cause::Crm, Confidence::Medium),
        (lead(2, 1, API).with("leadPartitionId", 2), Cause::Race, Confidence::Medium), // the first one's is not known
    ] {
        let told = explain(&[second.clone(), first.clone()], &[]);
        assert_eq!((told.cause, told.confidence), (cause, confidence), "{:?}", told.evidence);
    }
}

#[test]
fn the_evidence_is_in_words_with_numbers() {
    for (second, evidence) in [
        (
            lead(18, 2, API),
            "leads 17 and 18 were created 2 s apart, within the 90 s that a call may take, both by the API",
        ),
        (
            lead(18, 0, API),
            "leads 17 and 18 were created in the same second, within the 90 s that a call may take, both by the API",
        ),
        (lead(18, 180, "List import"), "lead 18 came by a list import, 3 min after lead 17"),
        (
            lead(18, 7_200, CRM),
            "lead 18 came from the CRM, whose sync looks for no address, 2 h after lead 17",
        ),
        (
            lead(18, 100, API),
            "the API created lead 18 100 s after lead 17, when an upsert would have found that one; or an address was changed later",
        ),
        (
            lead(18, 100, FORM),
            "lead 18 was created 100 s after lead 17, and nothing that is known of it says why",
        ),
    ] {
        assert_eq!(explain(&[lead(17, 0, API), second], &[]).evidence, [evidence]);
    }
}

#[test]
fn two_partitions_are_told_apart_from_a_race() {
    let told = explain(
        &[lead(1, 0, API).with("leadPartitionId", 1), lead(2, 0, API).with("leadPartitionId", 2)],
        &[],
    );
    assert_eq!((told.cause, told.confidence), (Cause::Partition, Confidence::High));
    let evidence =
        told.evidence[0].replace(birth(18, 9, 7_999).request_id.as_deref().unwrap(), "REQUEST");
    assert_eq!(
        [evidence],
        ["lead 2 is in partition 2 and lead 1 in partition 1, each of which may hold an address"]
    );
}

#[test]
fn where_a_lead_came_from_weighs_more_than_where_it_is_synced() {
    let (contact, crm_lead) = (
        |lead: Lead| lead.with("sfdcContactId", "0031"),
        |lead: Lead| lead.with("sfdcLeadId", "00Q1"),
    );
    for (leads, cause, confidence) in [
        // Both were born by the API within a second, and sent to the CRM afterwards.
        ([crm_lead(lead(1, 0, API)), crm_lead(lead(2, 1, API))], Cause::Race, Confidence::Medium),
        ([crm_lead(lead(1, 0, "")), contact(lead(2, 1, ""))], Cause::Crm, Confidence::High),
        ([crm_lead(lead(1, 0, CRM)), contact(lead(2, 9_000, CRM))], Cause::Crm, Confidence::High),
        ([lead(1, 0, FORM), contact(lead(2, 9_000, ""))], Cause::Crm, Confidence::Medium),
        ([contact(lead(1, 0, CRM)), lead(2, 9_000, FORM)], Cause::Crm, Confidence::Low),
        ([contact(lead(1, 0, CRM)), lead(2, 9_000, API)], Cause::CreateDuplicate, Confidence::Low),
    ] {
        let told = explain(&leads, &[]);
        assert_eq!((told.cause, told.confidence), (cause, confidence), "{:?}", told.evidence);
    }
}

#[test]
fn a_group_of_several_causes_has_that_of_most_of_its_leads_and_names_the_others() {
    let mut leads: Vec<Lead> = (1..=6).map(|id| lead(id, 0, API)).collect();
    leads.push(lead(7, 300, "List import"));
    let told = explain(&leads, &[]);
    assert_eq!((told.cause, told.confidence), (Cause::Race, Confidence::Medium));
    assert_eq!(told.evidence.len(), 5);
    assert_eq!(told.evidence[3], "and 2 more of its records likewise");
    assert_eq!(
        told.evidence[4],
        "list import for 1 of its records: lead 7 came by a list import, 5 min after lead 6"
    );
}

#[test]
fn leads_without_creation_times_have_no_known_cause() {
    let told = explain(&[Lead::new(1), Lead::new(2)], &[]);
    assert_eq!(told.cause, Cause::Unknown);
    assert_eq!(
        told.evidence,
        ["lead 2 was created beside lead 1, and nothing that is known of it says why"]
    );
    assert_eq!(explain(&[], &[]).cause, Cause::Unknown);
}

fn any_leads() -> impl Strategy<Value = (Vec<Lead>, Vec<Lead>)> {
    let source = prop_oneof![Just(API), Just(FORM), Just(CRM), Just("List import"), Just("")];
    let one = (0..400_u32, source, 0..3_u64, any::<bool>());
    proptest::collection::vec(one, 0..8)
        .prop_map(|leads| {
            let leads = leads.into_iter().zip(1..).map(|((second, source, partition, crm), id)| {
                let lead =
                    lead(id, second, source).with("sfdcLeadId", if crm { "00Q1" } else { "" });
                if partition == 0 { lead } else { lead.with("leadPartitionId", partition) }
            });
            leads.collect::<Vec<_>>()
        })
        .prop_flat_map(|leads| (Just(leads.clone()), Just(leads).prop_shuffle()))
}

proptest! {
    #[test]
    fn the_order_of_arrival_changes_nothing((leads, shuffled) in any_leads()) {
        prop_assert_eq!(explain(&leads, &[]), explain(&shuffled, &[]));
    }

    #[test]
    fn without_request_ids_a_race_is_never_certain((leads, _) in any_leads()) {
        let told = explain(&leads, &[]);
        prop_assert!(told.cause != Cause::Race || told.confidence < Confidence::High);
    }

    #[test]
    fn whatever_is_claimed_has_evidence((leads, _) in any_leads()) {
        prop_assert_eq!(explain(&leads, &[]).evidence.is_empty(), leads.len() < 2);
    }
}

/// The birth of [`lead`] by a call that arrived so many milliseconds after the start of 2026.
fn birth(id: u64, second: u32, arrived: i64) -> Birth {
    let start: DateTime<Utc> = "2026-01-01T00:00:00Z".parse().unwrap();
    Birth {
        source_type: Some(API.to_owned()),
        api_user: Some("webshop@api.example.com".to_owned()),
        request_id: Some(format!("{id:x}#{:x}", start.timestamp_millis() + arrived)),
        ..Birth::new(id, start + TimeDelta::seconds(second.into()))
    }
}

#[test]
fn a_race_is_proved_by_a_call_that_arrived_before_the_other_lead_was_there() {
    let leads = [lead(17, 8, API), lead(18, 9, API)];
    let told = explain(&leads, &[birth(17, 8, 5_354), birth(18, 9, 7_999)]);
    assert_eq!((told.cause, told.confidence), (Cause::Race, Confidence::High));
    let evidence =
        told.evidence[0].replace(birth(18, 9, 7_999).request_id.as_deref().unwrap(), "REQUEST");
    assert_eq!(
        [evidence],
        [
            "the call that made lead 18 (REQUEST, by webshop@api.example.com) arrived at 2026-01-01T00:00:07.999Z, \
          before lead 17 was there at 2026-01-01T00:00:08Z: it could not see it"
        ]
    );
    assert_eq!(told.doubts, Vec::<String>::new());
    assert_eq!(told.late[0].api_user.as_deref(), Some("webshop@api.example.com"));
}

#[test]
fn a_call_that_arrived_within_the_second_of_the_birth_proves_nothing() {
    let leads = [lead(17, 8, API), lead(18, 9, API)];
    for (arrived, expected) in [
        (7_999, (Cause::Race, Confidence::High)),
        (8_000, (Cause::Race, Confidence::Medium)),
        (8_999, (Cause::Race, Confidence::Medium)),
        (9_000, (Cause::CreateDuplicate, Confidence::Medium)),
    ] {
        let told = explain(&leads, &[birth(17, 8, 5_354), birth(18, 9, arrived)]);
        assert_eq!((told.cause, told.confidence), expected, "{arrived}: {:?}", told.evidence);
        assert_eq!(told.doubts.is_empty(), told.confidence == Confidence::High);
    }
}

#[test]
fn two_leads_of_one_request_came_from_one_call() {
    let leads = [lead(17, 8, API), lead(18, 8, API)];
    let mut second = birth(18, 8, 7_000);
    second.request_id = birth(17, 8, 7_000).request_id;
    let told = explain(&leads, &[birth(17, 8, 7_000), second]);
    assert_eq!((told.cause, told.confidence), (Cause::Race, Confidence::High));
    assert!(told.evidence[0].ends_with("which named the address twice"), "{:?}", told.evidence);
}

#[test]
fn a_call_that_could_see_any_lead_of_the_group_is_no_proof_of_a_race() {
    let leads = [lead(1, 0, FORM), lead(17, 4_008, API), lead(18, 4_009, API)];
    let form = Birth { source_type: Some(FORM.to_owned()), request_id: None, ..birth(1, 0, 0) };
    let told = explain(&leads, &[form, birth(17, 4_008, 4_007_000), birth(18, 4_009, 4_007_500)]);
    assert!(told.late.iter().all(|late| late.confidence < Confidence::High), "{told:?}");
}

#[test]
fn what_an_upsert_overlapped_with_the_crm_is_not_certain() {
    let leads = [lead(17, 8, CRM), lead(18, 9, API)];
    let synced = Birth { source_type: Some(CRM.to_owned()), request_id: None, ..birth(17, 8, 0) };
    let told = explain(&leads, &[synced, birth(18, 9, 7_000)]);
    assert_eq!((told.cause, told.confidence), (Cause::Race, Confidence::Medium));
}

#[test]
fn the_birth_of_a_lead_that_was_merged_in_says_nothing_about_the_winners() {
    let leads = [lead(17, 8, API), lead(18, 20, API)];
    let merged_in = Birth { lead: 17, ..birth(16, 30, 29_000) };
    let told = explain(&leads, &[birth(17, 8, 5_354), birth(18, 20, 19_000), merged_in]);
    assert_eq!(told.cause, Cause::CreateDuplicate);
}

#[test]
fn births_weigh_more_than_fields_that_anybody_can_edit() {
    let leads = [lead(17, 8, FORM), lead(18, 9, FORM)];
    let told = explain(&leads, &[birth(17, 8, 5_354), birth(18, 9, 6_000)]);
    assert_eq!((told.cause, told.confidence), (Cause::Race, Confidence::High));
}

#[test]
fn a_lead_that_was_there_for_both_calls_is_seen_though_its_own_birth_is_not_known() {
    let leads = [lead(1, 0, API), lead(17, 4_008, API), lead(18, 4_009, API)];
    let told = explain(&leads, &[birth(17, 4_008, 4_007_000), birth(18, 4_009, 4_007_500)]);
    assert_eq!(
        (told.cause, told.confidence),
        (Cause::CreateDuplicate, Confidence::Medium),
        "{told:?}"
    );
}

#[test]
fn one_call_that_could_see_a_lead_and_made_two_more_was_no_race() {
    let leads = [lead(1, 0, API), lead(17, 4_008, API), lead(18, 4_008, API)];
    let mut second = birth(18, 4_008, 4_007_000);
    second.request_id = birth(17, 4_008, 4_007_000).request_id;
    let told = explain(&leads, &[birth(1, 0, -500), birth(17, 4_008, 4_007_000), second]);
    assert!(told.late.iter().all(|late| late.cause == Cause::CreateDuplicate), "{told:?}");
}
