//! What was measured of an instance where Adobe's pages are silent or contradict each other, and
//! what of it a prediction may rest on.
//!
//! For: `probe` writes an [`InstanceProfile`]; plans, merges and certificates name it, and
//! predictions use [`Measured`]. Never: makes a prediction wider. What was not measured is treated
//! as if there were no profile.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A question that Adobe's pages leave open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// Which fields keep their values against updates by the API.
    BlockedFields,
    /// Whose value a blank of the winner takes where the first of several losers has none.
    BlankFill,
    /// What a score is after a merge.
    Scores,
    /// Whether a winner's false stays beside a loser's true.
    FalseAgainstTrue,
    /// Whether a boolean that was never set takes a loser's true.
    UnsetAgainstTrue,
    /// Whether a merge fills a blank field whose updates are blocked.
    FillOfBlocked,
    /// Whose `createdAt` the survivor has.
    CreatedAt,
    /// Whether the survivor is on the losers' static lists.
    Lists,
    /// Which of two statuses in one program stays.
    ProgramStatus,
    /// Whether, and how late, Marketo's log shows a merge.
    MergeLog,
    /// Whether the log names the request of a merge.
    LogRequest,
    /// Whether merged-away leads are listed among the deleted ones.
    Deletions,
    /// Whether two `createOnly` calls of one address can both insert.
    CreateOnly,
    /// Whether a lead made by `createDuplicate` is unsubscribed as its namesake is.
    DuplicateUnsubscribed,
    /// Whether capitals count when Marketo looks an address up.
    EmailCase,
    /// Whether blanks around an address count.
    EmailBlanks,
    /// What becomes of custom object rows that are linked by address.
    ObjectsByEmail,
    /// What relinking a row does that collides with another one.
    ObjectCollision,
    /// Whether the losers' cookies are the survivor's.
    Cookies,
    /// What a member of a program loses that is taken out and added again.
    MemberAgain,
    /// Whether bulk extract takes the filters `updatedAt` and `smartListId`.
    ExtractFilters,
}

impl Question {
    /// Every question, in the order in which they are told.
    pub const ALL: [Self; 21] = [
        Self::BlockedFields,
        Self::BlankFill,
        Self::Scores,
        Self::FalseAgainstTrue,
        Self::UnsetAgainstTrue,
        Self::FillOfBlocked,
        Self::CreatedAt,
        Self::Lists,
        Self::ProgramStatus,
        Self::MergeLog,
        Self::LogRequest,
        Self::Deletions,
        Self::CreateOnly,
        Self::DuplicateUnsubscribed,
        Self::EmailCase,
        Self::EmailBlanks,
        Self::ObjectsByEmail,
        Self::ObjectCollision,
        Self::Cookies,
        Self::MemberAgain,
        Self::ExtractFilters,
    ];
}

/// What was found out about one question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The question.
    pub question: Question,
    /// What this instance does, as one of the words of the question; none where it was not
    /// measured.
    pub found: Option<String>,
    /// What else was seen, in words.
    pub detail: Option<String>,
    /// Why it was not measured.
    pub why_not: Option<String>,
    /// Of fields that were tested one by one, what was found of each.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, String>,
}

impl Answer {
    /// An answer that was found.
    pub fn found(question: Question, found: impl Into<String>) -> Self {
        let fields = BTreeMap::new();
        Self { question, found: Some(found.into()), detail: None, why_not: None, fields }
    }

    /// A question that was not measured.
    pub fn why_not(question: Question, why: impl Into<String>) -> Self {
        let fields = BTreeMap::new();
        Self { question, found: None, detail: None, why_not: Some(why.into()), fields }
    }

    /// The same with what else was seen.
    #[must_use]
    pub fn with(self, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }
}

/// What one run of `probe` found out about an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceProfile {
    /// The version of this form.
    pub form: u32,
    /// The instance.
    pub instance: String,
    /// When it was measured.
    pub measured_at: DateTime<Utc>,
    /// Who ran it.
    pub by: Option<String>,
    /// Every question with its answer.
    pub answers: Vec<Answer>,
}

/// By what a profile is named in plans and certificates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileName {
    /// The ledger's number of the run of `probe`.
    pub probe: u64,
    /// When it was measured.
    pub measured_at: DateTime<Utc>,
    /// The digest of what was found.
    pub sha256: String,
}

