//! Leads that are packed, and those that share a hash.

use rusqlite::{Connection, OpenFlags};

use super::{Change, INSTANCE, Place, expected_members, groups, make, now, row, rows_of, spec};
use crate::cache::{Batch, Cache, Error, RowKey, ScanSpec, hashes, member, packed as stored};

/// The keys that other programs see.
fn seen_keys(cache: &Cache) -> Vec<Option<String>> {
    let mut statement = cache.db.prepare("SELECT match_key FROM leads ORDER BY id").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[test]
fn a_key_that_is_a_value_in_lower_case_is_read_by_everybody() {
    let place = Place::new();
    let mut cache = place.open();
    let fields = ["company", "email"].map(str::to_owned);
    let (mut fresh, mut batch) = (cache.begin_fresh(&fields).unwrap(), Batch::default());
    for (id, email, key) in [
        (1, "Ada@Example.com", RowKey::LowerCaseOf(1, b"ada@example.com")),
        (2, " ada@example.com\u{a0}", RowKey::Text("ada@example.com")),
        (3, "b@example.com", RowKey::LowerCaseOf(1, b"b@example.com")),
        (4, "", RowKey::None),
    ] {
        batch
            .row(id, key, |body| {
                body.text("a, \"b\"\n")?;
                body.text(email)
            })
            .unwrap();
    }
    fresh.add(&batch).unwrap();
    let spec = ScanSpec { strategy: "file".to_owned(), fields: fields.to_vec(), ..spec() };
    cache.replace(fresh, &spec, None, now()).unwrap();
    let keys = [Some("ada@example.com"), Some("ada@example.com"), Some("b@example.com"), None]
        .map(|key| key.map(str::to_owned));
    for is_packed in [true, false] {
        assert_eq!(stored::is_used(&cache.db).unwrap(), is_packed);
        assert_eq!(seen_keys(&cache), keys);
        assert_eq!(groups(&cache), [("ada@example.com".to_owned(), vec![1, 2])]);
        assert_eq!(cache.members().unwrap(), expected_members(&cache));
        // The first change of a lead unpacks all.
        cache.record_merge(&row(3, "b@example.com"), &[]).unwrap();
    }
}

#[test]
fn keys_that_format_10_wrote_out_are_read_as_before_and_its_views_made_anew() {
    let place = Place::new();
    {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let db = Connection::open_with_flags(place.path(), flags).unwrap();
        for migration in &crate::cache::open::MIGRATIONS[..10] {
            db.execute_batch(migration).unwrap();
        }
        db.execute_batch(&format!(
            r#"INSERT INTO meta (only, instance, key_signature, scans, scanned_at, strategy)
                   VALUES (1, '{INSTANCE}', 'email', 1, '2026-11-01T00:00:00Z', 'file');
               INSERT INTO field VALUES (0, 'email');
               CREATE VIEW leads AS SELECT 7 AS id, 'of format 10' AS match_key;
               INSERT INTO packed VALUES (1, 2, 2, 1,
                   '[[1,"ada@example.com",["Ada@example.com"]],' || char(10) || '[2,null,[]]]');
               PRAGMA application_id = 1835753795; PRAGMA user_version = 10;"#
        ))
        .unwrap();
    }
    let cache = place.open();
    assert_eq!(seen_keys(&cache), [Some("ada@example.com".to_owned()), None]);
    let keys: Vec<_> = cache.rows().unwrap().into_iter().map(|row| row.key).collect();
    assert_eq!(keys, seen_keys(&cache));
    let format: u32 = cache.db.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(format, 11);
}

#[test]
fn leads_in_the_order_of_their_ids_are_packed_and_others_are_rows() {
    let (place, other) = (Place::new(), Place::new());
    let (mut packed, mut rows) = (place.open(), other.open());
    let leads: Vec<(u64, u8)> =
        (1..=5_000).map(|id| (id, u8::try_from(id % 250).unwrap())).collect();
    make(&mut packed, &Change::Load(leads.clone()));
    make(&mut rows, &Change::Load(leads.iter().rev().copied().collect()));
    let used = |cache: &Cache| stored::is_used(&cache.db).unwrap();
    assert!(used(&packed) && !used(&rows));
    assert_eq!(packed.rows().unwrap(), rows.rows().unwrap());
    assert_eq!(packed.members().unwrap(), rows.members().unwrap());
    for id in [1, 700, 5_000, 5_001] {
        assert_eq!(packed.lead(id).unwrap(), rows.lead(id).unwrap());
    }
    assert_eq!((packed.highest_id().unwrap(), packed.has_keys().unwrap()), (5_000, true));
    assert_eq!(packed.oldest_creation().unwrap(), rows.oldest_creation().unwrap());
    // As other programs see it.
    let seen = |cache: &Cache| -> Vec<String> {
        let sql = "SELECT json_array(id, match_key, email, createdAt) FROM leads ORDER BY id";
        let mut statement = cache.db.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    assert_eq!(seen(&packed), seen(&rows));
    // The first change of a lead unpacks all, and a file is compared with rows as with packed ones.
    make(&mut packed, &Change::Merge(1, vec![251]));
    assert!(!used(&packed) && packed.lead(251).unwrap().is_none());
    let spec = ScanSpec { strategy: "file".to_owned(), ..spec() };
    let load = |cache: &mut Cache| {
        let leads = rows_of(&leads[..4_900]);
        cache.load(&spec, now(), |loader| leads.iter().try_for_each(|row| loader.add(row)))
    };
    let totals = load(&mut packed).map_err(|error: Error| error).unwrap();
    assert_eq!((totals.new, totals.changed, totals.removed), (1, 0, 100));
    let totals = load(&mut packed).map_err(|error: Error| error).unwrap();
    assert_eq!((totals.new, totals.changed, totals.removed), (0, 0, 0));
}

#[test]
fn a_lead_that_comes_again_far_behind_takes_the_place_of_its_earlier_one() {
    let place = Place::new();
    let mut cache = place.open();
    let mut leads: Vec<(u64, u8)> = (1..=4_000).map(|id| (id, 0)).collect();
    leads.extend([(5, 7), (4_300, 7)]);
    make(&mut cache, &Change::Load(leads));
    assert_eq!(cache.summary().unwrap().leads, 4_001);
    assert_eq!(groups(&cache), [("7@example.com".to_owned(), vec![5, 4_300])]);
}

#[test]
fn keys_whose_hashes_collide_are_told_apart() {
    #[derive(Default)]
    struct Same;
    impl std::hash::Hasher for Same {
        fn finish(&self) -> u64 {
            1
        }
        fn write(&mut self, _: &[u8]) {}
    }
    let place = Place::new();
    let mut cache = place.open();
    make(&mut cache, &Change::Pages(vec![(1, 1), (2, 2), (3, 1), (4, 3), (5, 0)]));
    let mut hashes = hashes::Hashes::with(
        std::hash::BuildHasherDefault::<Same>::default(),
        place.folder.path(),
        2,
    );
    for row in cache.rows().unwrap() {
        if let Some(key) = &row.key {
            hashes.add(key, row.lead.id).unwrap();
        }
    }
    member::keep(&cache.db, None, hashes, place.folder.path()).unwrap();
    assert_eq!(cache.members().unwrap(), expected_members(&cache));
    assert_eq!(groups(&cache), [("1@example.com".to_owned(), vec![1, 3])]);
}
