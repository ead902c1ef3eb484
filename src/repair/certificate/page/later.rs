//! The parts of the page about what was seen afterwards, and about the rate by source.

use crate::dedupe::Cause;
use crate::repair::certificate::{
    Afterwards, Certificate, Counted, GroupAfterwards, GroupLate, Rate,
};
use crate::terminal::{count, counted, moment};

/// A list or a program.
pub(super) struct CountedRow {
    pub(super) what: &'static str,
    pub(super) name: String,
    pub(super) before: String,
    pub(super) after: String,
    pub(super) collisions: String,
    pub(super) lost: String,
    pub(super) success: String,
}

/// The extra records of a cause or a source.
pub(super) struct RateRow {
    pub(super) what: &'static str,
    pub(super) name: String,
    pub(super) before: String,
    pub(super) after: String,
}

/// What to look at first.
pub(super) fn warnings(certificate: &Certificate) -> Vec<String> {
    let all = &certificate.afterwards;
    let mut warnings = Vec::new();
    let contradicts = number(&all.marketo, "contradicts");
    if contradicts > 0 {
        warnings.push(format!(
            "Marketo's own record contradicts this account in {}: they are named below.",
            counted(contradicts, "group")
        ));
    }
    let missing = number(&all.members, "missing");
    if missing > 0 {
        warnings.push(format!(
            "{} of which the survivor lacked a list, a program or a success when it was last looked at: they are named below.",
            counted(missing, "group")
        ));
    }
    let left = all.late_rows.as_ref().map(|late| late.left).unwrap_or_default();
    if left > 0 {
        warnings.push(format!(
            "{} of custom objects left behind on merged records, where others wrote them after the last look: they are named below.",
            counted(left, "row")
        ));
    }
    warnings
}

fn number(of: &std::collections::BTreeMap<String, u64>, word: &str) -> u64 {
    of.get(word).copied().unwrap_or_default()
}

/// What Marketo's own record says, in sentences.
pub(super) fn marketo(all: &Afterwards) -> Vec<String> {
    let of = |word| number(&all.marketo, word);
    let merged = all.group.len() as u64;
    if merged == 0 {
        return vec!["Nothing was merged.".to_owned()];
    }
    let at =
        all.marketo_at.as_deref().map(|at| format!(" It was last looked for on {}.", when(at)));
    let mut lines = vec![format!(
        "Marketo's own log (Merge Leads) has the same record to keep and the same records that went for {} of {}.{}",
        count(of("seen")),
        counted(merged, "merged group"),
        at.unwrap_or_default()
    )];
    if of("not_seen") > 0 {
        lines.push(format!(
            "Not yet seen there: {}. A row can come minutes late, and one that is missing proves nothing.",
            counted(of("not_seen"), "group")
        ));
    }
    if of("not_looked_for") > 0 {
        lines.push(format!("Not looked for: {}.", counted(of("not_looked_for"), "group")));
    }
    if of("contradicts") > 0 {
        lines.push(format!(
            "It contradicts this account in {}.",
            counted(of("contradicts"), "group")
        ));
    }
    lines
}

/// How far lists and programs were looked at, in sentences.
pub(super) fn members(all: &Afterwards) -> Vec<String> {
    if all.group.is_empty() {
        return vec!["Nothing was merged.".to_owned()];
    }
    let unlooked = number(&all.members, "not_looked_for");
    let mut lines = Vec::new();
    if let Some(at) = &all.members_at {
        lines.push(format!(
            "Two members of one list or program become one: so much the counts drop without a loss. Last looked at on {}.",
            when(at)
        ));
    }
    if unlooked > 0 {
        lines.push(format!("Not looked at: {}.", counted(unlooked, "group")));
    }
    let unknown = number(&all.members, "not_known");
    if unknown > 0 {
        lines.push(format!(
            "Not known in full: {}. The backup of a record was erased, or a list or a program was deleted.",
            counted(unknown, "group")
        ));
    }
    let gone = number(&all.members, "survivor_gone");
    if gone > 0 {
        lines.push(format!(
            "Not known: {} whose surviving record is gone from Marketo.",
            counted(gone, "group")
        ));
    }
    if all.lists.is_empty() && all.programs.is_empty() && unlooked + unknown + gone == 0 {
        lines.push("No record of a merged group was on a list or in a program.".to_owned());
    }
    lines
}

/// The table of lists and programs.
pub(super) fn counted_rows(all: &Afterwards) -> Vec<CountedRow> {
    let row = |what: &'static str, one: &Counted| CountedRow {
        what,
        name: if one.name.is_empty() { one.id.to_string() } else { one.name.clone() },
        before: count(one.before),
        after: count(one.after),
        collisions: count(one.collisions),
        lost: count(one.lost()),
        success: if what == "Program" {
            format!("{} → {}", count(one.success_before), count(one.success_after))
        } else {
            String::new()
        },
    };
    let lists = all.lists.iter().map(|one| row("List", one));
    lists.chain(all.programs.iter().map(|one| row("Program", one))).collect()
}