impl fmt::Display for ProfileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digest = self.sha256.get(..12).unwrap_or(&self.sha256);
        let day = self.measured_at.format("%Y-%m-%d");
        write!(f, "probe {} of {day} ({digest})", self.probe)
    }
}

impl InstanceProfile {
    /// The version that this program writes.
    pub const FORM: u32 = 1;

    /// The answer to a question.
    pub fn answer(&self, question: Question) -> Option<&Answer> {
        self.answers.iter().find(|answer| answer.question == question)
    }

    fn found(&self, question: Question) -> Option<&str> {
        self.answer(question)?.found.as_deref()
    }

    /// The text that is kept, whose digest names the profile.
    pub fn as_kept(&self) -> Result<(String, String), serde_json::Error> {
        let body = serde_json::to_string(self)?;
        let sha256 = digest(&body);
        Ok((body, sha256))
    }

    /// A profile as it was kept. One whose text is not what was kept, or that is of another
    /// instance, is refused with the reason: predictions would rest on it.
    pub fn of_kept(
        probe: u64,
        body: &str,
        sha256: &str,
        instance: &str,
    ) -> Result<(ProfileName, Self), String> {
        let again = " run `mkto-audit probe --confirm` again";
        let profile: Self = serde_json::from_str(body)
            .map_err(|error| format!("it cannot be read ({error});{again}"))?;
        if digest(body) != sha256 {
            return Err(format!("it is not what was measured: its digest differs;{again}"));
        }
        if profile.instance != instance {
            let of = &profile.instance;
            return Err(format!("it was measured on {of}, and this is {instance};{again}"));
        }
        if profile.form != Self::FORM {
            let form = profile.form;
            return Err(format!("it has the form {form} of another version;{again}"));
        }
        let (measured_at, sha256) = (profile.measured_at, sha256.to_owned());
        Ok((ProfileName { probe, measured_at, sha256 }, profile))
    }

    /// The fields that were seen to keep a value against an update.
    pub fn blocked(&self) -> BTreeSet<String> {
        let fields = self.answer(Question::BlockedFields).map(|answer| &answer.fields);
        let blocked = fields.into_iter().flatten().filter(|(_, found)| found.as_str() != FREE);
        blocked.filter(|(_, found)| *found != UNTESTED).map(|(field, _)| field.clone()).collect()
    }

    /// What predictions may rest on.
    pub fn measured(&self, name: ProfileName) -> Measured {
        let fields = self.answer(Question::BlockedFields).map(|answer| &answer.fields);
        let tested = fields.into_iter().flatten().filter(|(_, found)| *found != UNTESTED);
        let yes_or_no = |question| match self.found(question) {
            Some("yes") => Some(true),
            Some("no") => Some(false),
            _ => None,
        };
        Measured {
            profile: Some(name),
            blanks: match self.found(Question::BlankFill) {
                Some("first_listed") => Some(Blanks::FirstListed),
                Some("first_nonblank") => Some(Blanks::FirstNonblank),
                _ => None,
            },
            scores: match self.found(Question::Scores) {
                Some("winner") => Some(Scores::Winner),
                Some("sum") => Some(Scores::Sum),
                _ => None,
            },
            false_stays: match self.found(Question::FalseAgainstTrue) {
                Some("stays") => Some(true),
                Some("true_wins") => Some(false),
                _ => None,
            },
            unset_takes_true: yes_or_no(Question::UnsetAgainstTrue),
            fills_blocked: yes_or_no(Question::FillOfBlocked),
            oldest_birth: match self.found(Question::CreatedAt) {
                Some("winner") => Some(false),
                Some("oldest") => Some(true),
                _ => None,
            },
            tested: tested.map(|(field, _)| field.clone()).collect(),
        }
    }
}

fn digest(body: &str) -> String {
    let digest = Sha256::digest(body.as_bytes());
    digest.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// The word for a field whose updates are taken.
pub const FREE: &str = "free";

/// The word for a field of which nothing was found out.
pub const UNTESTED: &str = "not_tested";

/// Whose value a blank of the winner takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Blanks {
    /// That of the first loser of the call, a blank too.
    FirstListed,
    /// The first that there is.
    FirstNonblank,
}

