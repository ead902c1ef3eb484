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
use crate::marketo::{BATCH, Client, MergeRecord, ReadLeads as _, ReadMemberships as _};
use crate::merge::facts;
use crate::repair::{OthersMerge, Read, not_ours, others_merges};
use crate::report::write_beside;
use crate::terminal::{counted, counted_of};

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
    let judged = Judged::of(&records, &ours);
    if !judged.merges.is_empty() {
        context.ui.note(&judged.price(from));
    }
    let (read, went) = context.or_stop(judged.read(&client, from)).await??;
    let merges: Vec<OthersMerge> = others_merges(&records, &ours, &read);
    let found = Found {
        instance: context.config.instance_name(),
        since: span.since,
        until: span.until,
        ours: (all - merges.len()) as u64,
        not_known: not_known(&merges, from, went),
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

/// The merges of others whose records are looked at: not those that have no source.
struct Judged {
    survivors: BTreeSet<LeadId>,
    /// Each merge's records, by the id of then and of now.
    merges: Vec<(LeadId, BTreeSet<LeadId>)>,
}

impl Judged {
    fn of(records: &[MergeRecord], ours: &BTreeSet<LeadId>) -> Self {
        let sourced = not_ours(records, ours).filter(|record| record.source.is_some());
        let merges: Vec<(LeadId, BTreeSet<LeadId>)> = sourced
            .map(|record| {
                let losers = record.losers.iter().copied();
                (record.winner, losers.chain(record.then).chain([record.winner]).collect())
            })
            .collect();
        Self { survivors: merges.iter().map(|(winner, _)| *winner).collect(), merges }
    }

    /// What reading about them costs, as far as it can be known before.
    fn price(&self, from: DateTime<Utc>) -> String {
        let survivors = self.survivors.len();
        format!(
            "{} of others to look at: {} for the records that stayed, at most {} for their lists, and Marketo's log of consent and lists since {}, a call for each 300 rows",
            counted_of(self.merges.len(), "merge"),
            counted_of(survivors.div_ceil(BATCH), "call"),
            counted_of(survivors, "call"),
            from.date_naive()
        )
    }

    /// Everything that they are judged by, and how many survivors went while it was read.
    async fn read(
        &self,
        client: &Client,
        from: DateTime<Utc>,
    ) -> Result<(Read, u64), crate::marketo::Error> {
        if self.survivors.is_empty() {
            return Ok((Read::default(), 0));
        }
        let facts = facts(&client.describe().await?);
        let fields: Vec<String> =
            facts.fields.keys().filter(|field| facts.is_opt_out(field)).cloned().collect();
        let mut read = Read::default();
        let ids: Vec<LeadId> = self.survivors.iter().copied().collect();
        for ids in ids.chunks(BATCH) {
            let leads = client.leads_by_id(ids, &fields).await?;
            read.now.extend(leads.into_iter().map(|lead| (lead.id, lead)));
        }
        // Of a record that is gone nothing can be said.
        let there = self.merges.iter().filter(|(winner, _)| read.now.contains_key(winner));
        let concerned: BTreeSet<LeadId> = there.flat_map(|(_, leads)| leads).copied().collect();
        if !fields.is_empty() {
            read.consent = client.consent_changes_of(from, &fields, &concerned).await?;
        }
        read.lists = client.list_changes_since(from, &concerned).await?;
        let went = self.read_lists(client, &mut read).await?;
        Ok((read, went))
    }

    /// The lists of those of which the log says that they were on one.
    async fn read_lists(
        &self,
        client: &Client,
        read: &mut Read,
    ) -> Result<u64, crate::marketo::Error> {
        let on_lists: BTreeSet<LeadId> = read.lists.iter().map(|change| change.lead).collect();
        let there = self.merges.iter().filter(|(winner, leads)| {
            read.now.contains_key(winner) && !leads.is_disjoint(&on_lists)
        });
        let there: BTreeSet<LeadId> = there.map(|(winner, _)| *winner).collect();
        let mut went = 0;
        for lead in there {
            let lists = match client.list_membership(lead).await {
                Ok(lists) => lists,
                // It was deleted or merged since its record was read.
                Err(crate::marketo::Error::Refused { code, .. }) if code == "1004" => {
                    went += 1;
                    continue;
                }
                Err(error) => return Err(error),
            };
            let id = |row: &serde_json::Map<String, serde_json::Value>| row.get("id")?.as_u64();
            read.on_lists.insert(lead, lists.iter().filter_map(id).collect());
        }
        if !read.on_lists.is_empty() {
            let lists = client.static_lists().await?;
            read.names = lists.into_iter().map(|list| (list.id, list.name)).collect();
        }
        Ok(went)
    }
}

/// What nobody can tell, in sentences.
fn not_known(merges: &[OthersMerge], from: DateTime<Utc>, went: u64) -> Vec<String> {
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
    let gone = count(&|merge| merge.survivor_lives == Some(false));
    if gone > 0 {
        lines.push(format!(
            "not known: what {} lost whose surviving record is gone",
            counted_of(gone, "merge")
        ));
    }
    if went > 0 {
        lines.push(format!(
            "not known: which lists {} lost that went while this was read",
            counted(went, "surviving record")
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
            "{} without a merge source: most likely anonymous visitors who turned out to be known people, and no duplicates; what these lost was not looked for",
            counted_of(unsourced, "merge")
        ));
    }
    lines.push(
        "what looks lost was not on the surviving record when this was read: somebody may have taken it away for another reason"
            .to_owned(),
    );
    lines
}
