//! What the sandbox does to its clients beyond the letter of the API: values that are not kept,
//! people who change meanwhile, merges that are refused. Each over HTTP, as a
//! client meets it.

use mkto_sandbox::{Deed, Meanwhile, Screens};
use serde_json::{Value, json};

use crate::support::caller::Caller;
use crate::support::sandboxes::{faulty, ids, merge, put, read, with, write};

#[test]
fn a_blocked_field_is_answered_updated_and_keeps_its_value() {
    for (knob, of_empty) in [("blocked=non_empty", json!("New")), ("blocked=always", Value::Null)] {
        let instance = with(&["blocked_fields=phone,title", knob]);
        let caller = Caller::new(&instance);
        let lead = put(&instance, &json!({"email": "ada@example.com", "phone": "1"}));
        let fields = json!({"phone": "2", "title": "New", "city": "Paris"});
        assert_eq!(write(&caller, lead, &fields), "updated");
        assert_eq!(read(&caller, lead, "phone"), "1");
        assert_eq!(read(&caller, lead, "title"), of_empty, "{knob}");
        assert_eq!(read(&caller, lead, "city"), "Paris");
    }
}

#[test]
fn values_are_stored_as_marketo_stores_them_and_describe_says_how_long_they_may_be() {
    let instance = with(&[]);
    let caller = Caller::new(&instance);
    let lead = put(&instance, &json!({"email": "ada@example.com"}));
    let long = "x".repeat(300);
    let fields = json!({
        "title": " Countess ", "phone": "+1 555.010.0100", "city": "Paris 🗼 rive gauche", "company": long,
        "address": long, "lastPurchaseAt": "2026-01-02T03:04:05+0100", "lifetimeValue": "12",
    });
    assert_eq!(write(&caller, lead, &fields), "1003", "a zone without a colon is none");
    let mut fields = fields;
    fields["lastPurchaseAt"] = json!("2026-01-02T03:04:05.678+01:00");
    assert_eq!(write(&caller, lead, &fields), "updated");
    for (field, stored) in [
        ("title", json!("Countess")),
        ("phone", json!("+1 (555) 010-0100")),
        ("city", json!("Paris ")),
        ("company", json!("x".repeat(255))),
        ("address", json!(long)),
        ("lastPurchaseAt", json!("2026-01-02T02:04:05Z")),
        ("lifetimeValue", json!(12.0)),
    ] {
        assert_eq!(read(&caller, lead, field), stored, "{field}");
    }
    let described = caller.get("/rest/v1/leads/describe2.json");
    let length = |name: &str| {
        let fields = described["result"][0]["fields"].as_array().unwrap();
        fields.iter().find(|field| field["name"] == name).unwrap()["length"].clone()
    };
    assert_eq!(
        [length("title"), length("phone"), length("address"), length("notes"), length("leadScore")],
        [json!(255), json!(255), json!(2_000), json!(30_000), Value::Null]
    );
}

#[test]
fn normalising_and_cutting_can_be_turned_off_and_long_values_can_be_refused() {
    let instance = with(&["normalise=off", "cut=off", "long_values=1003"]);
    let caller = Caller::new(&instance);
    let lead = put(&instance, &json!({"email": "ada@example.com"}));
    assert_eq!(write(&caller, lead, &json!({"title": " 🚀 ", "phone": "555.010.0100"})), "updated");
    assert_eq!(
        (read(&caller, lead, "title"), read(&caller, lead, "phone")),
        (json!(" 🚀 "), json!("555.010.0100"))
    );
    assert_eq!(write(&caller, lead, &json!({"title": "x".repeat(256), "city": "Paris"})), "1003");
    assert_eq!(read(&caller, lead, "city"), Value::Null, "the whole record was skipped");
}

#[test]
fn a_field_can_refuse_every_value_and_a_campaign_can_write_over_one_at_once() {
    let instance =
        with(&["refused_fields=title", "overwritten_fields=leadStatus:Recycled,leadScore:7"]);
    let caller = Caller::new(&instance);
    let lead = put(&instance, &json!({"email": "ada@example.com"}));
    assert_eq!(write(&caller, lead, &json!({"title": "Countess", "city": "Paris"})), "1003");
    assert_eq!(read(&caller, lead, "city"), Value::Null);
    assert_eq!(write(&caller, lead, &json!({"leadStatus": "Open", "leadScore": 70})), "updated");
    assert_eq!(read(&caller, lead, "leadStatus"), "Recycled");
    assert_eq!(read(&caller, lead, "leadScore"), 7);
    assert_eq!(write(&caller, lead, &json!({"city": "Paris"})), "updated");
    let fields: Vec<String> =
        instance.sandbox.history(lead).into_iter().map(|held| held.field).collect();
    assert_eq!(fields, ["leadStatus", "leadScore", "leadStatus", "leadScore", "city"]);
}

