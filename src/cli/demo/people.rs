//! Who signs up in the demo, and what each of three writers knows of them.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use mkto_sandbox::Sandbox;
use serde_json::{Map, Value, json};

/// First names, which with a last name and a number make a person.
const FIRST: [&str; 8] =
    ["Ada", "Alan", "Grace", "Edsger", "Barbara", "Donald", "Katherine", "Tim"];
const LAST: [&str; 5] = ["Byron", "Mathison", "Murray", "Wybe", "Jane"];

/// The three integrations.
pub(super) const WRITERS: usize = 3;

/// What a writer sends of a person: each knows a part, and two know the same field differently.
pub(super) fn record(round: &str, person: usize, writer: usize) -> Map<String, Value> {
    let first = FIRST.get(person % FIRST.len()).copied().unwrap_or_default();
    let last = LAST.get(person % LAST.len()).copied().unwrap_or_default();
    let email =
        format!("{}.{}.{round}{person}@example.com", first.to_lowercase(), last.to_lowercase());
    let known = match writer {
        0 => json!({"firstName": first, "lastName": last, "company": "Analytical Engines Ltd"}),
        1 => {
            json!({"firstName": first, "lastName": last, "phone": format!("+1 555 01{person:02}"), "attendedWebinar": true})
        }
        // A few of them opted out in the shop, which must never be lost.
        _ => {
            json!({"customerNumber": 7_000 + person, "city": "London", "unsubscribed": person % 10 == 3})
        }
    };
    let mut record = match known {
        Value::Object(record) => record,
        _ => Map::new(),
    };
    record.insert("email".to_owned(), json!(email));
    record
}

/// Puts some of the raced leads on a list and into a program, each lead of a group elsewhere.
pub(super) fn enlist(sandbox: &Sandbox) {
    let raced: Vec<u64> = sandbox
        .leads()
        .iter()
        .filter(|lead| is_raced(lead.fields.get("email")))
        .map(|lead| lead.id)
        .collect();
    let every = |nth: usize| -> Vec<u64> { raced.iter().copied().step_by(nth).collect() };
    sandbox.put_list(9_001, "Newsletter", &every(2));
    let members: Vec<(u64, &str)> = every(3).into_iter().map(|lead| (lead, "Attended")).collect();
    sandbox.put_program(9_002, "Webinar", &["Invited", "Attended"], &members);
}

/// Whether a lead is one of the demo's own people.
pub(super) fn is_raced(email: Option<&Value>) -> bool {
    email.and_then(Value::as_str).is_some_and(|email| email.contains(".race"))
}

/// The sign-ups of the second half, in the order in which the three writers would have sent them.
pub(super) fn write_signups(path: &Path, people: usize) -> std::io::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    for person in 0..people {
        for writer in 0..WRITERS {
            writeln!(out, "{}", Value::Object(record("guard", person, writer)))?;
        }
    }
    out.flush()
}