/// What a merge makes of a score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scores {
    /// The winner's stays.
    Winner,
    /// All are added up.
    Sum,
}

/// What predictions may rest on, of one profile. Without a profile all of it is unknown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// The profile that it is from.
    pub profile: Option<ProfileName>,
    /// Whose value a blank takes.
    pub blanks: Option<Blanks>,
    /// What becomes of scores.
    pub scores: Option<Scores>,
    /// Whether a winner's false stays beside a loser's true, whichever loser has it.
    pub false_stays: Option<bool>,
    /// Whether a boolean that was never set takes the first loser's true.
    pub unset_takes_true: Option<bool>,
    /// Whether a merge fills a blank field whose updates are blocked.
    pub fills_blocked: Option<bool>,
    /// Whether the survivor has the oldest `createdAt`, and not the winner's.
    pub oldest_birth: Option<bool>,
    /// The fields that were themselves tested for blocks.
    pub tested: BTreeSet<String>,
}

impl Measured {
    /// Whether nothing was measured.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, Blanks, InstanceProfile, Measured, ProfileName, Question};

    fn profile(answers: Vec<Answer>) -> InstanceProfile {
        InstanceProfile {
            form: InstanceProfile::FORM,
            instance: "a".to_owned(),
            measured_at: "2026-11-30T08:00:00Z".parse().unwrap(),
            by: None,
            answers,
        }
    }

    #[test]
    fn a_profile_is_taken_only_as_it_was_measured_and_on_its_own_instance() {
        let of_a = profile(vec![Answer::found(Question::Scores, "sum")]);
        let (body, sha256) = of_a.as_kept().unwrap();
        let (name, read) = InstanceProfile::of_kept(7, &body, &sha256, "a").unwrap();
        assert_eq!((read, name.probe, &name.sha256), (of_a.clone(), 7, &sha256));
        let refused = |body: &str, sha256: &str, instance: &str| {
            InstanceProfile::of_kept(7, body, sha256, instance).unwrap_err()
        };
        assert!(refused(&body, &sha256, "b").contains("measured on a, and this is b"));
        assert!(refused(&body.replace("sum", "winner"), &sha256, "a").contains("digest differs"));
        let newer = InstanceProfile { form: 2, ..of_a };
        let (body, sha256) = newer.as_kept().unwrap();
        assert!(refused(&body, &sha256, "a").contains("form 2"));
        assert!(refused("{}", "", "a").contains("cannot be read"));
    }

    #[test]
    fn predictions_rest_on_answers_that_are_known_words_alone() {
        let name = ProfileName {
            probe: 1,
            measured_at: "2026-11-30T08:00:00Z".parse().unwrap(),
            sha256: "ab".to_owned(),
        };
        let measured = |answers| profile(answers).measured(name.clone());
        let nothing = Measured { profile: Some(name.clone()), ..Measured::default() };
        assert_eq!(measured(Vec::new()), nothing);
        let open = Question::ALL.map(|question| Answer::why_not(question, "no"));
        assert_eq!(measured(open.to_vec()), nothing);
        let other = Question::ALL.map(|question| Answer::found(question, "other"));
        assert_eq!(measured(other.to_vec()), nothing);
        let known = measured(vec![
            Answer::found(Question::BlankFill, "first_nonblank"),
            Answer::found(Question::FalseAgainstTrue, "first_true_wins"),
        ]);
        assert_eq!((known.blanks, known.false_stays), (Some(Blanks::FirstNonblank), None));
    }

    #[test]
    fn a_field_that_was_not_tested_is_neither_blocked_nor_free() {
        let fields = [("a", "free"), ("b", "non_empty"), ("c", "not_tested"), ("d", "always")];
        let fields = fields.map(|(field, found)| (field.to_owned(), found.to_owned())).into();
        let answer = Answer { fields, ..Answer::found(Question::BlockedFields, "some") };
        let profile = profile(vec![answer]);
        assert_eq!(profile.blocked().into_iter().collect::<Vec<_>>(), ["b", "d"]);
        let name =
            ProfileName { probe: 1, measured_at: profile.measured_at, sha256: String::new() };
        let tested: Vec<String> = profile.measured(name).tested.into_iter().collect();
        assert_eq!(tested, ["a", "b", "d"]);
    }
}
