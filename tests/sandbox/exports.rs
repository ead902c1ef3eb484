//! The bulk extract of the sandbox, over HTTP.

use std::collections::BTreeSet;

use mkto_sandbox::{Fault, Options};
use reqwest::{Method, StatusCode};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::support::asking::{Ask, EXPORTS, code, november, seeded};
use crate::support::caller::Caller;
use crate::support::{Instance, quick};

#[test]
fn an_export_has_the_leads_of_its_window_and_fits_its_checksum() {
    let instance = seeded(1_500, 0.2);
    let caller = Caller::new(&instance);
    let job = caller.export(&november());
    let (status, _, bytes) = caller.file(&job, None);
    assert_eq!(status, StatusCode::OK);
    assert_eq!(job["fileSize"], bytes.len());
    let digest = Sha256::digest(&bytes);
    let digest = digest.iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"));
    assert_eq!(job["fileChecksum"], digest);

    let mut reader = csv::Reader::from_reader(bytes.as_slice());
    assert_eq!(reader.headers().unwrap(), vec!["id", "email", "lastName"]);
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(job["numberOfRecords"], rows.len());
    let ids: BTreeSet<u64> = rows.iter().map(|row| row[0].parse().unwrap()).collect();
    let in_window = |lead: &&mkto_sandbox::LeadView| {
        let born = lead.fields["createdAt"].as_str().unwrap();
        ("2025-10-05T00:00:00Z"..="2025-11-04T23:59:59Z").contains(&born)
    };
    let expected: BTreeSet<u64> =
        instance.sandbox.leads().iter().filter(in_window).map(|lead| lead.id).collect();
    assert!(!expected.is_empty());
    assert_eq!(ids, expected);
}

#[test]
fn empty_values_of_an_export_are_the_word_null() {
    let instance = Instance::start(Options { seed: 3, ..fast() });
    let id = instance.sandbox.put_lead(&json!({"createdAt": "2026-01-05T00:00:00Z"}));
    let null = instance
        .sandbox
        .put_lead(&json!({"lastName": "Null", "createdAt": "2026-01-06T00:00:00Z"}));
    let caller = Caller::new(&instance);
    let window =
        json!({"createdAt": {"startAt": "2026-01-05T00:00:00Z", "endAt": "2026-01-06T00:00:00Z"}});
    let job = caller.export(&window);
    let text = String::from_utf8(caller.file(&job, None).2).unwrap();
    let lines: BTreeSet<&str> = text.lines().collect();
    let expected = [format!("{id},null,null"), format!("{null},null,Null")];
    assert!(expected.iter().all(|line| lines.contains(line.as_str())), "{text}");
}

#[test]
fn a_file_can_be_had_in_parts() {
    let instance = seeded(1_500, 0.0);
    let caller = Caller::new(&instance);
    let job = caller.export(&november());
    let (_, _, whole) = caller.file(&job, None);
    let half = whole.len() / 2;
    let (status, range, first) = caller.file(&job, Some(&format!("bytes=0-{}", half - 1)));
    assert_eq!(status, StatusCode::PARTIAL_CONTENT);
    assert_eq!(range, Some(format!("bytes 0-{}/{}", half - 1, whole.len())));
    let (_, _, rest) = caller.file(&job, Some(&format!("bytes={half}-")));
    assert_eq!([first, rest].concat(), whole);
    let (status, range, _) = caller.file(&job, Some(&format!("bytes={}-", whole.len())));
    assert_eq!(
        (status, range),
        (StatusCode::RANGE_NOT_SATISFIABLE, Some(format!("bytes */{}", whole.len())))
    );
}

#[test]
fn a_file_that_is_not_there_is_a_plain_404() {
    let instance = Instance::start(quick());
    let caller = Caller::new(&instance);
    let created = caller.create(&november())["result"][0].clone();
    assert_eq!(created["status"], "Created");
    let (status, _, body) = caller.file(&created, None);
    assert_eq!((status, body), (StatusCode::NOT_FOUND, b"Not Found".to_vec()));
    let unknown = json!({"exportId": "3fadb012-0000-0000-0000-000000000000"});
    assert_eq!(caller.file(&unknown, None).0, StatusCode::NOT_FOUND);
}

#[test]
fn faults_of_files_halve_them_or_change_their_bytes() {
    let instance = seeded(1_500, 0.0);
    let caller = Caller::new(&instance);
    let job = caller.export(&november());
    let (_, _, whole) = caller.file(&job, None);
    let file = format!("GET {EXPORTS}/{{id}}/file");
    instance.sandbox.fail_next(&file, Fault::BadChecksum);
    let (_, _, changed) = caller.file(&job, None);
    assert_eq!(changed.len(), whole.len());
    assert_ne!(changed, whole);
    instance.sandbox.fail_next(&file, Fault::HalfFile);
    let path = format!("{EXPORTS}/{}/file.json", job["exportId"].as_str().unwrap());
    let half = instance.block_on(async {
        let answer = caller.request(Method::GET, &path).send().await.unwrap();
        assert_eq!(answer.content_length(), Some(whole.len() as u64));
        answer.bytes().await
    });
    assert!(half.is_err(), "the line is cut before the announced length");
}

#[test]
fn orders_that_marketo_does_not_take_are_refused() {
    let instance = Instance::start(Options { daily_export: 1, ..fast() });
    instance.sandbox.put_lead(&json!({"createdAt": "2025-10-06T00:00:00Z"}));
    let caller = Caller::new(&instance);
    let window = |start: &str, end: &str| json!({"createdAt": {"startAt": start, "endAt": end}});
    let updated =
        json!({"updatedAt": {"startAt": "2026-01-01T00:00:00Z", "endAt": "2026-01-01T00:00:01Z"}});
    assert_eq!(
        code(&caller.create(&window("2026-01-01T00:00:00Z", "2026-02-01T00:00:01Z"))),
        "1003"
    );
    assert_eq!(
        code(&caller.create(&window("2026-01-01T00:00:00.000Z", "2026-01-02T00:00:00Z"))),
        "1003"
    );
    assert_eq!(code(&caller.create(&json!({}))), "1003");
    assert_eq!(code(&caller.create(&updated)), "1035");
    assert_eq!(code(&caller.create(&json!({"staticListName": "none"}))), "1013");

    let cancelled =
        caller.create(&november())["result"][0]["exportId"].as_str().unwrap().to_owned();
    let answer = caller.post(&format!("{EXPORTS}/{cancelled}/cancel.json"), &json!({}));
    assert_eq!(answer["result"][0]["status"], "Cancelled");
    let job = caller.export(&november());
    let listed = caller.get(&format!("{EXPORTS}.json?status=Completed"));
    assert_eq!(listed["result"][0]["exportId"], job["exportId"]);
    let refusal = caller.create(&november());
    assert_eq!(code(&refusal), "1029");
    assert_eq!(refusal["errors"][0]["message"], "Export daily quota exceeded");
    let again = caller
        .post(&format!("{EXPORTS}/{}/enqueue.json", job["exportId"].as_str().unwrap()), &json!({}));
    assert_eq!(again["errors"][0]["message"], "Job already queued");
}

fn fast() -> Options {
    let mut options = quick();
    options.set_knob("clock_speed=2000").unwrap();
    options
}
