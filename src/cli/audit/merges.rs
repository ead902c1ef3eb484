//! `mkto-audit audit merges`: merges that others made, by user and by day, and which opt-outs and
//! list memberships look lost.
//!
//! Only reads. What cannot be known is said with the result.

use std::collections::BTreeSet;
use std::path::PathBuf;

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use clap::Args;

use crate::cli::{Context, Exit, Failure, now};
use crate::lead::LeadId;
use crate::ledger::Ledger;
use crate::marketo::{
    BATCH, Client, MergeRecord, ReadHistory as _, ReadLeads as _, ReadMemberships as _, Since,
};
use crate::merge::facts;
use crate::repair::{OthersMerge, Read, not_ours, others_merges};
use crate::report::write_beside;
use crate::terminal::counted_of;

mod show;

use show::Found;

/// For so many days Marketo keeps changed values and additions to lists.
const KEPT_DAYS: i64 = 90;

/// List the merges that others made, by user and day, and what they look to have lost
///
/// Read from Marketo's activity log, which keeps merges for about 25 months, and changed values and
/// additions to static lists for 90 days. An opt-out or a list that the log shows on a record of a
/// merge, and that the surviving record does not have now, looks lost.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  mkto-audit audit merges                       the last 90 days\n  \
    mkto-audit audit merges --since 2026-06-01    since a day\n  \
    mkto-audit audit merges --csv merges.csv      a row a merge and loss, for a program"
)]
pub(super) struct MergesArgs {
    /// Merges from this day on (UTC) [default: 90 days before the last one]
    #[arg(long, value_name = "DATE")]
    since: Option<NaiveDate>,
    /// Merges up to this day (UTC), itself included [default: today]
    #[arg(long, value_name = "DATE")]
    until: Option<NaiveDate>,
    /// Write CSV to a file, or to standard output
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-", conflicts_with = "json")]
    csv: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// The time that is looked at: from its first day to the end of its last one.
#[derive(Debug, Clone, Copy)]
struct Span {
    since: NaiveDate,
    until: NaiveDate,
}

impl Span {
    fn of(args: &MergesArgs) -> Result<Self, Failure> {
        let until = args.until.unwrap_or_else(|| now().date_naive());
        let since = args.since.unwrap_or(until - TimeDelta::days(KEPT_DAYS));
        if since > until {
            return Err(Failure::Usage {
                what: format!("--since {since} is after --until {until}"),
                hint: None,
            });
        }
        Ok(Self { since, until })
    }

    fn begin(self) -> DateTime<Utc> {
        self.since.and_time(NaiveTime::MIN).and_utc()
    }

