//! Certificates of which somebody has taken something out and worked every hash out anew.

use std::fs;

use mkto_audit::repair::certificate::{Certificate, csv, page};
use serde_json::{Value, json};

use super::history::offline;
use super::witness::pairs;
use crate::support::Instance;
use crate::support::merging::merge;

/// The forms of a certificate.
const FORMS: [&str; 3] = ["json", "html", "csv"];

fn shown(instance: &Instance) -> Certificate {
    let shown = offline(instance, &["certificate", "show", "1", "--json"]);
    serde_json::from_str(&shown.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", shown.picture()))
}

/// What `verify` says of a certificate in a form, as JSON and in words.
#[track_caller]
fn verify(instance: &Instance, told: &Certificate, form: &str, code: i32) -> (Value, String) {
    let mut file = Vec::new();
    match form {
        "html" => page::write(told, &mut file).unwrap(),
        "csv" => csv::write(told, &mut file).unwrap(),
        _ => file = (serde_json::to_string_pretty(told).unwrap() + "\n").into_bytes(),
    }
    let path = instance.path(&format!("told.{form}"));
    fs::write(&path, file).unwrap();
    let file = path.to_str().unwrap();
    let words = offline(instance, &["certificate", "verify", file]).expect_code(code).stdout;
    let said = offline(instance, &["certificate", "verify", file, "--json"]).expect_code(code);
    (said.json(), words)
}

#[test]
fn what_was_seen_cannot_be_taken_out_where_the_ledger_has_it() {
    let instance = pairs(&[]);
    merge(&instance, &["--confirm"]).expect_code(0);
    let whole = shown(&instance);
    for form in FORMS {
        let (said, words) = verify(&instance, &whole, form, 0);
        assert_eq!(said["later"]["looks"], 0, "{said}");
        assert!(words.ends_with("to the byte\n"), "{words}");
    }
    for (place, look) in whole.witness.iter().enumerate() {
        let mut forged = whole.clone();
        forged.witness[place].calls[0].body = None;
        let forged = forged.up_to(usize::MAX);
        assert_ne!(forged.afterwards, whole.afterwards, "{}", look.kind);
        for form in ["json", "html"] {
            let (said, words) = verify(&instance, &forged, form, 1);
            assert_eq!((&said["valid"], &said["later"]), (&json!(false), &Value::Null), "{said}");
            let words_of =
                format!("seen on {} of the merge of ada@example.com was taken out", look.at);
            assert!(words.contains(&words_of), "{words}");
        }
    }
}

#[test]
fn what_was_erased_since_is_neither_forged_nor_missed() {
    let instance = pairs(&[]);
    merge(&instance, &["--confirm"]).expect_code(0);
    let before = shown(&instance);
    let erase = ["backup", "erase", "--email", "ada@example.com", "--confirm"];
    offline(&instance, &erase).expect_code(0);
    let after = shown(&instance);
    assert!(after.witness.iter().flat_map(|look| &look.calls).any(|seen| seen.body.is_none()));
    for form in ["json", "html"] {
        verify(&instance, &before, form, 0);
        verify(&instance, &after, form, 0);
    }
}

#[test]
fn a_file_without_the_last_looks_is_told_what_they_show() {
    let instance = pairs(&["merge_record=other_records", "merge_lists=lost"]);
    merge(&instance, &["--confirm"]).expect_code(1);
    let whole = shown(&instance);
    let all = whole.witness.len();
    assert!(all > 1, "{:#?}", whole.witness);
    let last_at = &whole.witness[all - 1].at;
    let groups = json!(["ada@example.com", "bob@example.com"]);
    for form in FORMS {
        let (said, words) = verify(&instance, &whole.up_to(0), form, 3);
        let later = &said["later"];
        assert_eq!((&said["valid"], &later["looks"]), (&json!(true), &json!(all)), "{said}");
        assert_eq!(
            (&later["contradicts"], &later["last_at"]),
            (&groups, &json!(last_at)),
            "{said}"
        );
        // Ada's survivor was on the list itself.
        assert_eq!(later["missing"], json!(["bob@example.com"]), "{said}");
        for part in [
            format!("{all} later looks at its merges are in the ledger and not in this file"),
            "CONTRADICTS the account of 2 groups: ada@example.com, bob@example.com".to_owned(),
            "missing on the survivor of 1 group: bob@example.com".to_owned(),
        ] {
            assert!(words.contains(&part), "{form}, {part}: {words}");
        }
    }
    // What is there is not told again, and names no later one.
    let (said, words) = verify(&instance, &whole, "json", 0);
    assert_eq!(said["later"]["contradicts"], json!([]), "{said}");
    assert!(!words.contains("later"), "{words}");
}
