//! What the sandbox does to its clients beyond the letter of the API: values that are not kept,
//! people who change meanwhile, reads that lag, merges that are refused. Each over HTTP, as a
//! client meets it.

use reqwest::Method;
use serde_json::{Value, json};

use mkto_sandbox::{Deed, Fault, Meanwhile, ObjectSpec, Screens};

use crate::support::caller::Caller;
use crate::support::{Instance, quick};

fn with(knobs: &[&str]) -> Instance {
    let mut options = quick();
    for knob in knobs.iter().chain(&["merge_ms=0", "activity_delay_ms=0"]) {
        options.set_knob(knob).unwrap();
    }
    Instance::start(options)
}

fn faulty(faults: &[&str]) -> Instance {
    let mut options = quick();
    options.set_knob("merge_ms=0").unwrap();
    for fault in faults {
        options.set_fault(fault).unwrap();
    }
    Instance::start(options)
}

fn put(instance: &Instance, fields: &Value) -> u64 {
    instance.sandbox.put_lead(fields)
}

/// Writes to a lead by id, and gives the row of the answer: `updated`, or the code of the reason.
fn write(caller: &Caller<'_>, id: u64, fields: &Value) -> String {
    let mut record = fields.clone();
    record["id"] = json!(id);
    let body = json!({"action": "updateOnly", "lookupField": "id", "input": [record]});
    let row = caller.post("/rest/v1/leads.json", &body)["result"][0].clone();
    row["reasons"][0]["code"].as_str().unwrap_or_else(|| row["status"].as_str().unwrap()).to_owned()
}

fn read(caller: &Caller<'_>, id: u64, field: &str) -> Value {
    let path = format!("/rest/v1/leads.json?filterType=id&filterValues={id}&fields={field}");
    caller.get(&path)["result"][0][field].clone()
}

fn ids(caller: &Caller<'_>, values: &[u64]) -> Vec<u64> {
    let values = values.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
    let page =
        caller.get(&format!("/rest/v1/leads.json?filterType=id&filterValues={values}&fields=id"));
    page["result"].as_array().unwrap().iter().map(|row| row["id"].as_u64().unwrap()).collect()
}

/// Merges, and gives `ok` or the code of the refusal.
fn merge(caller: &Caller<'_>, winner: u64, losers: &[u64]) -> String {
    let losers = losers.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
    let request = caller
        .request(Method::POST, &format!("/rest/v1/leads/{winner}/merge.json?leadIds={losers}"));
    let answer = caller.send(request.header("content-length", "0"));
    answer["errors"][0]["code"].as_str().unwrap_or("ok").to_owned()
}

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

#[test]
fn a_read_shows_a_lead_as_it_was_once_a_change() {
    let mut options = quick();
    options.set_knob("clock_speed=1").unwrap();
    options.set_knob("merge_ms=0").unwrap();
    options.set_fault("stale_read=1").unwrap();
    let instance = Instance::start(options);
    let caller = Caller::new(&instance);
    let [winner, loser] =
        [(); 2].map(|()| put(&instance, &json!({"email": "a@example.com", "city": "Oslo"})));
    assert_eq!(read(&caller, winner, "city"), "Oslo", "nothing changed yet");
    write(&caller, winner, &json!({"city": "Paris"}));
    assert_eq!(read(&caller, winner, "city"), "Oslo");
    assert_eq!(read(&caller, winner, "city"), "Paris");
    assert_eq!(merge(&caller, winner, &[loser]), "ok");
    assert_eq!(ids(&caller, &[loser]), [loser], "merged away, and still shown");
    assert_eq!(ids(&caller, &[loser]), [0_u64; 0]);
}

