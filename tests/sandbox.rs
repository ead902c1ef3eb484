//! The sandbox, spoken to as any client would: what it answers is what Marketo was recorded or
//! documented to answer.

use reqwest::Method;
use serde_json::{Value, json};

use mkto_sandbox::{Fault, Options};

use crate::support::caller::Caller;
use crate::support::counts::writes;
use crate::support::wait::{until, until_async};
use crate::support::{Instance, quick};

mod adversity;
mod data;
mod exports;
mod import;
mod late;

fn merge(caller: &Caller<'_>, winner: u64, query: &str) -> Value {
    let request =
        caller.request(Method::POST, &format!("/rest/v1/leads/{winner}/merge.json?{query}"));
    caller.send(request.header("content-length", "0"))
}

fn upsert(email: &str) -> Value {
    json!({"action": "createOrUpdate", "lookupField": "email", "input": [{"email": email}]})
}

fn code(answer: &Value) -> &str {
    answer["errors"][0]["code"].as_str().unwrap_or("none")
}

async fn arrived(instance: &Instance, calls: u64) {
    until_async("the writes at Marketo", async || writes(instance) >= calls).await;
}

#[test]
fn two_upserts_of_one_email_that_overlap_make_two_leads_and_two_in_a_row_make_one() {
    let instance = Instance::start(quick());
    let caller = Caller::new(&instance);
    let call = |email: &str| {
        let request = caller.request(Method::POST, "/rest/v1/leads.json").json(&upsert(email));
        async move { request.send().await.unwrap().json::<Value>().await.unwrap() }
    };
    let held = instance.sandbox.hold_writes();
    let (one, two) = instance.block_on(async {
        let both =
            tokio::spawn(futures::future::join(call("race@example.com"), call("RACE@example.com")));
        arrived(&instance, 2).await;
        drop(held);
        both.await.unwrap()
    });
    assert_eq!(one["result"][0]["status"], "created");
    assert_eq!(two["result"][0]["status"], "created");
    assert_ne!(one["result"][0]["id"], two["result"][0]["id"]);

    let first = instance.block_on(call("calm@example.com"));
    let second = instance.block_on(call("Calm@example.com"));
    assert_eq!(
        (&first["result"][0]["status"], &second["result"][0]["status"]),
        (&json!("created"), &json!("updated"))
    );
    assert_eq!(first["result"][0]["id"], second["result"][0]["id"]);

    let third = instance.block_on(call("race@example.com"));
    assert_eq!(third["success"], true);
    assert_eq!(
        third["result"],
        json!([{"status": "skipped", "reasons": [{"code": "1007", "message": "Multiple lead match lookup criteria"}]}])
    );
}

#[test]
fn a_call_whose_client_hung_up_still_writes() {
    let instance = Instance::start(quick());
    let caller = Caller::new(&instance);
    let held = instance.sandbox.hold_writes();
    let call = || {
        caller.request(Method::POST, "/rest/v1/leads.json").json(&upsert("gone@example.com")).send()
    };
    instance.block_on(async {
        tokio::select! {
            _ = call() => unreachable!("it is held up"),
            () = arrived(&instance, 1) => (),
        }
        // The next call of the same key overlaps with it, and both insert.
        let next = tokio::spawn(call());
        arrived(&instance, 2).await;
        drop(held);
        next.await.unwrap().unwrap();
    });
    until("two leads", || instance.sandbox.leads().len() >= 2);
}

#[test]
fn the_four_actions_do_what_is_documented() {
    let instance = Instance::start(quick());
    let caller = Caller::new(&instance);
    let act = |action: &str, record: Value| {
        let body = json!({"action": action, "input": [record]});
        let row = caller.post("/rest/v1/leads.json", &body)["result"][0].clone();
        let reason = row["reasons"][0]["code"].as_str().map(str::to_owned);
        reason.unwrap_or_else(|| row["status"].as_str().unwrap().to_owned())
    };
    let ada = || json!({"email": "ada@example.com", "firstName": "Ada"});
    assert_eq!(act("updateOnly", ada()), "1004");
    assert_eq!(act("createOnly", ada()), "created");
    assert_eq!(act("createOnly", ada()), "1005");
    assert_eq!(act("updateOnly", ada()), "updated");
    assert_eq!(act("createDuplicate", ada()), "created");
    assert_eq!(act("updateOnly", ada()), "1007");
    assert_eq!(
        act("createOrUpdate", json!({"email": ""})),
        "created",
        "an empty email never matches"
    );
    assert_eq!(act("createOrUpdate", json!({"email": ""})), "created");
    assert_eq!(act("createOrUpdate", json!({"email": "x@example.com", "id": 1})), "1003");
    assert_eq!(act("createOrUpdate", json!({"email": "x@example.com", "nope": 1})), "1006");
    assert_eq!(act("createOrUpdate", json!({"email": "x@example.com", "vip": "other"})), "1003");
    assert_eq!(act("createOrUpdate", json!({"email": "bademail"})), "1003");
    assert_eq!(
        act("createOrUpdate", json!({"email": "x@example.com", "createdAt": "2020-01-01"})),
        "1003"
    );
}

