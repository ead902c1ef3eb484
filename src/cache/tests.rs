//! What the cache promises.

use std::ops::ControlFlow;
use std::path::PathBuf;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Cache, Error, Row, ScanSpec};
use crate::lead::Lead;

const INSTANCE: &str = "123-abc-456.mktorest.com";

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("cache.db")
    }

    fn open(&self) -> Cache {
        Cache::open(&self.path(), INSTANCE).unwrap()
    }
}

fn spec() -> ScanSpec {
    ScanSpec {
        strategy: "pages".to_owned(),
        fields: vec!["id".to_owned(), "email".to_owned()],
        key_signature: "email".to_owned(),
    }
}

fn row(id: u64, email: &str) -> Row {
    Row {
        lead: Lead::new(id).with("email", email).with("createdAt", "2026-01-01T00:00:00Z"),
        key: Some(email.to_owned()).filter(|email| !email.is_empty()),
    }
}

fn now() -> chrono::DateTime<chrono::Utc> {
    "2026-11-01T00:00:00Z".parse().unwrap()
}

/// As the scan does it before it begins.
fn begin(cache: &mut Cache, spec: &ScanSpec) -> super::Begun {
    if cache.summary().unwrap().key_signature != spec.key_signature {
        cache.rekey(&spec.key_signature, |lead| lead.email().map(str::to_owned)).unwrap();
    }
    cache.begin_scan(spec, now()).unwrap()
}

fn groups(cache: &Cache) -> Vec<(String, Vec<u64>)> {
    let mut groups = Vec::new();
    cache
        .for_each_group(|key, leads, _births| {
            groups.push((key.to_owned(), leads.iter().map(|lead| lead.id).collect()));
            ControlFlow::Continue(())
        })
        .unwrap();
    groups
}

#[test]
fn an_interrupted_scan_goes_on_where_its_last_page_ended() {
    let place = Place::new();
    let mut cache = place.open();
    assert_eq!(begin(&mut cache, &spec()).cursor, None);
    cache.save_page(&[row(1, "a@example.com"), row(2, "a@example.com")], "300").unwrap();
    drop(cache);
    let mut cache = place.open();
    assert!(!cache.summary().unwrap().complete);
    assert_eq!(begin(&mut cache, &spec()).cursor.as_deref(), Some("300"));
    cache.save_page(&[row(301, "b@example.com"), row(302, "")], "600").unwrap();
    let totals = cache.finish_scan(now()).unwrap();
    assert_eq!((totals.leads, totals.new, totals.changed, totals.removed), (4, 4, 0, 0));
    let summary = cache.summary().unwrap();
    assert!(summary.complete);
    assert_eq!(summary.scanned_at, Some(now()));
    assert_eq!(
        groups(&cache),
        [("a@example.com".to_owned(), vec![1, 2])],
        "a lead without a key is in no group"
    );
}

#[test]
fn a_scan_that_reads_otherwise_begins_anew_and_a_rescan_says_what_is_new_changed_and_gone() {
    let place = Place::new();
    let mut cache = place.open();
    begin(&mut cache, &spec());
    cache
        .save_page(
            &[row(1, "a@example.com"), row(2, "b@example.com"), row(3, "c@example.com")],
            "300",
        )
        .unwrap();
    cache.finish_scan(now()).unwrap();
    begin(&mut cache, &spec());
    cache.save_page(&[row(1, "a@example.com")], "300").unwrap();
    let other = ScanSpec { key_signature: "email+region".to_owned(), ..spec() };
    assert_eq!(begin(&mut cache, &other).cursor, None);
    cache
        .save_page(
            &[row(1, "a@example.com"), row(2, "new@example.com"), row(4, "d@example.com")],
            "300",
        )
        .unwrap();
    let totals = cache.finish_scan(now()).unwrap();
    assert_eq!((totals.leads, totals.new, totals.changed, totals.removed), (3, 1, 1, 1));
}

#[test]
fn a_file_that_fails_half_way_leaves_the_cache_as_it_was() {
    let place = Place::new();
    let mut cache = place.open();
    let spec = ScanSpec { strategy: "file".to_owned(), ..spec() };
    let load = |cache: &mut Cache, fails: bool| {
        cache.load(&spec, now(), |loader| {
            loader.add(&row(1, "a@example.com"))?;
            loader.add(&row(2, "A@example.com"))?;
            loader.add(&row(2, "a@example.com"))?;
            if fails { Err(Error::NoScan { path: PathBuf::new() }) } else { Ok(()) }
        })
    };
    assert!(load(&mut cache, true).is_err());
    assert_eq!(cache.summary().unwrap().leads, 0);
    let totals = load(&mut cache, false).unwrap();
    assert_eq!((totals.leads, totals.new), (2, 2));
    assert_eq!(groups(&cache), [("a@example.com".to_owned(), vec![1, 2])]);
    assert!(load(&mut cache, true).is_err());
    assert_eq!(groups(&cache).len(), 1, "the index is there again");
}

