//! Merges by the real binary, and the laws that they keep by the sandbox's own books.

use std::collections::BTreeMap;

use mkto_audit::cache::{Cache, Row, ScanSpec};
use mkto_audit::dedupe::KeySpec;
use mkto_audit::lead::Lead;
use mkto_sandbox::{LeadView, Options};
use serde_json::{Value, json};

use super::instance::Instance;
use super::program::Run;

/// What the table of a restore calls id, createdAt, original source, registration and inferred
/// fields: Marketo makes them anew.
pub const BY_NATURE: [&str; 10] = [
    "id",
    "createdAt",
    "updatedAt",
    "leadPerson",
    "personPrimaryLeadInterest",
    "mktoName",
    "originalSourceType",
    "originalSourceInfo",
    "registrationSourceType",
    "registrationSourceInfo",
];

/// What a scan would store.
pub fn fill_cache(instance: &Instance) {
    let name = instance.sandbox.base_url().trim_start_matches("http://").to_owned();
    let spec = KeySpec::default();
    let mut cache = Cache::open(&instance.path("cache.db"), &name).unwrap();
    let scan =
        ScanSpec { strategy: "pages".into(), fields: vec![], key_signature: spec.signature() };
    cache
        .load(&scan, "2026-11-24T12:00:00Z".parse().unwrap(), |loader| {
            for view in instance.sandbox.leads() {
                let lead = Lead { id: view.id, fields: view.fields.into_iter().collect() };
                let key = spec.key_of(&lead).map(|key| key.as_str().to_owned());
                loader.add(&Row { lead, key })?;
            }
            Ok::<_, mkto_audit::cache::Error>(())
        })
        .unwrap();
}

pub fn merge(instance: &Instance, flags: &[&str]) -> Run {
    Run::of(&mut command(instance, flags))
}

pub fn command(instance: &Instance, flags: &[&str]) -> std::process::Command {
    let mut arguments = vec!["merge"];
    arguments.extend(flags);
    let mut command = instance.command(arguments);
    command.env("MKTO_AUDIT_DB", instance.path("cache.db"));
    // Most of these tests are about how a merge is done: they ask for their group of sixty.
    command.env("MKTO_AUDIT__SKIP__ABOVE", "100");
    command
}

/// The instance's ledger, where the binary keeps it.
pub fn open_ledger(instance: &Instance) -> mkto_audit::ledger::Ledger {
    let name = instance.sandbox.base_url().trim_start_matches("http://").to_owned();
    let file = format!(".local/share/mkto-audit/{}.ledger.db", name.replace(':', "_"));
    mkto_audit::ledger::Ledger::open(&instance.path(&file), &name).unwrap()
}

/// An instance with `groups` groups of 2 to 5, lists, a program, opt-outs and gaps; and one of 60
/// where asked for.
pub fn crowd(options: Options, groups: usize, sixty: bool) -> Instance {
    let instance = Instance::start(options);
    let (mut evens, mut thirds) = (Vec::new(), Vec::new());
    let mut put = |email: &str, n: usize, copy: usize| {
        // Long before the run, so that its reading of the log does not begin with all their births.
        let mut fields = json!({ "email": email, "firstName": "Ada", "createdAt": "2026-01-02T03:04:05Z",
            "unsubscribed": copy == 1 && n.is_multiple_of(3) });
        if copy == 1 {
            fields["phone"] = json!(format!("+44 {n}"));
        }
        let id = instance.sandbox.put_lead(&fields);
        if id.is_multiple_of(2) {
            evens.push(id);
        }
        if id.is_multiple_of(3) {
            thirds.push((id, "Invited"));
        }
    };
    for n in 0..groups {
        for copy in 0..2 + n % 4 {
            put(&format!("p{n}@example.com"), n, copy);
        }
    }
    for copy in 0..if sixty { 60 } else { 0 } {
        put("sixty@example.com", 0, copy);
    }
    instance.sandbox.put_list(1, "Evens", &evens);
    instance.sandbox.put_program(7, "Thirds", &["Invited", "Attended"], &thirds);
    fill_cache(&instance);
    instance
}

/// Laws 3 and 5, by the sandbox's own books: every lead that is gone went into one with its email,
/// which has its list, its program, its opt-out and, where the group had one, its phone.
#[track_caller]
pub fn nothing_is_lost(instance: &Instance, before: &[LeadView]) {
    let after: BTreeMap<u64, LeadView> =
        instance.sandbox.leads().into_iter().map(|view| (view.id, view)).collect();
    for lead in before {
        let mut at = lead.id;
        while let Some(into) = instance.sandbox.merged_into(at) {
            at = into;
        }
        let survivor = after
            .get(&at)
            .unwrap_or_else(|| panic!("lead {} went into {at}, which is gone", lead.id));
        assert_eq!(
            survivor.fields["email"], lead.fields["email"],
            "lead {} went into a stranger",
            lead.id
        );
        for list in &lead.lists {
            assert!(survivor.lists.contains(list), "list {list} of lead {}", lead.id);
        }
        for program in lead.programs.keys() {
            assert!(
                survivor.programs.contains_key(program),
                "program {program} of lead {}",
                lead.id
            );
        }
        if lead.fields.get("unsubscribed") == Some(&Value::Bool(true)) {
            assert_eq!(survivor.fields["unsubscribed"], true, "opt-out of lead {}", lead.id);
        }
        if let Some(phone) = lead.fields.get("phone").filter(|_| at == lead.id) {
            assert_eq!(survivor.fields.get("phone"), Some(phone), "phone of lead {}", lead.id);
        } else if lead.fields.contains_key("phone") {
            assert!(survivor.fields.contains_key("phone"), "phone of lead {}", lead.id);
        }
    }
}

pub fn emails_are_unique(instance: &Instance) -> bool {
    let leads = instance.sandbox.leads();
    let emails: std::collections::BTreeSet<String> =
        leads.iter().map(|view| view.fields["email"].to_string()).collect();
    emails.len() == leads.len()
}
