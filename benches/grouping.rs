//! How long it takes to find the groups among two million cached leads. Memory is measured by
//! `end_to_end.sh`: what a process needs at its peak can be told of a whole process only.

use std::ops::ControlFlow;
use std::path::Path;

use criterion::Criterion;
use mkto_audit::cache::{self, Cache, Row, ScanSpec};
use mkto_audit::dedupe::KeySpec;
use mkto_audit::lead::{AUDIT_FIELDS, Lead};
use tokio::time::Instant;

use crate::goal::Goal;
use crate::instance::{self, NAME};

const LEADS: u64 = 2_000_000;

/// Every so many leads the email of the lead before comes again: 1.5% of the leads, so that 3% are
/// in groups.
const DUPLICATE_EVERY: u64 = 67;

/// The first look opens a cache that was just written; those that follow are criterion's
/// statistics.
pub(crate) fn measure() -> Vec<Goal> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.db");
    let before = Instant::now();
    fill(&path);
    println!("grouping: {LEADS} leads loaded in {:.1} s", before.elapsed().as_secs_f64());
    let cache = Cache::open_existing(&path, NAME).unwrap();
    let before = Instant::now();
    assert_eq!(groups(&cache), LEADS / DUPLICATE_EVERY);
    let seconds = before.elapsed().as_secs_f64();
    let mut criterion = Criterion::default().sample_size(10);
    criterion.bench_function("grouping/2000000 leads", |bencher| bencher.iter(|| groups(&cache)));
    vec![Goal::at_most(2.0, "s", format!("grouping, {LEADS} leads"), seconds)]
}

fn groups(cache: &Cache) -> u64 {
    let mut groups = 0;
    let counted = cache.for_each_group(cache::Groups::All, |_key, leads, _births| {
        groups += u64::from(leads.len() > 1);
        ControlFlow::Continue(())
    });
    counted.unwrap();
    groups
}

fn fill(path: &Path) {
    let key = KeySpec::default();
    let spec = ScanSpec {
        strategy: "file".to_owned(),
        fields: AUDIT_FIELDS.iter().map(|field| (*field).to_owned()).collect(),
        key_signature: key.signature(),
    };
    let mut cache = Cache::open(path, NAME).unwrap();
    let filled = cache.load(&spec, instance::now(), |loader| {
        (1..=LEADS).try_for_each(|id| {
            let lead = lead(id);
            let key = key.key_of(&lead).map(|key| key.as_str().to_owned());
            loader.add(&Row { lead, key })
        })
    });
    filled.map_err(|error: cache::Error| error).unwrap();
}

/// Emails in an order that has nothing to do with ids, as in life: an index over them is not filled
/// from left to right.
fn lead(id: u64) -> Lead {
    let person = if id.is_multiple_of(DUPLICATE_EVERY) { id - 1 } else { id };
    let scattered = person.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Lead::new(id)
        .with("email", format!("{scattered:016x}.{person}@example.com"))
        .with("firstName", "Ada")
        .with("lastName", format!("Byron {person}"))
        .with("company", "Analytical Engines")
        .with("createdAt", "2024-05-06T07:08:09Z")
        .with("updatedAt", "2025-05-06T07:08:09Z")
        .with("originalSourceType", "List import")
        .with("leadPartitionId", 1)
        .with("unsubscribed", false)
}