#[test]
fn a_merge_adds_scores_up_and_can_leave_fields_empty() {
    for (knob, score) in [("merge_score=sum", json!(17)), ("merge_score=winner", json!(10))] {
        let instance = with(&[knob, "merge_empties=phone,lastName"]);
        let caller = Caller::new(&instance);
        let fields = |score: Value| json!({"email": "a@example.com", "leadScore": score, "phone": "1", "lastName": "L"});
        let winner = put(&instance, &fields(json!(10)));
        let losers = [put(&instance, &fields(json!(5))), put(&instance, &fields(json!(2)))];
        assert_eq!(merge(&caller, winner, &losers), "ok");
        assert_eq!(read(&caller, winner, "leadScore"), score, "{knob}");
        assert_eq!(
            (read(&caller, winner, "phone"), read(&caller, winner, "lastName")),
            (Value::Null, Value::Null)
        );
        assert_eq!(
            read(&caller, winner, "behaviorScore"),
            Value::Null,
            "nothing and nothing is nothing"
        );
    }
}

#[test]
fn what_a_caller_may_not_write_is_refused_and_a_merge_moves_it_all_the_same() {
    let instance = with(&[]);
    let caller = Caller::new(&instance);
    let winner = put(&instance, &json!({"email": "a@example.com", "firstName": "Ada"}));
    let loser = put(
        &instance,
        &json!({"email": "a@example.com", "firstTouchChannel": "Web", "accountTier": "Gold"}),
    );
    for field in
        ["firstTouchChannel", "accountTier", "leadPerson", "mktoName", "personPrimaryLeadInterest"]
    {
        assert_eq!(write(&caller, winner, &json!({ field: "x" })), "1003", "{field}");
    }
    let described = caller.get("/rest/v1/leads/describe2.json");
    let fields = described["result"][0]["fields"].as_array().unwrap();
    let facts = |name: &str| {
        let field = fields.iter().find(|field| field["name"] == name).unwrap();
        (field["updateable"].as_bool().unwrap(), field["crmManaged"].as_bool().unwrap())
    };
    assert_eq!((facts("firstTouchChannel"), facts("accountTier")), ((false, false), (false, true)));
    assert_eq!(read(&caller, winner, "leadPerson"), winner.to_string());
    assert_eq!(read(&caller, winner, "mktoName"), "Ada");
    assert_eq!(merge(&caller, winner, &[loser]), "ok");
    assert_eq!(read(&caller, winner, "firstTouchChannel"), "Web");
    assert_eq!(read(&caller, winner, "accountTier"), "Gold");
    assert_eq!(read(&caller, winner, "leadPerson"), winner.to_string());
}

#[test]
fn merges_are_refused_by_lead_with_the_code_that_was_ordered_or_drawn() {
    let instance = with(&[]);
    let caller = Caller::new(&instance);
    let leads: Vec<u64> =
        (0..3).map(|_| put(&instance, &json!({"email": "a@example.com"}))).collect();
    instance.sandbox.refuse_merge(leads[1], "1077", "Value too long");
    assert_eq!(merge(&caller, leads[0], &leads[1..]), "1077");
    assert_eq!(merge(&caller, leads[1], &leads[2..]), "1077");
    assert_eq!(merge(&caller, leads[0], &leads[2..]), "ok");

    let instance = with(&["refused_merges=0.5"]);
    let caller = Caller::new(&instance);
    let mut codes = std::collections::BTreeSet::new();
    for _ in 0..30 {
        let pair = [(); 2].map(|()| put(&instance, &json!({"email": "a@example.com"})));
        let code = merge(&caller, pair[0], &pair[1..]);
        assert_eq!(merge(&caller, pair[0], &pair[1..]) == code, code != "ok", "it stays refused");
        codes.insert(code);
    }
    assert!(codes.contains("ok") && codes.len() > 3, "{codes:?}");
}

