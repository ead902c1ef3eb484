//! Rows of custom objects, looked for when a group is planned and once more before it is merged;
//! and lists and programs that the API user may not see.

use super::fake::World;
use super::*;

mod moved;

/// Two groups of two; the leads of each live in one city.
fn four() -> Vec<Lead> {
    let lead =
        |id: u64, email: &str, city: &str| Lead::new(id).with("email", email).with("title", city);
    vec![
        lead(1, "a@example.com", "Paris"),
        lead(2, "a@example.com", "Paris"),
        lead(3, "b@example.com", "Oslo"),
        lead(4, "b@example.com", "Oslo"),
    ]
}

/// Why each group of the four is left out of a plan; nothing where it is not.
async fn left_out(set_up: impl FnOnce(&mut World)) -> BTreeMap<String, String> {
    let bench = Bench::new(four());
    set_up(&mut bench.fake.world());
    let plan = bench.plan().await;
    assert_eq!(plan.groups.len() + plan.left_out.len(), 2);
    plan.left_out.into_iter().map(|left| (left.key.as_str().to_owned(), left.reason)).collect()
}

fn keys(left_out: &BTreeMap<String, String>) -> Vec<&str> {
    left_out.keys().map(String::as_str).collect()
}

#[tokio::test(start_paused = true)]
async fn a_loser_with_rows_that_cannot_move_is_left_out_when_its_group_is_planned() {
    type SetUp = fn(&mut World);
    for (set_up, words) in [
        ((|world| world.fixed_rows = true) as SetUp, "cannot be changed"),
        (
            |world| {
                world.key_has_link = true;
                world.put_row(1, "T");
            },
            "the same `model`",
        ),
    ] {
        let out = left_out(|world| {
            world.put_row(2, "T");
            set_up(world);
        })
        .await;
        assert_eq!(keys(&out), ["a@example.com"]);
        let reason = &out["a@example.com"];
        assert!(reason.contains("1 row of the custom object `car_c` on lead 2"), "{reason}");
        assert!(reason.contains(words), "{reason}");
        // What the winner has stays with it.
        let out = left_out(|world| {
            set_up(world);
            world.put_row(3, "T");
        })
        .await;
        assert_eq!(keys(&out), Vec::<&str>::new());
    }
    // And those that can move do not keep it out.
    let out = left_out(|world| drop(world.put_row(2, "T"))).await;
    assert_eq!(keys(&out), Vec::<&str>::new());
}

#[tokio::test(start_paused = true)]
async fn rows_linked_by_a_shared_value_are_unknown_and_those_of_strangers_are_not() {
    for (by, value) in [("title", "Paris"), ("TITLE", "paris"), ("Title", "Paris")] {
        let out = left_out(|world| {
            world.linked_by = Some(by.to_owned());
            world.linked = [value.to_owned()].into();
        })
        .await;
        assert_eq!(keys(&out), ["a@example.com"], "{by}");
        let reason = &out["a@example.com"];
        assert!(reason.contains("car_c") && reason.contains("`title`"), "{reason}");
    }
    let out = left_out(|world| {
        world.linked_by = Some("title".to_owned());
        world.linked = ["Rome".to_owned()].into();
    })
    .await;
    assert_eq!(keys(&out), Vec::<&str>::new());
}

#[tokio::test(start_paused = true)]
async fn a_comma_in_one_value_leaves_one_group_alone() {
    let bench = Bench::new(four());
    bench.fake.world().linked_by = Some("title".to_owned());
    bench.fake.world().leads.get_mut(&2).unwrap().set("title", json!("Paris, France"));
    let plan = bench.plan().await;
    assert_eq!((plan.groups.len(), plan.left_out.len()), (1, 1));
    assert!(plan.left_out[0].reason.contains("comma"), "{}", plan.left_out[0].reason);
    let report = bench.carry_out(plan).await;
    assert!(report.stopped.is_none(), "{report:?}");
    assert_eq!((report.count(Outcome::Merged), bench.ids()), (1, vec![1, 2, 3]));
}

#[tokio::test(start_paused = true)]
async fn a_relation_that_is_not_understood_or_cannot_be_read_leaves_every_group_alone() {
    let out = left_out(|world| world.linked_by = Some("Loyalty Number".to_owned())).await;
    assert_eq!(keys(&out), ["a@example.com", "b@example.com"]);
    assert!(out["a@example.com"].contains("Loyalty Number"), "{out:?}");
    for code in ["603", "1003", "1006", "1020", "610", "HTTP 403"] {
        for list in [false, true] {
            let out = left_out(|world| {
                if list {
                    world.refuses_objects = Some(code);
                } else {
                    world.refuses_rows = Some(code);
                }
            })
            .await;
            assert_eq!(keys(&out), ["a@example.com", "b@example.com"], "{code}");
            let reason = &out["a@example.com"];
            assert!(reason.contains(code), "{reason}");
            assert!(list || reason.contains("car_c"), "{reason}");
            assert_eq!(code == "603", reason.contains("Read-Only Custom Object"), "{reason}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_came_after_the_plan_is_seen_by_the_last_check() {
    for set_up in [
        (|world: &mut World| {
            world.put_row(2, "T");
            world.fixed_rows = true;
        }) as fn(&mut World),
        |world| world.refuses_rows = Some("1003"),
    ] {
        let bench = Bench::new(pair());
        let plan = bench.plan().await;
        assert_eq!(plan.groups.len(), 1);
        set_up(&mut bench.fake.world());
        let (outcome, reason) = only(&bench.carry_out(plan).await);
        assert_eq!((outcome, bench.ids()), (Outcome::Skipped, vec![1, 2]), "{reason}");
        assert!(reason.contains("car_c"), "{reason}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_kept_is_not_merged_and_the_missing_permission_is_named() {
    let bench = Bench::new(four());
    let before = bench.ids();
    let plan = bench.plan().await;
    bench.fake.world().hides_memberships = true;
    let report = bench.carry_out(plan).await;
    assert!(report.stopped.is_none(), "{:?}", report.stopped);
    assert_eq!(report.groups.len(), 2);
    for group in &report.groups {
        assert_eq!(group.outcome, Outcome::Skipped);
        assert!(group.reason.as_ref().unwrap().contains("Read-Only Assets"), "{group:?}");
    }
    let plan = bench.plan().await;
    assert_eq!((plan.groups.len(), plan.left_out.len()), (0, 2));
    assert!(plan.left_out[0].reason.contains("Read-Only Assets"), "{:?}", plan.left_out);
    assert_eq!((bench.ids(), bench.fake.world().writes), (before, 0));
}