    fn holds(self, record: &MergeRecord) -> bool {
        record.at.is_none_or(|at| (self.since..=self.until).contains(&at.date_naive()))
    }
}

pub(super) async fn run(context: &mut Context, args: &MergesArgs) -> Result<Exit, Failure> {
    let span = Span::of(args)?;
    let ours = ours(context)?;
    let client = context.client()?;
    let records: Vec<MergeRecord> =
        context.or_stop(client.all_merges_since(span.begin())).await??;
    let records: Vec<MergeRecord> =
        records.into_iter().filter(|record| span.holds(record)).collect();
    let all = records.len();
    // The log keeps what would tell only so long, and a merge before it can have lost it too.
    let from = now() - TimeDelta::days(KEPT_DAYS);
    let read = context.or_stop(read(&client, &records, &ours, from)).await??;
    let merges: Vec<OthersMerge> = others_merges(&records, &ours, &read);
    let found = Found {
        instance: context.config.instance_name(),
        since: span.since,
        until: span.until,
        ours: (all - merges.len()) as u64,
        not_known: not_known(&merges, from),
        merges,
    };
    if args.json {
        context.ui.json(&found.document())?;
    } else if let Some(file) = &args.csv {
        if file.as_os_str() == "-" {
            context.ui.write(|out| found.csv(out))?;
        } else {
            write_beside(file, |out| found.csv(out))
                .map_err(|source| Failure::File { path: file.clone(), source })?;
            let merges = counted_of(found.merges.len(), "merge");
            context.ui.note(&format!("{merges} of others written to {}", file.display()));
        }
        for line in &found.not_known {
            context.ui.note(line);
        }
    } else {
        context.ui.print(&found.text())?;
    }
    Ok(Exit::Done)
}

/// The records that merges of this program took; none where it has no ledger here.
fn ours(context: &Context) -> Result<BTreeSet<LeadId>, Failure> {
    context.config.addresses()?;
    let file = context.config.ledger_file()?;
    if !file.exists() {
        return Ok(BTreeSet::new());
    }
    let ledger = Ledger::open(&file, &context.config.instance_name())?;
    Ok(ledger.merged_leads()?.into_iter().map(|merged| merged.loser).collect())
}

/// Everything that the merges of others are judged by.
async fn read(
    client: &Client,
    records: &[MergeRecord],
    ours: &BTreeSet<LeadId>,
    from: DateTime<Utc>,
) -> Result<Read, crate::marketo::Error> {
    let others: Vec<&MergeRecord> = not_ours(records, ours).collect();
    let survivors: BTreeSet<LeadId> = others.iter().map(|record| record.winner).collect();
    if survivors.is_empty() {
        return Ok(Read::default());
    }
    let facts = facts(&client.describe().await?);
    let fields: Vec<String> =
        facts.fields.keys().filter(|field| facts.is_opt_out(field)).cloned().collect();
    let mut read = Read::default();
    let ids: Vec<LeadId> = survivors.iter().copied().collect();
    for ids in ids.chunks(BATCH) {
        let leads = client.leads_by_id(ids, &fields).await?;
        read.now.extend(leads.into_iter().map(|lead| (lead.id, lead)));
    }
    if !fields.is_empty() {
        read.consent = client.consent_changes_since(Since::Time(from), &fields).await?.0;
    }
    let then = others
        .iter()
        .flat_map(|record| record.losers.iter().copied().chain(record.then).chain([record.winner]));
    read.lists = client.list_changes_since(from, &then.collect()).await?;
    // Only those of which the log says that they were on a list.
    let on_lists: BTreeSet<LeadId> = read.lists.iter().map(|change| change.lead).collect();
    let there = others.iter().filter(|record| {
        let of = record.losers.iter().chain(&record.then).chain([&record.winner]);
        read.now.contains_key(&record.winner) && of.into_iter().any(|lead| on_lists.contains(lead))
    });
    let there: BTreeSet<LeadId> = there.map(|record| record.winner).collect();
    for lead in there {
        let lists = client.list_membership(lead).await?;
        let id = |row: &serde_json::Map<String, serde_json::Value>| row.get("id")?.as_u64();
        read.on_lists.insert(lead, lists.iter().filter_map(id).collect());
    }
    if !read.on_lists.is_empty() {
        let lists = client.static_lists().await?;
        read.names = lists.into_iter().map(|list| (list.id, list.name)).collect();
    }
    Ok(read)
}

/// What nobody can tell, in sentences.
fn not_known(merges: &[OthersMerge], from: DateTime<Utc>) -> Vec<String> {
    let mut lines = vec![format!(
        "not known: what a record held of which Marketo's log has no change since {}; it keeps changed values and additions \
         to lists for {KEPT_DAYS} days, and no copy of a merged record",
        from.date_naive()
    )];
    let count = |is: &dyn Fn(&&OthersMerge) -> bool| merges.iter().filter(is).count();
    let before = count(&|merge| merge.at.is_some_and(|at| at < from));
    if before > 0 {
        lines.push(format!("not known: what {} before that day lost", counted_of(before, "merge")));
    }
    let gone = count(&|merge| !merge.survivor_lives);
    if gone > 0 {
        lines.push(format!(
            "not known: what {} lost whose surviving record is gone",
            counted_of(gone, "merge")
        ));
    }
    let unnamed = count(&|merge| merge.user.is_none());
    if unnamed > 0 {
        lines.push(format!(
            "not known: who made {}; Marketo's log names nobody",
            counted_of(unnamed, "merge")
        ));
    }
    let unsourced = count(&|merge| merge.merge_source.is_none());
    if unsourced > 0 {
        lines.push(format!(
            "{} without a merge source: most likely anonymous visitors who turned out to be known people, and no duplicates",
            counted_of(unsourced, "merge")
        ));
    }
    lines.push(
        "what looks lost was not on the surviving record when this was read: somebody may have taken it away for another reason"
            .to_owned(),
    );
    lines
}