#[test]
fn a_read_leaves_a_lead_out_or_its_result() {
    let instance = with(&[]);
    let caller = Caller::new(&instance);
    let leads: Vec<u64> =
        (0..3).map(|_| put(&instance, &json!({"email": "a@example.com"}))).collect();
    instance.sandbox.fail_next("GET /rest/v1/leads", Fault::MissingRead);
    assert_eq!(ids(&caller, &leads).len(), 2);
    assert_eq!(ids(&caller, &leads), leads);
    instance.sandbox.fail_next("GET /rest/v1/leads", Fault::NoResult);
    let path = "/rest/v1/leads.json?filterType=email&filterValues=a@example.com&batchSize=2";
    let page = caller.get(path);
    assert_eq!((&page["success"], page.get("result")), (&json!(true), None));
    assert!(page["nextPageToken"].is_string(), "there is more all the same");
    assert_eq!(caller.get(path)["result"].as_array().unwrap().len(), 2);
}

#[test]
fn the_past_of_a_lead_is_kept_with_the_calls_that_made_it() {
    let instance = with(&[]);
    let caller = Caller::new(&instance);
    let winner = put(&instance, &json!({"email": "a@example.com", "leadScore": 1}));
    let loser = put(&instance, &json!({"email": "a@example.com", "leadScore": 2}));
    instance.sandbox.put_list(7, "Newsletter", &[loser]);
    instance.sandbox.put_program(9, "Webinar", &["Invited", "Attended"], &[(loser, "Attended")]);
    instance.sandbox.change_lead(loser, &json!({"city": "Paris"}));
    write(&caller, loser, &json!({"city": "Rome"}));
    assert!(instance.sandbox.lead_at_death(loser).is_none());
    assert_eq!(merge(&caller, winner, &[loser]), "ok");
    let end = instance.sandbox.lead_at_death(loser).unwrap();
    assert_eq!((&end.fields["city"], &end.fields["leadScore"]), (&json!("Rome"), &json!(2)));
    assert_eq!(
        (end.lists, end.programs[&9].as_str(), end.successes),
        (vec![7], "Attended", vec![9])
    );
    let history = instance.sandbox.history(loser);
    let cities: Vec<(&Value, &Value, bool)> =
        history.iter().map(|held| (&held.old, &held.new, held.by.is_some())).collect();
    assert_eq!(
        cities,
        [(&Value::Null, &json!("Paris"), false), (&json!("Paris"), &json!("Rome"), true)]
    );
    let of_winner = instance.sandbox.history(winner);
    let merged = of_winner.iter().find(|held| held.field == "leadScore").unwrap();
    assert_eq!((&merged.old, &merged.new), (&json!(1), &json!(3)));
    assert!(merged.by.as_deref().unwrap().contains("/merge"), "{merged:?}");
}

#[test]
fn a_merge_in_the_log_names_its_call_late_or_never() {
    for (knob, at_once, later) in [
        ("merge_activity=shown", true, true),
        ("merge_activity=late", false, true),
        ("merge_activity=hidden", false, false),
    ] {
        // Three minutes of Marketo's time pass in two seconds.
        let instance = with(&[knob, "clock_speed=100"]);
        let caller = Caller::new(&instance);
        let [winner, loser] = [(); 2].map(|()| put(&instance, &json!({"email": "a@example.com"})));
        let token =
            caller.get("/rest/v1/activities/pagingtoken.json?sinceDatetime=2020-01-01T00:00:00Z");
        let token = token["nextPageToken"].as_str().unwrap().to_owned();
        let row = || {
            let path = format!("/rest/v1/activities.json?nextPageToken={token}&activityTypeIds=32");
            caller.get(&path)["result"][0].clone()
        };
        assert_eq!(merge(&caller, winner, &[loser]), "ok");
        assert_eq!(!row().is_null(), at_once, "{knob}");
        let tries = if later { 20_000 } else { 500 };
        let seen = (0..tries).find_map(|_| Some(row()).filter(|row| !row.is_null()));
        assert_eq!(seen.is_some(), later, "{knob}");
        let Some(row) = seen else { continue };
        let attribute = |name: &str| {
            let all = row["attributes"].as_array().unwrap();
            all.iter()
                .find(|attribute| attribute["name"] == name)
                .map(|attribute| attribute["value"].clone())
        };
        assert_eq!(attribute("Merge IDs"), Some(json!(format!("[{loser}]"))));
        assert_eq!(attribute("Merge Source"), Some(json!("leaddb")));
        assert_eq!(attribute("api method name"), Some(json!("mergeLead")));
        assert!(attribute("modifying user").is_some());
        assert!(attribute("request id").unwrap().as_str().unwrap().contains('#'));
    }
}

