//! `mkto-audit doctor`: is everything there that the other commands need, and how to mend what is
//! not.

use clap::Args;
use serde::Serialize;

use super::confirm::counted;
use super::wrap::wrapped;
use super::{Context, Exit, Failure};
use crate::config::{self, Config, Limits};
use crate::dedupe::{Sense, custom_companions, custom_consent};
use crate::marketo::{
    self, Client, Outcome, ReadActivities, ReadCustomObjects, ReadLeads, ReadMemberships,
    ReadUsage, Schema, SyncAction, SyncLeads, SyncRequest,
};
use crate::terminal::count;

/// How often the empty call that checks the permission to write is made.
const WRITE_ATTEMPTS: u32 = 5;

/// Check the configuration, the credentials, the permissions and the quota left today
///
/// Changes nothing in Marketo: the permission to write is checked with an empty call, which Marketo
/// refuses for being empty where it would allow a full one.
#[derive(Debug, Args)]
#[command(after_help = "Example: mkto-audit doctor")]
pub(super) struct DoctorArgs {
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Lines are no wider than this, on however wide a terminal; in a pipe they stay whole.
const WIDTH: usize = 80;

/// What stands under a check begins below its name.
const INDENT: &str = "      ";

/// What was looked at, and what was found.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    ok: bool,
    /// What was seen.
    detail: String,
    /// How to mend it, where it is not well.
    mend: Option<String>,
    #[serde(skip)]
    exit: Exit,
}

#[derive(Debug, Serialize)]
struct Document<'a> {
    schema: &'static str,
    instance: String,
    ok: bool,
    check: &'a [Check],
}

pub(super) async fn run(context: &mut Context, args: &DoctorArgs) -> Result<Exit, Failure> {
    let checks = context.or_stop(examine(&context.config)).await?;
    let exit = checks.iter().find(|check| !check.ok).map_or(Exit::Done, |check| check.exit);
    if args.json {
        context.ui.json(&Document {
            schema: "mkto-audit/doctor/1",
            instance: context.config.instance_name(),
            ok: exit == Exit::Done,
            check: &checks,
        })?;
        return Ok(exit);
    }
    let width = context.ui.terminal_width().map_or(usize::MAX, |width| width.min(WIDTH));
    for check in &checks {
        let mark = if check.ok { "ok  " } else { "FAIL" };
        let mut lines = format!("{}: {}", check.name, check.detail)
            .lines()
            .map(str::to_owned)
            .collect::<Vec<_>>();
        let mend =
            check.mend.as_ref().map(|mend| format!("how to fix it: {mend}")).unwrap_or_default();
        lines.extend(mend.lines().map(str::to_owned));
        let text: Vec<String> =
            lines.iter().map(|line| wrapped(line, width.saturating_sub(INDENT.len()))).collect();
        let text = text.join("\n").replace('\n', &format!("\n{INDENT}"));
        context.ui.print(&format!("{mark}  {text}"))?;
    }
    let failed = checks.iter().filter(|check| !check.ok).count();
    context.ui.note(&match failed {
        0 => "everything works; next: mkto-audit scan".to_owned(),
        failed => format!("{} failed", counted(failed, "check")),
    });
    Ok(exit)
}

/// Looks at one thing after another; what cannot work without an earlier one is not tried.
async fn examine(config: &Config) -> Vec<Check> {
    let mut checks = vec![files(config)];
    let client = match client(config) {
        Ok(client) => client,
        Err(check) => {
            checks.push(check);
            return checks;
        }
    };
    let schema = client.describe().await;
    let credentials = match &schema {
        Err(
            error @ (marketo::Error::Credentials { .. }
            | marketo::Error::Unavailable { .. }
            | marketo::Error::Untrusted { .. }),
        ) => {
            checks.push(failed("credentials", error));
            return checks;
        }
        _ => passed(
            "credentials",
            format!("Marketo gave a token for client id {}", shown_id(config)),
        ),
    };
    checks.push(credentials);
    checks.push(permission("Read-Only Lead", &schema, |schema: &Schema| {
        format!("{} of leads can be read", counted(schema.fields.len(), "field"))
    }));
    checks.extend(schema.iter().map(consent));
    checks.push(permission("Read-Only Activity", &client.activity_types().await, |types| {
        counted(types.len(), "activity type")
    }));
    checks.push(permission("Read-Only Assets", &client.static_lists().await, |lists| {
        counted(lists.len(), "static list")
    }));
    checks.push(permission(
        "Read-Only Custom Object",
        &client.lead_custom_objects().await,
        |objects| {
            format!(
                "{} that belong{} to leads",
                counted(objects.len(), "custom object"),
                if objects.len() == 1 { "s" } else { "" }
            )
        },
    ));
    checks.push(may_write(&client).await);
    checks.push(quota(config, &client).await);
    checks
}

fn files(config: &Config) -> Check {
    match (config.cache_file(), config.ledger_file()) {
        (Ok(cache), Ok(ledger)) => passed(
            "configuration",
            format!("cache {}, ledger {}", cache.display(), ledger.display()),
        ),
        (Err(error), _) | (_, Err(error)) => misconfigured(&error),
    }
}

fn client(config: &Config) -> Result<Client, Check> {
    let credentials = config.credentials().map_err(|error| misconfigured(&error))?;
    super::client(config, credentials).map_err(|failure| match failure {
        Failure::Marketo(error) => failed("configuration", &error),
        other => Check {
            name: "configuration",
            ok: false,
            detail: other.to_string(),
            mend: other.hint(),
            exit: other.exit(),
        },
    })
}