#[test]
fn a_merge_follows_the_letter() {
    let mut options = quick();
    options.set_knob("loser_rows=stay").unwrap();
    let instance = Instance::start(options);
    let caller = Caller::new(&instance);
    let put = |fields: Value| instance.sandbox.put_lead(&fields);
    let winner = put(json!({"email": "ada@example.com", "vip": null, "unsubscribed": false}));
    let first = put(json!({"email": "ada@example.com", "phone": "1", "vip": true}));
    let second = put(
        json!({"email": "ada@example.com", "phone": "2", "title": "Countess", "unsubscribed": true}),
    );
    instance.sandbox.put_list(7, "Newsletter", &[second]);
    instance.sandbox.put_custom_object("car_c", first);

    let answer = merge(&caller, winner, &format!("leadIds={first},{second}"));
    assert_eq!((answer["success"].clone(), answer["result"].clone()), (json!(true), json!([])));
    let survivor = instance.sandbox.lead(winner).unwrap();
    assert_eq!(survivor.fields["phone"], "1", "the first loser gives the value");
    assert_eq!(survivor.fields.get("title"), None, "even an empty one");
    assert_eq!(survivor.fields["vip"], true, "null is empty in a boolean of one's own");
    assert_eq!(
        survivor.fields["unsubscribed"], false,
        "false is a value: this is how opt-outs get lost"
    );
    assert_eq!(survivor.lists, [7]);
    let rows = caller
        .get(&format!("/rest/v1/customobjects/car_c.json?filterType=leadId&filterValues={first}"));
    assert_eq!(rows["result"].as_array().unwrap().len(), 1, "custom objects stay with the loser");
    assert_eq!(code(&caller.get(&format!("/rest/v1/lead/{first}.json"))), "1004");
    let found = caller
        .get(&format!("/rest/v1/leads.json?filterType=id&filterValues={winner},{first},{second}"));
    assert_eq!(found["result"].as_array().unwrap().len(), 1);
}

#[test]
fn the_crm_s_precedence_overrides_the_winner_that_was_asked_for() {
    let instance = Instance::start(quick());
    let caller = Caller::new(&instance);
    let asked = instance.sandbox.put_lead(&json!({"email": "ada@example.com"}));
    let contact =
        instance.sandbox.put_lead(&json!({"email": "ada@example.com", "sfdcContactId": "003A"}));
    assert_eq!(merge(&caller, asked, &format!("leadId={contact}"))["success"], true);
    assert!(instance.sandbox.lead(asked).is_none());
    assert!(instance.sandbox.lead(contact).is_some());
}

#[test]
fn merges_that_marketo_refuses_are_refused() {
    let instance = Instance::start(quick());
    let caller = Caller::new(&instance);
    let leads: Vec<u64> =
        (0..30).map(|_| instance.sandbox.put_lead(&json!({"email": "ada@example.com"}))).collect();
    let ids = |leads: &[u64]| leads.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
    assert_eq!(code(&merge(&caller, leads[0], &format!("leadIds={}", ids(&leads[1..27])))), "1080");
    assert_eq!(code(&merge(&caller, leads[0], "leadIds=999999")), "1004");
    assert_eq!(code(&merge(&caller, leads[0], "")), "1003");
    assert_eq!(code(&merge(&caller, leads[0], &format!("leadIds={}", leads[0]))), "1003");
    assert_eq!(
        code(&merge(&caller, leads[0], &format!("leadIds={}&mergeInCRM=true", ids(&leads[1..3])))),
        "1080"
    );
    let elsewhere =
        instance.sandbox.put_lead(&json!({"email": "ada@example.com", "leadPartitionId": 2}));
    assert_eq!(code(&merge(&caller, leads[0], &format!("leadId={elsewhere}"))), "1010");
    assert_eq!(instance.sandbox.leads().len(), 31, "nothing was merged");
    assert_eq!(
        merge(&caller, leads[0], &format!("leadIds={}", ids(&leads[1..26])))["success"],
        true
    );
}

