//! What the sandbox shows late, in part or never: reads that lag, merges that the log names late,
//! jobs without a checksum.

use mkto_sandbox::{Fault, ObjectSpec};
use serde_json::{Value, json};

use crate::support::caller::Caller;
use crate::support::sandboxes::{ids, merge, put, read, with, write};
use crate::support::{Instance, quick};

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
    assert_eq!(names, ["marketoGUID", "owner", "model", "rowId"]);
}

/// Sends records to an object.
fn sync(caller: &Caller, object: &str, body: &serde_json::Value) -> serde_json::Value {
    caller.post(&format!("/rest/v1/customobjects/{object}.json"), body)
}

#[test]
fn rows_are_linked_by_guid_unless_their_key_is_taken_or_their_link_is_fixed() {
    for (knob, taken) in [("relink_collision=1005", "1005"), ("relink_collision=overwrite", "")] {
        let instance = with(&[knob]);
        let caller = Caller::new(&instance);
        let [one, two] = ["a@example.com", "b@example.com"]
            .map(|email| instance.sandbox.put_lead(&json!({"email": email})));
        let spec = ObjectSpec::linked("car_c", "leadId", "Id").keyed_by(&["leadId", "vin"]);
        instance.sandbox.put_object(&spec);
        let put = |lead: u64, vin: &str| {
            instance.sandbox.put_object_row("car_c", &json!({"leadId": lead, "vin": vin}))
        };
        let (first, second, third) = (put(one, "A"), put(two, "a"), put(two, "B"));
        let link = |guid: &str, lead: u64| {
            let body = json!({
                "action": "updateOnly", "dedupeBy": "idField",
                "input": [{"marketoGUID": guid, "leadId": lead}],
            });
            let answer = sync(&caller, "car_c", &body);
            let row = answer["result"][0].clone();
            row["reasons"][0]["code"].as_str().unwrap_or_default().to_owned()
        };
        assert_eq!(link(&third, one), "", "nothing is in its way");
        assert_eq!(link(&third, 999_999), "1004");
        assert_eq!(link("no such row", one), "1013");
        assert_eq!(link(&second, one), taken, "{knob}");
        let left: Vec<String> = instance
            .sandbox
            .object_rows("car_c")
            .iter()
            .map(|row| row["marketoGUID"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(left.contains(&first), knob.ends_with("1005"), "{knob}: {left:?}");
        instance.sandbox.refuse_row("car_c", &third, "1003", "no");
        assert_eq!(link(&third, two), "1003");
        instance.sandbox.put_object(&spec.clone().fixed("leadId"));
        assert_eq!(link(&second, if taken.is_empty() { two } else { one }), "1003", "fixed");
        instance.sandbox.put_object(&spec.crm_managed());
        let body = json!({"action": "updateOnly", "dedupeBy": "idField", "input": [{"marketoGUID": third}]});
        assert_eq!(sync(&caller, "car_c", &body)["errors"][0]["code"], "1018");
    }
}

#[test]
fn what_a_merge_does_with_the_rows_of_a_loser_is_a_knob() {
    for (knob, by_id, by_value) in [
        ("loser_rows=vanish", 0, 0),
        ("loser_rows=stay", 1, 0),
        ("value_rows=follow", 0, 1),
        ("value_rows=stay_by_value", 0, 1),
    ] {
        let instance = with(&[knob, "merge_ms=0"]);
        let caller = Caller::new(&instance);
        let ada = json!({"email": "a@example.com"});
        let (winner, loser) = (instance.sandbox.put_lead(&ada), instance.sandbox.put_lead(&ada));
        instance.sandbox.put_custom_object("car_c", loser);
        instance.sandbox.put_object(&ObjectSpec::linked("visit_c", "email", "Email Address"));
        // It hangs on the lead that was changed last.
        instance.sandbox.change_lead(loser, &json!({"title": "Countess"}));
        instance.sandbox.put_object_row("visit_c", &json!({"email": "a@example.com"}));
        assert_eq!(merge(&caller, winner, &[loser]), "ok");
        let left = |object: &str| instance.sandbox.object_rows(object).len();
        assert_eq!((left("car_c"), left("visit_c")), (by_id, by_value), "{knob}");
    }
}

#[test]
fn rows_come_a_page_at_a_time_and_with_the_fields_that_were_asked_for() {
    let instance = with(&[]);
    let caller = Caller::new(&instance);
    let lead = instance.sandbox.put_lead(&json!({"email": "a@example.com"}));
    instance.sandbox.put_object(&ObjectSpec::linked("car_c", "leadId", "Id").keyed_by(&["vin"]));
    for vin in 0..3 {
        let row = json!({"leadId": lead, "vin": vin.to_string(), "model": "T"});
        instance.sandbox.put_object_row("car_c", &row);
    }
    let path = format!(
        "/rest/v1/customobjects/car_c.json?filterType=leadId&filterValues={lead}&batchSize=2&fields=vin"
    );
    let first = caller.get(&path);
    assert_eq!(first["result"].as_array().unwrap().len(), 2, "{first}");
    assert_eq!(first["result"][0].get("model"), None);
    let next = first["nextPageToken"].as_str().unwrap();
    let second = caller.get(&format!("{path}&nextPageToken={next}"));
    assert_eq!(second["result"].as_array().unwrap().len(), 1, "{second}");
    assert_eq!(second["result"][0]["vin"], "2");
    assert_eq!(second.get("nextPageToken"), None);
}