/// By what the rates are counted.
pub(super) fn rate_in_words(rate: Option<&Rate>) -> String {
    let Some(rate) = rate else { return String::new() };
    let since = match rate.removed_since {
        0 => String::new(),
        all => format!(", without {} that earlier runs removed since", counted(all, "record")),
    };
    format!(
        "Counted, not scanned anew: before is what the scan of {} found{since}; after is the same without the records that \
         this run removed. What others made or merged since that scan is not in it. In brackets the share of all records.",
        moment(rate.scanned_at)
    )
}

/// The table of rates; empty where no scan was made before the run.
pub(super) fn rate_rows(rate: Option<&Rate>) -> Vec<RateRow> {
    let Some(rate) = rate else { return Vec::new() };
    let shown = |extra: u64| format!("{} ({})", count(extra), percent(extra, rate.records));
    let row = |what: &'static str, name: String, before: u64, after: u64| RateRow {
        what,
        name,
        before: shown(before),
        after: shown(after),
    };
    let mut rows = vec![row("All", String::new(), rate.extra_before, rate.extra_after)];
    for one in &rate.by_cause {
        let cause = one
            .source
            .parse::<Cause>()
            .map_or(one.source.clone(), |cause| cause.in_words().to_owned());
        rows.push(row("Cause", cause, one.extra_before, one.extra_after));
    }
    for one in rate.by_source.iter().flatten() {
        let name = if one.source.is_empty() { "no API user" } else { &one.source };
        rows.push(row("Made by", name.to_owned(), one.extra_before, one.extra_after));
    }
    rows
}

/// A share in percent with two decimals.
fn percent(part: u64, whole: u64) -> String {
    let hundredths = (u128::from(part) * 10_000 + u128::from(whole) / 2) / u128::from(whole.max(1));
    format!("{}.{:02}%", hundredths / 100, hundredths % 100)
}

/// What to say of a group.
pub(super) fn lines(group: &GroupAfterwards) -> Vec<String> {
    let at = group.marketo_at.as_deref().map(when).unwrap_or_default();
    let mut lines = Vec::new();
    lines.push(match group.marketo.as_str() {
        "seen" => {
            let user = group.records.iter().find_map(|record| record.user.as_ref());
            let by = user.map(|user| format!(", by {user}")).unwrap_or_default();
            format!("Marketo's own record: seen{by}.")
        }
        "not_seen" => format!("Marketo's own record: not yet seen on {at}."),
        "contradicts" => {
            let why = group.records.iter().find_map(|record| record.why.clone());
            format!("Marketo's own record CONTRADICTS: {}.", why.unwrap_or_default())
        }
        _ => "Marketo's own record was not looked for.".to_owned(),
    });
    let notes = group.records.iter().filter_map(|record| record.note.as_ref());
    lines.extend(notes.map(|note| format!("{note}.")));
    for (what, all) in [("Lists", &group.lists), ("Programs", &group.programs)] {
        if !all.is_empty() {
            let each: Vec<String> = all.iter().map(Counted::in_words).collect();
            lines.push(format!("{what}: {}.", each.join("; ")));
        }
    }
    if !group.missing.is_empty() {
        lines.push(format!(
            "Not on the survivor when last looked at: {}.",
            group.missing.join(", ")
        ));
    }
    if !group.not_known.is_empty() {
        lines.push(format!("Not known: {}.", group.not_known.join("; ")));
    }
    lines.extend(group.late_rows.iter().flat_map(late_rows));
    lines
}

/// Rows that others wrote for a merged record after the last look.
fn late_rows(late: &GroupLate) -> Vec<String> {
    let moved = late.moved.iter().map(|row| {
        format!(
            "Came late: a row of {} on {}, linked to {} ({}).",
            row.object, row.from, row.to, row.guid
        )
    });
    let left = late.left.iter().map(|rows| {
        let count = counted(rows.count as u64, "row");
        format!("LEFT BEHIND: {count} of {} on {}: {}.", rows.object, rows.lead, rows.why)
    });
    let not_known = late.not_known.iter().map(|why| format!("Late rows not known: {why}."));
    moved.chain(left).chain(not_known).collect()
}

/// A time as a person reads it; as it is where it is none.
pub(super) fn when(at: &str) -> String {
    chrono::DateTime::parse_from_rfc3339(at)
        .map_or_else(|_no_time| at.to_owned(), |at| moment(at.to_utc()))
}
