//! Every config key: its name, and what its value becomes. The file and the environment are read by
//! this one table.

use std::path::PathBuf;

use super::value::RawValue;
use super::{Config, Environment, Error, PollInterval, Strategy, guard, merge, rules};
use crate::dedupe::FieldRule;

type Setter = fn(&mut Config, &RawValue) -> Result<(), String>;

/// The keys of the config file. `fields.FIELD`, `bundles.NAME` and `cause.CAUSE.…` are the families
/// beside them.
const SETTINGS: &[(&str, Setter)] = &[
    ("instance.base_url", |config, value| config.instance.set_base_url(value.text()?)),
    ("instance.identity_url", |config, value| config.instance.set_identity_url(value.text()?)),
    ("instance.app_url", |config, value| config.instance.set_app_url(value.text()?)),
    ("instance.client_id", |config, value| {
        config.instance.client_id = Some(value.text()?.to_owned());
        Ok(())
    }),
    ("instance.client_secret_command", |config, value| {
        config.instance.client_secret_command = Some(value.text()?.to_owned());
        Ok(())
    }),
    ("instance.client_secret", |_, _| {
        Err("a secret does not belong in a file; set MARKETO_CLIENT_SECRET, or name a command that prints it \
             in `instance.client_secret_command`"
            .to_owned())
    }),
    ("cache.path", |config, value| {
        config.cache_path = Some(PathBuf::from(value.text()?));
        Ok(())
    }),
    ("ledger.path", |config, value| {
        config.ledger_path = Some(PathBuf::from(value.text()?));
        Ok(())
    }),
    ("ledger.keep", |config, value| value.duration().map(|keep| config.ledger_keep = Some(keep))),
    ("limits.calls", |config, value| value.number().map(|number| config.limits.calls = number)),
    ("limits.window", |config, value| value.duration().map(|window| config.limits.window = window)),
    ("limits.concurrency", |config, value| {
        value.number().map(|number| config.limits.concurrency = number)
    }),
    ("limits.daily_calls", |config, value| {
        value.number().map(|number| config.limits.daily_calls = number)
    }),
    ("limits.daily_export", |config, value| {
        value.bytes().map(|bytes| config.limits.daily_export = bytes)
    }),
    ("limits.quota", |config, value| value.number().map(|number| config.limits.quota = number)),
    ("bulk.poll_interval", |config, value| {
        value.duration().map(|interval| config.bulk_poll_interval = PollInterval(interval))
    }),
    ("scan.strategy", |config, value| {
        config.scan.strategy = match value.text()? {
            "auto" => Strategy::Auto,
            "bulk" => Strategy::Bulk,
            "pages" => Strategy::Pages,
            other => return Err(format!("takes auto, bulk or pages, not `{other}`")),
        };
        Ok(())
    }),
    ("scan.fields", |config, value| {
        config.scan.fields = value.list();
        Ok(())
    }),
    ("match.key", |config, value| {
        let fields = value.list();
        if fields.is_empty() {
            return Err("needs at least one field, for example [\"email\"]".to_owned());
        }
        config.key.fields = fields;
        Ok(())
    }),
    ("match.within_partition", |config, value| {
        value.boolean().map(|within| config.key.within_partition = within)
    }),
    ("winner.order", |config, value| {
        config.winner = rules::winner_order(value)?;
        Ok(())
    }),
    ("winner.ids_file", |config, value| {
        config.winner_ids_file = Some(PathBuf::from(value.text()?));
        Ok(())
    }),
    ("merge.max_groups", |config, value| {
        value.number().map(|number| config.merge.max_groups = number)
    }),
    ("merge.stop_after_errors", |config, value| {
        value.number().map(|number| config.merge.stop_after_errors = number)
    }),
    ("merge.concurrency", |config, value| {
        value.number().map(|number| config.merge.concurrency = Some(number))
    }),
    ("merge.hours", |config, value| value.parsed().map(|hours| config.merge.hours = Some(hours))),
    ("merge.stop_file", |config, value| {
        config.merge.stop_file = Some(PathBuf::from(value.text()?));
        Ok(())
    }),
    ("merge.leave_calls", |config, value| {
        merge::leave_calls(value).map(|calls| config.merge.leave_calls = calls)
    }),
    ("merge.crm", |config, value| {
        config.merge.no_crm = match value.text()? {
            "auto" => false,
            "none" => true,
            other => return Err(format!("takes auto or none, not `{other}`")),
        };
        Ok(())
    }),
    ("merge.custom_objects", |config, value| {
        config.merge.leave_rows = match value.text()? {
            "move" => false,
            "leave" => true,
            other => return Err(format!("takes move or leave, not `{other}`")),
        };
        Ok(())
    }),
    ("review.policy", |config, value| value.parsed().map(|policy| config.review.policy = policy)),
    ("review.two_people", |config, value| {
        value.boolean().map(|two| config.review.two_people = two)
    }),
    ("probe.max_age", |config, value| value.duration().map(|age| config.probe_max_age = Some(age))),
    ("price", |config, value| {
        config.price = Some(value.text()?.to_owned());
        Ok(())
    }),
    ("skip.placeholders", |config, value| {
        config.skip.placeholders = value.list();
        Ok(())
    }),
    ("skip.differs", |config, value| {
        config.skip.differs = value.list();
        Ok(())
    }),
    ("skip.partitions", |config, value| {
        config.skip_settings.partitions = value.list();
        Ok(())
    }),
    ("skip.lists", |config, value| {
        config.skip_settings.lists = value.list();
        Ok(())
    }),
    ("skip.emails", |config, value| {
        rules::all(&value.list()).map(|patterns| config.skip_settings.emails = patterns)
    }),
    ("skip.file", |config, value| {
        config.skip_settings.file = Some(PathBuf::from(value.text()?));
        Ok(())
    }),
    ("skip.changed_within", |config, value| {
        value.duration().map(|within| config.skip_settings.changed_within = Some(within))
    }),
    ("skip.when", |config, value| {
        rules::all(&value.texts()?).map(|conditions| config.skip_settings.when = conditions)
    }),
    ("skip.above", |config, value| value.number().map(|number| config.skip.above = number)),
    ("guard.mode", |config, value| guard::mode(value).map(|mode| config.guard.mode = mode)),
    ("guard.create_duplicate", |config, value| {
        guard::create_duplicate(value).map(|what| config.guard.create_duplicate = what)
    }),
    ("guard.on_duplicates", |config, value| {
        guard::on_duplicates(value).map(|what| config.guard.on_duplicates = what)
    }),
    ("guard.leases", |config, value| guard::leases(value).map(|store| config.guard.leases = store)),
    ("guard.queue", |config, value| value.number().map(|number| config.guard.queue = number)),
    ("guard.max_wait", |config, value| value.duration().map(|wait| config.guard.max_wait = wait)),
];

