//! A storm of writes: many callers, few keys, everything goes wrong now and then, and nobody waits
//! before trying again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mkto_sandbox::{Fault, Options};
use mkto_testing::wait::LONGEST;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::instance::{Instance, quick};

/// How hard it blows.
#[derive(Clone, Copy)]
pub struct Strength {
    pub callers: u64,
    /// How often each caller writes, and more where the storm is to go on.
    pub writes_each: u64,
    pub keys: u64,
    pub fault_rate: f64,
}

/// Where the callers write to, and for how long.
#[derive(Clone)]
pub struct Wind {
    /// The address for an attempt with this number.
    pub address: Arc<dyn Fn(u64) -> String + Send + Sync>,
    pub token: String,
    /// Whether the callers are to go on when they have written their number.
    pub goes_on: Arc<dyn Fn() -> bool + Send + Sync>,
}

impl Wind {
    pub fn towards(address: &str, token: String) -> Self {
        let address = address.to_owned();
        Self { address: Arc::new(move |_| address.clone()), token, goes_on: Arc::new(|| false) }
    }
}

/// An acknowledged write.
pub struct Written {
    email: String,
    value: String,
    id: u64,
    begun: Instant,
    acknowledged: Instant,
}

pub fn weather(strength: Strength) -> Options {
    // At the usual speed of tests: the sandbox keeps to its time limit at any, but what a busy
    // machine is late by does not.
    let mut options = quick();
    // Of an export and a merge nothing is asked here, and what people do meanwhile changes what
    // there is.
    let elsewhere = ["partial_merge", "half_file", "bad_checksum", "ignored_merge", "late_merge"];
    let of_calls =
        Fault::names().filter(|name| !name.starts_with("meddle_") && !elsewhere.contains(name));
    for fault in of_calls {
        options.set_fault(&format!("{fault}={}", strength.fault_rate)).unwrap();
    }
    options
}

/// A rank from 1 on, the first twice as often as the second, and so on (Zipf); the same for the
/// same number.
fn zipf(number: u64, keys: u64) -> u64 {
    let weight = |rank: u64| 1_000_000_000 / rank;
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let mut left = (mixed ^ (mixed >> 31)) % (1..=keys).map(weight).sum::<u64>();
    for rank in 1..keys {
        match left.checked_sub(weight(rank)) {
            Some(less) => left = less,
            None => return rank,
        }
    }
    keys
}

/// All callers write at once, each one write after another, and send again at once whatever was not
/// acknowledged.
pub fn blow(instance: &Instance, wind: &Wind, strength: Strength) -> Vec<Written> {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(30)).build().unwrap();
    instance.block_on(async {
        let callers = (0..strength.callers).map(|caller| {
            let (client, wind) = (client.clone(), wind.clone());
            tokio::spawn(async move {
                let mut written = Vec::new();
                while (written.len() as u64) < strength.writes_each || (wind.goes_on)() {
                    let number = written.len() as u64;
                    let key = zipf(caller + number * strength.callers, strength.keys);
                    let (email, value) =
                        (format!("p{key}@example.com"), format!("{caller}-{number}"));
                    written.push(write(&client, &wind, caller, email, value).await);
                }
                written
            })
        });
        let callers: Vec<_> = callers.collect();
        let mut written = Vec::new();
        for caller in callers {
            written.extend(caller.await.unwrap());
        }
        written
    })
}

/// One write, sent until it is acknowledged.
async fn write(
    client: &reqwest::Client,
    wind: &Wind,
    caller: u64,
    email: String,
    value: String,
) -> Written {
    let body = json!({"input": [{"email": email, "firstName": value}]});
    let begun = Instant::now();
    for attempt in caller.. {
        assert!(begun.elapsed() < LONGEST / 2, "a write of {email} was never acknowledged");
        let url = format!("{}/rest/v1/leads.json", (wind.address)(attempt));
        let answer = match client.post(&url).bearer_auth(&wind.token).json(&body).send().await {
            Ok(answer) => answer,
            Err(error) => {
                // Whoever listened there is gone, and the next one will not be there at once.
                if error.is_connect() {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                continue;
            }
        };
        let Ok(answer) = answer.json::<Value>().await else { continue };
        let row = &answer["result"][0];
        if ["created", "updated"].iter().any(|status| row["status"] == *status) {
            let id = row["id"].as_u64().unwrap();
            return Written { email, value, id, begun, acknowledged: Instant::now() };
        }
        // A key that has become a group already cannot be written by it any more.
        if row["reasons"][0]["code"] == "1007" {
            break;
        }
    }
    Written { email, value, id: 0, begun, acknowledged: Instant::now() }
}

/// No key has two leads, every acknowledged write is there, and of each key the last one
/// acknowledged is what is stored.
pub fn nothing_is_lost_and_nothing_twice(
    instance: &Instance,
    written: &[Written],
    log: &dyn Fn() -> String,
) {
    assert_eq!(duplicates(instance), 0, "through the guard\n{}", log());
    let stored = stored(instance);
    for write in written {
        let lead = &stored[&write.email];
        assert!(lead.contains_key(&write.id), "lead {} of {} is not there", write.id, write.email);
        let (_, value) = lead.first_key_value().unwrap();
        let last = written
            .iter()
            .find(|other| other.email == write.email && other.value == *value)
            .unwrap();
        assert!(
            write.begun <= last.acknowledged,
            "{} holds {value}, although {} was written after it had been acknowledged",
            write.email,
            write.value
        );
    }
}

/// What each email's leads hold as first name, by id.
fn stored(instance: &Instance) -> BTreeMap<String, BTreeMap<u64, String>> {
    let mut stored: BTreeMap<String, BTreeMap<u64, String>> = BTreeMap::new();
    for lead in instance.sandbox.leads() {
        let text = |name: &str| {
            lead.fields.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        stored.entry(text("email").to_lowercase()).or_default().insert(lead.id, text("firstName"));
    }
    stored
}

pub fn duplicates(instance: &Instance) -> usize {
    stored(instance).values().map(|leads| leads.len() - 1).sum()
}