#[test]
fn the_cache_of_another_instance_a_newer_one_and_a_foreign_file_are_left_alone() {
    let place = Place::new();
    let cache = place.open();
    let again = Cache::open(&place.path(), INSTANCE);
    assert!(matches!(again, Err(Error::InUse { .. })), "{again:?}");
    cache.db.pragma_update(None, "user_version", 99).unwrap();
    drop(cache);
    let newer = Cache::open(&place.path(), INSTANCE);
    assert!(matches!(newer, Err(Error::Newer { found: 99, .. })), "{newer:?}");

    let place = Place::new();
    drop(place.open());
    let other = Cache::open(&place.path(), "other.example.com");
    assert!(matches!(other, Err(Error::OtherInstance { .. })), "{other:?}");

    std::fs::write(place.path(), "id,email\n1,a@example.com\n".repeat(100)).unwrap();
    let foreign = Cache::open(&place.path(), INSTANCE);
    assert!(matches!(foreign, Err(Error::NotACache { .. })), "{foreign:?}");
    assert!(std::fs::read_to_string(place.path()).unwrap().starts_with("id,email"));
    let missing = Cache::open_existing(&place.folder.path().join("none.db"), INSTANCE);
    assert!(matches!(missing, Err(Error::Missing { .. })), "{missing:?}");
}

#[cfg(unix)]
#[test]
fn only_its_owner_can_read_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    let mut cache = place.open();
    begin(&mut cache, &spec());
    cache.save_page(&[row(1, "a@example.com")], "300").unwrap();
    for entry in std::fs::read_dir(place.folder.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o077, 0, "{:?}", entry.path());
    }
}

#[test]
fn a_merge_takes_the_losers_out_and_another_rule_gives_other_keys() {
    let place = Place::new();
    let mut cache = place.open();
    begin(&mut cache, &spec());
    let rows: Vec<Row> = (1..=3).map(|id| row(id, "a@example.com")).collect();
    cache.save_page(&rows, "300").unwrap();
    cache.finish_scan(now()).unwrap();
    cache.record_merge(&row(1, "a@example.com"), &[2]).unwrap();
    assert_eq!(groups(&cache), [("a@example.com".to_owned(), vec![1, 3])]);
    cache.rekey("id", |lead| Some(lead.id.to_string())).unwrap();
    assert_eq!(groups(&cache), []);
    assert_eq!(cache.summary().unwrap().key_signature, "id");
}

#[test]
fn keys_of_an_older_rule_are_computed_anew_and_those_of_this_one_are_kept() {
    let place = Place::new();
    let mut cache = place.open();
    begin(&mut cache, &spec());
    cache.save_page(&[row(1, "a@example.com"), row(2, "a@example.com")], "300").unwrap();
    cache.finish_scan(now()).unwrap();
    let by = |domain: &'static str| move |lead: &Lead| Some(format!("{}@{domain}", lead.id));
    cache.ensure_keys("email", by("kept")).unwrap();
    assert_eq!(groups(&cache).len(), 1);
    cache.ensure_keys("email#3", by("new")).unwrap();
    assert_eq!(groups(&cache), []);
    assert_eq!(cache.leads_of_key("1@new").unwrap().len(), 1);
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        "\\PC*|[\\x00-\\x7f]*".prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1.0e6..1.0e6_f64).prop_map(|number| json!(number)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_goes_in_comes_out(
        values in proptest::collection::btree_map(
            proptest::sample::select(vec!["email", "company", "leadPartitionId", "unsubscribed", "createdAt", "notes", "vip"]),
            any_value(),
            0..7,
        )
    ) {
        let place = Place::new();
        let mut cache = place.open();
        let mut lead = Lead::new(7);
        for (field, value) in values {
            lead.set(field, value);
        }
        begin(&mut cache, &spec());
        cache.save_page(&[Row { lead: lead.clone(), key: None }], "300").unwrap();
        prop_assert_eq!(cache.lead(7).unwrap(), Some(lead));
    }
}