/// Variables with names of their own, and the key that each sets.
const NAMED_VARIABLES: &[(&str, &str)] = &[
    ("MARKETO_BASE_URL", "instance.base_url"),
    ("MARKETO_IDENTITY_URL", "instance.identity_url"),
    ("MARKETO_CLIENT_ID", "instance.client_id"),
    ("MKTO_AUDIT_DB", "cache.path"),
];

/// Who runs the program: a name that was given, else the user of this machine.
const BY: [&str; 4] = ["MKTO_AUDIT_BY", "USER", "LOGNAME", "USERNAME"];

/// Every key that the config file may have, as written there.
pub fn known_keys() -> impl Iterator<Item = &'static str> {
    SETTINGS.iter().map(|(key, _)| *key).filter(|key| *key != "instance.client_secret")
}

/// Sets one key, or says what is wrong with it and where it stands.
pub(super) fn set(
    config: &mut Config,
    key: &str,
    value: &RawValue,
    place: &str,
) -> Result<(), Error> {
    if let Some(field) = key.strip_prefix("fields.") {
        let rule: FieldRule =
            value.parsed().map_err(|what| Error::at(format!("{place}: `{key}`"), what))?;
        config.fields.0.insert(field.to_owned(), rule);
        return Ok(());
    }
    if let Some(bundle) = key.strip_prefix("bundles.") {
        config.bundles.0.insert(bundle.to_owned(), value.list());
        return Ok(());
    }
    if let Some(rest) = key.strip_prefix("cause.") {
        return rules::set_of_cause(config, rest, value, place);
    }
    let Some((_, setter)) = SETTINGS.iter().find(|(known, _)| *known == key) else {
        return Err(unknown(key, place));
    };
    setter(config, value).map_err(|what| Error::at(format!("{place}: `{key}`"), what))
}

/// Sets what the environment says: the variables with names of their own, then
/// `MKTO_AUDIT__SECTION__KEY`.
pub(super) fn set_from_environment(
    config: &mut Config,
    environment: &Environment,
) -> Result<(), Error> {
    for (variable, key) in NAMED_VARIABLES {
        if let Some(value) = super::variable(environment, variable) {
            set(config, key, &RawValue::Scalar(value.to_owned()), variable)?;
        }
    }
    if let Some(secret) = super::variable(environment, "MARKETO_CLIENT_SECRET") {
        config.instance.client_secret = Some(secret.trim().into());
    }
    config.by = BY.iter().find_map(|name| super::variable(environment, name)).map(str::to_owned);
    if let Some(speed) = super::variable(environment, "MKTO_AUDIT_CLOCK_SPEED") {
        config.clock_speed = RawValue::Scalar(speed.to_owned())
            .number()
            .map_err(|what| Error::at("MKTO_AUDIT_CLOCK_SPEED", what))?;
    }
    for (variable, value) in environment {
        if let Some(rest) = variable.strip_prefix("MKTO_AUDIT__") {
            set(config, &key_of_variable(rest), &RawValue::Scalar(value.clone()), variable)?;
        }
    }
    if let Some(password) = super::variable(environment, "PGPASSWORD") {
        config.guard.set_password(password);
    }
    Ok(())
}

/// `LIMITS__CALLS` → `limits.calls`. What follows `FIELDS__` is a field of Marketo's and keeps its
/// case, and so does the name of a bundle; so it is within a cause, `CAUSE__RACE__FIELDS__phone`.
fn key_of_variable(rest: &str) -> String {
    match rest.split_once("__") {
        Some((section, of_cause)) if section.eq_ignore_ascii_case("cause") => {
            let (cause, key) = of_cause.split_once("__").unwrap_or((of_cause, ""));
            format!("cause.{}.{}", cause.to_ascii_lowercase(), key_of_variable(key))
        }
        Some((section, field)) if section.eq_ignore_ascii_case("fields") => {
            format!("fields.{field}")
        }
        Some((section, name)) if section.eq_ignore_ascii_case("bundles") => {
            format!("bundles.{name}")
        }
        _ => rest.to_ascii_lowercase().replace("__", "."),
    }
}

fn unknown(key: &str, place: &str) -> Error {
    let nearest = known_keys()
        .map(|known| (strsim::damerau_levenshtein(known, key), known))
        .min()
        .filter(|(distance, known)| *distance <= known.len() / 2)
        .map(|(_, known)| known.to_owned());
    Error::UnknownKey { place: place.to_owned(), key: key.to_owned(), nearest }
}
