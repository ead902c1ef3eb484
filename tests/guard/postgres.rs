//! Guards on several machines: their leases are in one Postgres, which goes away, comes back, and
//! may be far off.

use serde_json::{Value, json};

use crate::support::cluster::{Cluster, PASSWORD};
use crate::support::counts::leads_with;
use crate::support::guards::{guard_elsewhere, leads_after_a_crash, upserts};
use crate::support::{Guard, Instance, Leases, quick};

#[test]
fn guards_of_several_machines_share_their_rights_to_keys() {
    let instance = Instance::start(quick());
    let Some(cluster) = Cluster::start() else { return };
    let address = cluster.database();
    let guards =
        ["one", "two", "three"].map(|machine| guard_elsewhere(&instance, machine, &address));
    let token = guards[0].token();
    let answers = instance.block_on(upserts(&guards.each_ref(), &token, "shared@example.com", 30));
    let written = answers.iter().filter(|answer| answer["result"][0]["id"].is_number()).count();
    assert_eq!((leads_with(&instance, "shared@example.com"), written), (1, 30));
}

#[test]
fn a_killed_guards_key_stays_protected_in_postgres_too() {
    let Some(cluster) = Cluster::start() else { return };
    assert_eq!(leads_after_a_crash(Leases::Postgres(&cluster.database())), 1);
}

#[test]
fn while_postgres_is_away_writes_are_refused_and_reads_go_on() {
    let instance = Instance::start(quick());
    let Some(cluster) = Cluster::start() else { return };
    let guard = Guard::builder(&instance).leases(Leases::Postgres(&cluster.database())).start();
    let token = guard.token();
    let write = || guard.sync(&json!({"input": [{"email": "ada@example.com"}]}));
    assert_eq!(write()["result"][0]["status"], "created");

    cluster.stop();
    let refused = write();
    assert_eq!(
        (&refused["success"], &refused["errors"][0]["code"]),
        (&json!(false), &json!("608"))
    );
    assert_eq!(guard.page("/-/readyz").0, 503);
    let (status, read): (u16, Value) =
        guard.get("/rest/v1/leads.json?filterType=id&filterValues=1", &token);
    assert_eq!((status, &read["success"]), (200, &json!(true)), "{read}");

    cluster.start_again();
    assert_eq!(write()["result"][0]["status"], "updated");
    assert_eq!(guard.page("/-/readyz").0, 200);
    assert!(!guard.log().contains(PASSWORD), "{}", guard.log());
}

#[test]
fn a_guard_waits_for_a_postgres_that_comes_later() {
    let instance = Instance::start(quick());
    let Some(cluster) = Cluster::start() else { return };
    let address = cluster.database();
    cluster.stop();
    let guard = Guard::builder(&instance).leases(Leases::Postgres(&address)).start();
    assert_eq!(guard.page("/-/readyz").0, 503);
    cluster.start_again();
    let answer = guard.sync(&json!({"input": [{"email": "ada@example.com"}]}));
    assert_eq!(answer["result"][0]["status"], "created");
}

#[test]
fn over_a_network_postgres_is_only_spoken_to_by_tls_and_under_its_own_name() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let Some(cluster) =
        Cluster::start_with_tls(&made.cert.pem(), &made.signing_key.serialize_pem())
    else {
        return;
    };
    let instance = Instance::start(quick());
    let authorities = instance.file("authorities.pem", made.cert.pem());
    let authorities = authorities.to_str().unwrap();
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let others = instance.file("others.pem", other.cert.pem());
    // Kept out of the address, as in a config file.
    let address = cluster.database().replace(&format!(":{PASSWORD}"), "") + "?sslmode=require";
    let by_name = address.replace("127.0.0.1", "localhost");
    let ready = |address: &str, authorities: &str| {
        let guard = Guard::builder(&instance)
            .leases(Leases::Postgres(address))
            .variables([("SSL_CERT_FILE", authorities), ("PGPASSWORD", PASSWORD)]);
        guard.start().page("/-/readyz").0
    };
    assert_eq!(ready(&by_name, authorities), 200);
    assert_eq!(ready(&by_name, others.to_str().unwrap()), 503, "nobody vouches for this server");
    assert_eq!(ready(&address, authorities), 503, "its certificate is for another name");
}
