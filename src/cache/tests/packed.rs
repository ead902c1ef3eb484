//! Leads that are packed, and those that share a hash.

use super::{Change, Place, expected_members, groups, make, now, rows_of, spec};
use crate::cache::{Cache, Error, ScanSpec, hashes, member, packed as stored};

#[test]
fn leads_in_the_order_of_their_ids_are_packed_and_others_are_rows() {
    let (place, other) = (Place::new(), Place::new());
    let (mut packed, mut rows) = (place.open(), other.open());
    let leads: Vec<(u64, u8)> =
        (1..=1_500).map(|id| (id, u8::try_from(id % 250).unwrap())).collect();
    make(&mut packed, &Change::Load(leads.clone()));
    make(&mut rows, &Change::Load(leads.iter().rev().copied().collect()));
    let used = |cache: &Cache| stored::is_used(&cache.db).unwrap();
    assert!(used(&packed) && !used(&rows));
    assert_eq!(packed.rows().unwrap(), rows.rows().unwrap());
    assert_eq!(packed.members().unwrap(), rows.members().unwrap());
    for id in [1, 700, 1_500, 1_501] {
        assert_eq!(packed.lead(id).unwrap(), rows.lead(id).unwrap());
    }
    assert_eq!((packed.highest_id().unwrap(), packed.has_keys().unwrap()), (1_500, true));
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
        let leads = rows_of(&leads[..1_400]);
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
    let mut leads: Vec<(u64, u8)> = (1..=1_200).map(|id| (id, 0)).collect();
    leads.extend([(5, 7), (1_300, 7)]);
    make(&mut cache, &Change::Load(leads));
    assert_eq!(cache.summary().unwrap().leads, 1_201);
    assert_eq!(groups(&cache), [("7@example.com".to_owned(), vec![5, 1_300])]);
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
    member::keep(&cache.db, hashes, place.folder.path()).unwrap();
    assert_eq!(cache.members().unwrap(), expected_members(&cache));
    assert_eq!(groups(&cache), [("1@example.com".to_owned(), vec![1, 3])]);
}