#[test]
fn limits_are_kept_by_the_code() {
    let mut options = quick();
    options.rate_limit = 3;
    options.rate_window = std::time::Duration::from_secs(600);
    let instance = Instance::start(options);
    let caller = Caller::new(&instance);
    for _ in 0..3 {
        assert_eq!(caller.get("/rest/v1/stats/usage.json")["success"], true);
    }
    assert_eq!(code(&caller.get("/rest/v1/stats/usage.json")), "606");

    let mut options = quick();
    options.daily_quota = 1;
    let instance = Instance::start(options);
    let caller = Caller::new(&instance);
    assert_eq!(caller.get("/rest/v1/stats/usage.json")["result"][0]["total"], 1);
    assert_eq!(code(&caller.get("/rest/v1/stats/usage.json")), "607");
}

#[test]
fn more_calls_at_once_than_allowed_are_turned_away() {
    let mut options = quick();
    options.concurrency = 2;
    let instance = Instance::start(options);
    let caller = Caller::new(&instance);
    let call = |email: &'static str| {
        let request = caller.request(Method::POST, "/rest/v1/leads.json").json(&upsert(email));
        async move { request.send().await.unwrap().json::<Value>().await.unwrap() }
    };
    let answers = instance.block_on(async {
        tokio::join!(call("a@example.com"), call("b@example.com"), call("c@example.com"))
    });
    let codes = [code(&answers.0), code(&answers.1), code(&answers.2)];
    assert_eq!(codes.iter().filter(|code| **code == "615").count(), 1, "{codes:?}");
}

#[test]
fn tokens_are_asked_for_in_the_header_and_refused_elsewhere() {
    let instance = Instance::start(Options::default());
    let caller = Caller::new(&instance);
    let base = instance.sandbox.base_url();
    let plain = |url: String| {
        instance.block_on(async {
            caller.http.get(url).send().await.unwrap().json::<Value>().await.unwrap()
        })
    };
    assert_eq!(code(&plain(format!("{base}/rest/v1/stats/usage.json"))), "603");
    let in_query = format!("{base}/rest/v1/stats/usage.json?access_token={}", caller.token);
    assert_eq!(code(&plain(in_query)), "603");
    let rubbish =
        caller.http.get(format!("{base}/rest/v1/stats/usage.json")).bearer_auth("rubbish");
    assert_eq!(code(&caller.send(rubbish)), "601");
    let wrong = format!(
        "{base}/identity/oauth/token?grant_type=client_credentials&client_id=x&client_secret=y"
    );
    let answer = instance.block_on(async { caller.http.get(wrong).send().await.unwrap() });
    assert_eq!(answer.status(), 401);
}

#[test]
fn filters_page_split_and_refuse_as_documented() {
    let instance = Instance::start(quick());
    let caller = Caller::new(&instance);
    let ids: Vec<u64> = (0..5)
        .map(|n| instance.sandbox.put_lead(&json!({"email": format!("p{n}+x@example.com")})))
        .collect();
    let page = caller
        .get("/rest/v1/leads.json?filterType=id&filterValues=1,2,3,4,5,99&batchSize=3&fields=id,vip,phone");
    assert_eq!(page["result"].as_array().unwrap().len(), 3);
    assert_eq!(page["result"][0], json!({"id": ids[0], "vip": false, "phone": null}));
    let token = page["nextPageToken"].as_str().unwrap();
    let rest = caller.get(&format!(
        "/rest/v1/leads.json?filterType=id&filterValues=1,2,3,4,5,99&batchSize=3&fields=id&nextPageToken={token}"
    ));
    assert_eq!(rest["result"].as_array().unwrap().len(), 2);
    let blank = caller.get("/rest/v1/leads.json?filterType=email&filterValues=p0+x@example.com");
    assert_eq!(blank["result"], json!([]), "an unencoded plus is a blank");
    let plus = caller.get("/rest/v1/leads.json?filterType=email&filterValues=P0%2Bx@example.com");
    assert_eq!(plus["result"].as_array().unwrap().len(), 1);
    assert_eq!(
        code(&caller.get("/rest/v1/leads.json?filterType=createdAt&filterValues=x")),
        "1011"
    );
    let form = caller.request(Method::POST, "/rest/v1/leads.json?_method=GET").form(&[
        ("filterType", "id"),
        ("filterValues", "1,2"),
        ("fields", "id"),
    ]);
    assert_eq!(caller.send(form)["result"], json!([{"id": 1}, {"id": 2}]));
    assert_eq!(code(&caller.get("/rest/v1/nothing.json")), "610");
}