#[test]
fn a_merge_can_be_answered_with_success_and_not_be_done_or_be_done_later() {
    let instance = with(&["clock_speed=600"]);
    let caller = Caller::new(&instance);
    let [winner, loser] = [(); 2].map(|()| put(&instance, &json!({"email": "a@example.com"})));
    instance.sandbox.fail_next("POST /rest/v1/leads/{id}/merge", Fault::IgnoredMerge);
    assert_eq!(merge(&caller, winner, &[loser]), "ok");
    assert_eq!(instance.sandbox.leads_living(), 2);
    instance.sandbox.fail_next("POST /rest/v1/leads/{id}/merge", Fault::LateMerge);
    let before = instance.sandbox.merged_into(loser);
    assert_eq!((merge(&caller, winner, &[loser]).as_str(), before), ("ok", None));
    let gone = (0..10_000).any(|_| ids(&caller, &[loser]).is_empty());
    assert!(gone, "the merge came after its answer");
}

#[test]
fn the_higher_status_of_a_loser_drops_with_its_success_and_can_be_set_again() {
    for (knob, status, successes) in
        [("merge_status=winner", "Invited", vec![]), ("merge_status=higher", "Attended", vec![9])]
    {
        let instance = with(&[knob]);
        let caller = Caller::new(&instance);
        let [winner, loser] = [(); 2].map(|()| put(&instance, &json!({"email": "a@example.com"})));
        let members = [(winner, "Invited"), (loser, "Attended")];
        instance.sandbox.put_program(
            9,
            "Webinar",
            &["Invited", "Registered", "Attended"],
            &members,
        );
        assert_eq!(merge(&caller, winner, &[loser]), "ok");
        let survivor = instance.sandbox.lead(winner).unwrap();
        assert_eq!(
            (survivor.programs[&9].as_str(), survivor.successes),
            (status, successes),
            "{knob}"
        );
    }

    let instance = with(&[]);
    let caller = Caller::new(&instance);
    let leads = [(); 2].map(|()| put(&instance, &json!({"email": "a@example.com"})));
    instance.sandbox.put_program(9, "Webinar", &["Invited", "Attended"], &[(leads[0], "Invited")]);
    let set = |path: &str, status: &str, leads: &[u64]| {
        let input: Vec<Value> = leads.iter().map(|lead| json!({"leadId": lead})).collect();
        caller.post(path, &json!({"statusName": status, "input": input}))
    };
    let path = "/rest/v1/programs/9/members/status.json";
    let answer = set(path, "Attended", &[leads[0], leads[1], 999]);
    let row = |place: usize| {
        let row = &answer["result"][place];
        (
            row["seq"].as_u64().unwrap(),
            row["leadId"].as_u64().unwrap(),
            row["status"].as_str().unwrap().to_owned(),
        )
    };
    assert_eq!(row(0), (0, leads[0], "updated".to_owned()));
    assert_eq!(row(1), (1, leads[1], "updated".to_owned()), "who was no member is one now");
    assert_eq!(row(2), (2, 999, "skipped".to_owned()));
    assert_eq!(instance.sandbox.lead(leads[1]).unwrap().successes, [9]);
    for status in ["Attended", "Invited"] {
        let answer = set("/rest/v1/leads/programs/9/status.json", status, &leads[..1]);
        assert_eq!(answer["result"][0]["reasons"][0]["code"], "1037", "at or past {status}");
    }
    assert_eq!(set(path, "Nowhere", &leads)["success"], false);
    assert_eq!(set(path, "Attended", &[leads[0]; 301])["errors"][0]["code"], "1003");
}