#[test]
fn people_act_while_a_call_runs_and_all_of_it_is_written_down() {
    let instance = with(&[]);
    let caller = Caller::new(&instance);
    let leads: Vec<u64> =
        (0..6).map(|_| put(&instance, &json!({"email": "a@example.com"}))).collect();
    let sandbox = &instance.sandbox;
    let change = |lead, city: &str| Meanwhile::Change { lead, fields: json!({ "city": city }) };
    sandbox.at_call("/merge.json", 2, change(leads[2], "Paris"));
    sandbox.at_call("/merge.json", 2, Meanwhile::OptOut { lead: leads[0] });
    assert_eq!(merge(&caller, leads[0], &[leads[1]]), "ok");
    assert!(sandbox.meddled().is_empty(), "the second call was meant");
    assert_eq!(merge(&caller, leads[0], &[leads[2]]), "ok");
    assert_eq!(
        sandbox.lead_at_death(leads[2]).unwrap().fields["city"],
        "Paris",
        "changed before it went"
    );
    assert_eq!(read(&caller, leads[0], "city"), "Paris");
    assert_eq!(read(&caller, leads[0], "unsubscribed"), true);

    sandbox.before_call(
        &format!("/leads/{}/merge.json", leads[0]),
        1,
        Meanwhile::Delete { lead: leads[3] },
    );
    assert_eq!(merge(&caller, leads[0], &[leads[3]]), "1004");
    let by_hand = Meanwhile::Merge { winner: leads[0], losers: vec![leads[4]] };
    sandbox.at_call("GET /rest/v1/leads.json", 1, by_hand);
    assert_eq!(ids(&caller, &leads[4..]), leads[4..], "what a read shows has been read by then");
    assert_eq!(ids(&caller, &leads[4..]), leads[5..]);
    sandbox.after_call("/leads.json", 1, change(leads[5], "Rome"));
    assert_eq!(write(&caller, leads[5], &json!({"city": "Oslo"})), "updated");
    assert_eq!(read(&caller, leads[5], "city"), "Rome");
    let lead = leads[5];
    let opt_out = move |screens: &Screens<'_>| assert!(screens.opt_out(lead));
    sandbox.at_call("/leads.json", 1, Meanwhile::Run(Box::new(opt_out)));
    assert_eq!(write(&caller, lead, &json!({"unsubscribed": false})), "updated");
    assert_eq!(read(&caller, lead, "unsubscribed"), false, "the call wrote last");

    let deeds: Vec<(Deed, u64)> =
        sandbox.meddled().iter().map(|done| (done.what, done.lead)).collect();
    let (change, opt_out) = (Deed::Change, Deed::OptOut);
    let expected =
        [(change, 2), (opt_out, 0), (Deed::Delete, 3), (Deed::Merge, 0), (change, 5), (opt_out, 5)];
    assert_eq!(deeds, expected.map(|(what, place)| (what, leads[place])));
    assert_eq!(sandbox.meddled()[0].at_call, "POST /rest/v1/leads/{id}/merge");
    assert_eq!(sandbox.meddled()[0].fields["city"], "Paris");
}

#[test]
fn a_fault_meddles_with_the_leads_that_a_call_touches_and_with_nobody_else() {
    for (fault, deed) in [
        ("meddle_change=1", Deed::Change),
        ("meddle_opt_out=1", Deed::OptOut),
        ("meddle_delete=1", Deed::Delete),
        ("meddle_merge=1", Deed::Merge),
    ] {
        let instance = faulty(&[fault]);
        let caller = Caller::new(&instance);
        let [first, mate] = [(); 2].map(|()| put(&instance, &json!({"email": "a@example.com"})));
        let stranger = put(&instance, &json!({"email": "b@example.com"}));
        let before = instance.sandbox.lead(stranger);
        write(&caller, first, &json!({"city": "Paris"}));
        let meddled = instance.sandbox.meddled();
        assert_eq!(meddled.len(), 1, "{fault}");
        assert_eq!(meddled[0].what, deed);
        assert!([first, mate].contains(&meddled[0].lead));
        assert_eq!(instance.sandbox.lead(stranger), before);
        for (field, value) in &meddled[0].fields {
            assert_eq!(
                instance.sandbox.lead(meddled[0].lead).unwrap().fields[field],
                *value,
                "{field}"
            );
        }
    }
}