#[test]
fn a_lost_answer_leaves_work_that_is_done_later() {
    let mut options = quick();
    options.set_knob("clock_speed=600").unwrap();
    let instance = Instance::start(options);
    let caller = Caller::new(&instance);
    instance.sandbox.fail_next("POST /rest/v1/leads", Fault::Lost604);
    assert_eq!(code(&caller.post("/rest/v1/leads.json", &upsert("late@example.com"))), "604");
    let found = || caller.get("/rest/v1/leads.json?filterType=email&filterValues=late@example.com");
    let appeared = (0..10_000).any(|_| !found()["result"].as_array().unwrap().is_empty());
    assert!(appeared, "the lead was written after the call had been answered");
}

#[test]
fn request_ids_carry_the_time_of_arrival() {
    let instance = Instance::start(quick());
    let caller = Caller::new(&instance);
    let answer = caller.get("/rest/v1/stats/usage.json");
    let id = answer["requestId"].as_str().unwrap();
    let (_, arrived) = id.split_once('#').unwrap();
    let arrived = i64::from_str_radix(arrived, 16).unwrap();
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    assert!(i64::try_from(now).unwrap() - arrived < 60_000, "{id}");
}

#[test]
fn a_blind_retry_of_a_lost_upsert_makes_a_duplicate() {
    for fault in [Fault::Lost604, Fault::Lost502, Fault::Slow] {
        let instance = Instance::start(quick());
        let caller = Caller::new(&instance);
        instance.sandbox.fail_next("POST /rest/v1/leads", fault);
        let send = || {
            let request = caller
                .request(Method::POST, "/rest/v1/leads.json")
                .json(&upsert("ada@example.com"));
            async move { request.send().await.map(drop) }
        };
        instance.block_on(async {
            // The first is answered at once, or slowly; the retry does not wait for what it still
            // does.
            let (first, second) = tokio::join!(send(), async {
                tokio::task::yield_now().await;
                send().await
            });
            first.unwrap();
            second.unwrap();
        });
        let both = (0..100_000).any(|_| {
            caller.get("/rest/v1/stats/usage.json");
            instance.sandbox.leads_living() == 2
        });
        assert!(both, "{fault:?}");
    }
}

#[test]
fn an_opt_out_spreads_when_it_is_made_and_not_whenever_its_lead_is_written() {
    let instance = Instance::start(quick());
    let caller = Caller::new(&instance);
    let out = instance.sandbox.put_lead(&json!({"email": "ada@example.com", "unsubscribed": true}));
    let other = instance.sandbox.put_lead(&json!({"email": "ada@example.com"}));
    let write = |id: u64, fields: Value| {
        let mut record = fields;
        record["id"] = json!(id);
        caller.post(
            "/rest/v1/leads.json",
            &json!({"action": "updateOnly", "lookupField": "id", "input": [record]}),
        );
        instance.sandbox.lead(other).unwrap().fields["unsubscribed"].clone()
    };
    assert_eq!(write(out, json!({"firstName": "Ada"})), false);
    assert_eq!(write(out, json!({"unsubscribed": true})), true);
}

#[test]
fn an_empty_lookup_value_matches_nobody() {
    let instance = Instance::start(quick());
    let caller = Caller::new(&instance);
    instance.sandbox.put_lead(&json!({"email": "ada@example.com", "externalPersonId": "null"}));
    let body = json!({"lookupField": "externalPersonId", "input": [{"externalPersonId": null}, {"externalPersonId": " "}]});
    let rows = caller.post("/rest/v1/leads.json", &body)["result"].clone();
    assert_eq!((&rows[0]["status"], &rows[1]["status"]), (&json!("created"), &json!("created")));
}