#[test]
fn a_finished_job_can_lack_its_checksum() {
    for (knob, present) in [("export_checksum=present", true), ("export_checksum=absent", false)] {
        let instance = with(&[knob, "clock_speed=2000"]);
        let caller = Caller::new(&instance);
        put(&instance, &json!({"email": "a@example.com", "createdAt": "2026-01-05T00:00:00Z"}));
        let window = json!({"startAt": "2026-01-01T00:00:00Z", "endAt": "2026-01-10T00:00:00Z"});
        let order = json!({"fields": ["id"], "filter": {"createdAt": window}});
        let job = caller.post("/bulk/v1/leads/export/create.json", &order)["result"][0].clone();
        let id = job["exportId"].as_str().unwrap();
        caller.post(&format!("/bulk/v1/leads/export/{id}/enqueue.json"), &json!({}));
        let done = (0..10_000).find_map(|_| {
            let job =
                caller.get(&format!("/bulk/v1/leads/export/{id}/status.json"))["result"][0].clone();
            (job["status"] == "Completed").then_some(job)
        });
        let done = done.unwrap();
        assert_eq!(done["fileChecksum"].is_string(), present, "{knob}");
        assert!(done["fileSize"].as_u64().unwrap() > 0);
    }
}

#[test]
fn custom_objects_show_their_link_as_it_was_written_and_may_be_refused() {
    let instance = with(&[]);
    let caller = Caller::new(&instance);
    let spellings = ["Id", "ID", "Lead Id", "Email Address", "email", "Some Unknown"];
    for (number, spelling) in spellings.iter().enumerate() {
        instance.sandbox.put_object(&ObjectSpec::linked(
            &format!("o{number}_c"),
            "owner",
            spelling,
        ));
    }
    let hidden = ObjectSpec::linked("hidden_c", "leadId", "Id").refused("603", "Access denied");
    instance.sandbox.put_object(&hidden);
    let listed = caller.get("/rest/v1/customobjects.json");
    let all = listed["result"].as_array().unwrap();
    assert_eq!(all.len(), spellings.len() + 1, "the list shows what may not be read, too");
    for (number, spelling) in spellings.iter().enumerate() {
        let described = caller.get(&format!("/rest/v1/customobjects/o{number}_c/describe.json"));
        let related = json!([{
            "field": "owner", "type": "child", "relatedTo": {"name": "Lead", "field": spelling},
        }]);
        assert_eq!(described["result"][0]["relationships"], related);
        assert_eq!(all[number]["relationships"], related);
    }
    for path in ["hidden_c/describe.json", "hidden_c.json?filterType=leadId&filterValues=1"] {
        assert_eq!(
            caller.get(&format!("/rest/v1/customobjects/{path}"))["errors"][0]["code"],
            "603"
        );
    }

    let [first, second] = ["a@example.com", "Acme, Inc."];
    for owner in [first, second] {
        instance.sandbox.put_object_row("o4_c", &json!({"owner": owner, "model": "T, blue"}));
    }
    let found = |value: &str| {
        let path = "/rest/v1/customobjects/o4_c.json?filterType=owner";
        caller.get(&format!("{path}&filterValues={value}"))["result"].as_array().unwrap().len()
    };
    assert_eq!(
        (found(first), found("Acme%2C%20Inc.")),
        (1, 0),
        "nothing with a comma can be looked up"
    );
    let rows =
        caller.get("/rest/v1/customobjects/o4_c.json?filterType=owner&filterValues=a@example.com");
    assert_eq!(rows["result"][0]["model"], "T, blue");
    let fields =
        caller.get("/rest/v1/customobjects/o4_c/describe.json")["result"][0]["fields"].clone();
    let names: Vec<&str> =
        fields.as_array().unwrap().iter().map(|field| field["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["marketoGUID", "owner", "model"]);
}
