//! A file that takes the place of the cache.

use std::path::PathBuf;

use super::{Change, INSTANCE, Place, groups, make, now, row, rows_of, spec};
use crate::cache::{Cache, Error, ScanSpec};

#[test]
fn a_loaded_file_takes_the_place_of_the_cache_and_keeps_what_waits_in_it() {
    let place = Place::new();
    let mut cache = place.open();
    make(&mut cache, &Change::Pages(vec![(1, 1), (2, 2), (3, 3)]));
    cache.keep_totals("{}").unwrap();
    cache
        .save_births(
            &[crate::lead::Birth::new(1, now()), crate::lead::Birth::new(3, now())],
            &[1, 3],
        )
        .unwrap();
    let spec = ScanSpec { strategy: "file".to_owned(), ..spec() };
    let totals = cache
        .load(&spec, now(), |loader| {
            rows_of(&[(1, 1), (2, 1), (4, 4)]).iter().try_for_each(|row| loader.add(row))
        })
        .map_err(|error: Error| error)
        .unwrap();
    assert_eq!((totals.leads, totals.new, totals.changed, totals.removed), (3, 1, 1, 1));
    assert_eq!(cache.waiting_totals().unwrap().len(), 1);
    let births: i64 =
        cache.db.query_row("SELECT count(*) FROM birth", [], |row| row.get(0)).unwrap();
    assert_eq!(births, 1, "the births of a lead that is gone go with it");
    assert!(matches!(Cache::open(&place.path(), INSTANCE), Err(Error::InUse { .. })));
    drop(cache);
    let files: Vec<_> = std::fs::read_dir(place.folder.path()).unwrap().collect();
    assert_eq!(files.len(), 1, "{files:?}");
    assert_eq!(groups(&place.open()), [("1@example.com".to_owned(), vec![1, 2])]);
}

#[cfg(unix)]
#[test]
fn a_cache_behind_a_link_is_replaced_where_it_lies() {
    let place = Place::new();
    let real = place.folder.path().join("real.db");
    std::os::unix::fs::symlink(&real, place.path()).unwrap();
    let mut cache = place.open();
    for email in ["a@x.org", "b@x.org"] {
        cache.load(&spec(), now(), |loader| loader.add(&row(1, email))).unwrap();
    }
    drop(cache);
    assert!(place.path().symlink_metadata().unwrap().is_symlink());
    let cache = Cache::open(&real, INSTANCE).unwrap();
    assert_eq!(cache.lead(1).unwrap().unwrap().email(), Some("b@x.org"));
}

#[test]
fn what_a_killed_load_has_left_is_removed_by_whoever_opens_the_cache_next() {
    let place = Place::new();
    let mut cache = place.open();
    cache.load(&spec(), now(), |loader| loader.add(&row(1, "a@x.org"))).unwrap();
    let fresh = cache.begin_fresh(&spec().fields).unwrap();
    let left = place.folder.path().join("cache.db.new");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(left.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
    // As a kill leaves it.
    std::mem::forget(fresh);
    drop(cache);
    assert!(left.exists());
    let cache = place.open();
    assert!(!left.exists());
    assert_eq!(cache.lead(1).unwrap().unwrap().email(), Some("a@x.org"));
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

/// What a cache is to be filled with, and the rows of it.
fn filled(cache: &Cache, email: &str) -> crate::cache::Fresh {
    let mut fresh = cache.begin_fresh(&spec().fields).unwrap();
    for id in 1..=2 {
        fresh.add_row(&row(id, email)).unwrap();
    }
    fresh
}

#[test]
fn a_cache_that_cannot_be_replaced_stays_and_can_be_used() {
    let place = Place::new();
    let mut cache = place.open();
    make(&mut cache, &Change::Load(vec![(1, 1), (2, 1)]));
    let fresh = filled(&cache, "new@example.com");
    let refused = |_: &std::path::Path, _: &std::path::Path| {
        Err(std::io::Error::from(std::io::ErrorKind::PermissionDenied))
    };
    let failed = cache.replace_by(fresh, (&spec(), None, now()), refused);
    assert!(matches!(failed, Err(Error::Store { .. })), "{failed:?}");
    assert_eq!(groups(&cache), [("1@example.com".to_owned(), vec![1, 2])]);
    assert!(!place.folder.path().join("cache.db.new").exists());
    make(&mut cache, &Change::Load(vec![(3, 3), (4, 3)]));
    assert_eq!(groups(&cache), [("3@example.com".to_owned(), vec![3, 4])]);
}

#[test]
fn a_cache_that_is_a_mount_of_its_own_is_filled_where_it_is() {
    let place = Place::new();
    let mut cache = place.open();
    make(&mut cache, &Change::Pages(vec![(1, 1), (2, 1), (7, 2)]));
    let kept = std::fs::File::open(place.path()).unwrap();
    let fresh = filled(&cache, "new@example.com");
    let busy = |_: &std::path::Path, _: &std::path::Path| {
        Err(std::io::Error::from(std::io::ErrorKind::ResourceBusy))
    };
    let totals = cache.replace_by(fresh, (&spec(), Some("leads.csv"), now()), busy).unwrap();
    assert_eq!((totals.leads, totals.changed, totals.removed), (2, 2, 1));
    drop(cache);
    let files: Vec<_> = std::fs::read_dir(place.folder.path()).unwrap().collect();
    assert_eq!(files.len(), 1, "{files:?}");
    assert_eq!(kept.metadata().unwrap().len(), place.path().metadata().unwrap().len());
    assert_eq!(groups(&place.open()), [("new@example.com".to_owned(), vec![1, 2])]);
}

#[test]
fn a_file_that_gives_its_name_away_leaves_the_log_of_the_next_one_alone() {
    let place = Place::new();
    let mut cache = place.open();
    make(&mut cache, &Change::Pages(vec![(1, 1), (2, 1)]));
    cache.stop_journalling().unwrap();
    let mut log = place.path().into_os_string();
    log.push("-journal");
    assert!(!std::path::Path::new(&log).exists());
    std::fs::write(&log, "of another process that has opened the next file").unwrap();
    drop(cache);
    assert!(std::path::Path::new(&log).exists());
}