/// The fields about consent that only this instance has, and what a merge does with each.
fn consent(schema: &Schema) -> Check {
    let facts = crate::merge::facts(schema);
    let mut detail = match custom_consent(&facts).as_slice() {
        [] => "no custom consent fields were found by name or label".to_owned(),
        found => {
            let line =
                |(field, sense): &(&str, Sense)| format!("\n      {field}: {}", sense.treatment());
            format!(
                "custom fields that a merge treats as consent:{}",
                found.iter().map(line).collect::<String>()
            )
        }
    };
    let companions = custom_companions(&facts);
    let line = |(field, flag): &(&str, &str)| {
        format!("\n      {field}: comes from the record whose {flag} is kept")
    };
    detail.push_str(&companions.iter().map(line).collect::<String>());
    let hidden = [facts.missing_safety_fields(), facts.missing_opt_outs()].concat();
    if !hidden.is_empty() {
        detail.push_str("\n      not shown to this API user, so not protected: ");
        detail.push_str(&hidden.join(", "));
    }
    passed("consent", detail)
}

/// An empty call of Sync Leads: with the permission Marketo answers that no leads were given,
/// without it 603.
async fn may_write(client: &Client) -> Check {
    let request = SyncRequest {
        action: SyncAction::UpdateOnly,
        lookup_field: "id".to_owned(),
        partition: None,
        input: Vec::new(),
    };
    let name = "Read-Write Lead";
    let mut answer = client.sync_leads(&request).await;
    // A call without records can do nothing, so that this one may be sent again whatever became of
    // it.
    for _ in 1..WRITE_ATTEMPTS {
        if !answer.as_ref().is_err_and(|error| error.outcome() == Outcome::Unclear) {
            break;
        }
        answer = client.sync_leads(&request).await;
    }
    match answer {
        Ok(_) | Err(marketo::Error::Refused { .. }) => {
            passed(name, "leads may be written and merged".to_owned())
        }
        Err(error) => failed(name, &error),
    }
}

fn calls(number: u64) -> String {
    crate::terminal::counted(number, "call")
}

async fn quota(config: &Config, client: &Client) -> Check {
    let name = "quota";
    let seen = client.usage_today().await.and_then(|usage| Ok((usage, client.spent_today()?)));
    match seen {
        Ok((usage, spent)) => {
            let quota = config.limits.quota;
            // What this contract allows cannot be asked for.
            let usual = if quota == Limits::default().quota { "usual " } else { "" };
            let mut detail = format!(
                "API budget: {} left of the {usual}{} a day (today all tools used {}); this program's own budget: {} of {} \
                 used today, at most {} in {}, {} at once",
                calls(quota.saturating_sub(usage.total)),
                count(quota),
                count(usage.total),
                count(spent.calls),
                calls(config.limits.daily_calls),
                counted(config.limits.calls, "call"),
                humantime::format_duration(config.limits.window),
                config.limits.concurrency,
            );
            let users: Vec<String> = usage
                .by_user
                .iter()
                .map(|(user, calls)| format!("\n{:>7} by {user}", count(*calls)))
                .collect();
            detail.push_str(&users.concat());
            passed(name, detail)
        }
        Err(error) => failed(name, &error),
    }
}

fn permission<T>(
    name: &'static str,
    answer: &marketo::Result<T>,
    describe: impl Fn(&T) -> String,
) -> Check {
    match answer {
        Ok(found) => passed(name, describe(found)),
        Err(error) => failed(name, error),
    }
}

fn passed(name: &'static str, detail: String) -> Check {
    Check { name, ok: true, detail, mend: None, exit: Exit::Done }
}

fn misconfigured(error: &config::Error) -> Check {
    Check {
        name: "configuration",
        ok: false,
        detail: error.to_string(),
        mend: error.hint(),
        exit: Exit::Usage,
    }
}

fn failed(name: &'static str, error: &marketo::Error) -> Check {
    let mend = match error {
        marketo::Error::Credentials { .. } => {
            "compare MARKETO_CLIENT_ID and MARKETO_CLIENT_SECRET with Admin > LaunchPoint > View Details".to_owned()
        }
        marketo::Error::Permission { .. } => format!(
            "give the API user's role the permission `{name}` (Admin > Users & Roles > Roles > Access API), \
             and look whether an IP allow-list keeps this machine out (Admin > Web Services){}",
            without(name)
        ),
        marketo::Error::Quota { .. } => {
            "wait until midnight US Central, or raise limits.daily_calls if it is this program's own budget".to_owned()
        }
        marketo::Error::Untrusted { why, .. } => why.mend().to_owned(),
        marketo::Error::Unavailable { .. } => {
            "look whether MARKETO_BASE_URL is the Endpoint of Admin > Web Services, without /rest, and whether this \
             machine reaches it"
                .to_owned()
        }
        _ => "try again; if it stays, the log of -v says which call it is".to_owned(),
    };
    Check {
        name,
        ok: false,
        detail: error.to_string(),
        mend: Some(mend),
        exit: super::failure::exit_of(error),
    }
}

/// What works without a permission, and what does not.
fn without(name: &str) -> &'static str {
    match name {
        "Read-Only Activity" => {
            "\nwithout it: `scan` reads all records, each time anew, and finds no causes; `merge` does not notice who opts \
             out on a record while it is merged"
        }
        "Read-Only Assets" => {
            "\nwithout it: `scan` works by pages, and `merge` leaves every group alone"
        }
        "Read-Only Custom Object" => {
            "\nwithout it: `scan` works, and `merge` leaves every group alone"
        }
        "Read-Write Lead" => {
            "\nwithout it: `scan`, `report` and `explain` work, and nothing can be merged or written"
        }
        _ => "",
    }
}

/// The client id's first characters: enough to compare, not enough to use.
fn shown_id(config: &Config) -> String {
    let id = config.instance.client_id.as_deref().unwrap_or_default();
    id.chars().take(8).chain("…".chars()).collect()
}
