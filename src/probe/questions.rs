//! The questions in words: what is asked, what Adobe says, and what an answer means for merges.
//!
//! Sources: Adobe's developer guide and knowledge base where it says "documented"; everything else
//! is what users report, or what nobody says.

use crate::dedupe::{Answer, Question};

/// What is asked, for a person.
pub fn asked(question: Question) -> &'static str {
    match question {
        Question::BlockedFields => "Which fields keep their value against updates by the API?",
        Question::BlankFill => {
            "The record to keep and the first of two others have a blank: does the second fill it?"
        }
        Question::Scores => "What is a score after a merge?",
        Question::FalseAgainstTrue => {
            "The record to keep says no (false), another says yes (true): does the no stay?"
        }
        Question::UnsetAgainstTrue => {
            "A yes/no field of the record to keep was never set: does it get the true of another?"
        }
        Question::FillOfBlocked => "Does a merge fill a blank field whose updates are blocked?",
        Question::CreatedAt => "Whose creation time does the record that stays have?",
        Question::Lists => "Is the record that stays on the static lists of the others?",
        Question::ProgramStatus => "Two statuses in one program: which one stays?",
        Question::MergeLog => "Does Marketo's activity log show a merge, and how late?",
        Question::LogRequest => "Does the log name our request as the one that merged?",
        Question::Deletions => "Are merged records listed among the deleted ones?",
        Question::CreateOnly => "Can two createOnly calls at once make one address twice?",
        Question::DuplicateUnsubscribed => {
            "Is a duplicate of an unsubscribed address unsubscribed from the start?"
        }
        Question::EmailCase => "Do capitals count when Marketo looks an address up?",
        Question::EmailBlanks => "Does a blank behind an address count?",
        Question::ObjectsByEmail => {
            "What becomes of custom object rows that are linked by address?"
        }
        Question::ObjectCollision => {
            "What does moving a custom object row do where the key is taken?"
        }
        Question::Cookies => "Does the record that stays get the cookies of the others?",
        Question::MemberAgain => {
            "What does a program member lose that is taken out and added again?"
        }
        Question::ExtractFilters => "Does bulk extract take the filters updatedAt and smartListId?",
    }
}

/// What Adobe's pages say of it.
pub fn adobe_says(question: Question) -> &'static str {
    match question {
        Question::BlockedFields => {
            "An administrator can block updates; no error or status is documented for the API"
        }
        Question::BlankFill => "The first record of the call decides, even with a blank",
        Question::Scores => "One page says added up, another the winner's",
        Question::FalseAgainstTrue => "Since March 2026 only null counts as empty: the false stays",
        Question::UnsetAgainstTrue => "Null counts as empty, so the true goes over",
        Question::CreatedAt => "The winner's stays",
        Question::Lists | Question::Cookies => "They are carried over",
        Question::ProgramStatus => "Nothing on which of two stays",
        Question::MergeLog => "Activities can be late; nothing on how late",
        Question::LogRequest => "The type Merge Leads defines Request Id; no example shows it",
        Question::Deletions => "Nothing on merges",
        Question::CreateOnly => "Concurrent upserts can insert twice; nothing on createOnly alone",
        Question::DuplicateUnsubscribed => "Unsubscribing is durable; nothing on createDuplicate",
        Question::EmailCase => "Nothing; users report that capitals do not count",
        Question::FillOfBlocked | Question::EmailBlanks | Question::ObjectCollision => "Nothing",
        Question::ObjectsByEmail => "Rows of the losers are not associated anew",
        Question::MemberAgain => "Deleting ends the membership",
        Question::ExtractFilters => "Not in every subscription (1035)",
    }
}

/// Why a question is never measured by this program, or was not in this run.
pub(super) fn never_measured(question: Question) -> &'static str {
    match question {
        Question::Lists => "no static list was named; --list ID names one made for tests",
        Question::ProgramStatus => {
            "no program was named; --program ID:LOWER,HIGHER names one made for tests"
        }
        Question::ObjectsByEmail => {
            "the API does not tell which record such a row hangs on; such groups stay unknown"
        }
        Question::ObjectCollision => {
            "a row of a custom object cannot be made without knowing its other fields"
        }
        Question::Cookies => "the API does not show cookies",
        Question::MemberAgain => "success and acquisition depend on the program's channel",
        Question::ExtractFilters => "`mkto-audit scan` finds it out by itself",
        _ => "the run did not come to it",
    }
}

/// What an answer means for merges, for a person.
pub fn follows(answer: &Answer) -> &'static str {
    let Some(found) = answer.found.as_deref() else {
        return match answer.question {
            Question::ObjectsByEmail => "Such groups are red, as before",
            _ => "It stays open: either answer is reckoned with",
        };
    };
    match (answer.question, found) {
        (Question::BlockedFields, "none") => "What is written before a merge is taken",
        (Question::BlockedFields, _) => {
            "The record that holds the wanted value of such a field is kept where that is possible"
        }
        (Question::BlankFill, "first_listed" | "first_nonblank") => {
            "Blanks that are not written beforehand are predicted exactly"
        }
        (Question::Scores, "winner") => "A score is predicted as it stands",
        (Question::Scores, "sum") => {
            "Where no rule wants the sum, the score is set again after the merge: one more call"
        }
        (Question::FalseAgainstTrue, "stays") => {
            "An opt-out of a merged record must be written before the merge; it always is"
        }
        (Question::FalseAgainstTrue, "true_wins") => {
            "Where no rule wants that yes, it is set back after the merge"
        }
        (Question::UnsetAgainstTrue, "yes") => {
            "A no that must stay is written out before the merge; it always is"
        }
        (Question::UnsetAgainstTrue, "no") => "A field that was never set stays false",
        (Question::FillOfBlocked, "yes") => "Such a blank is predicted to be filled",
        (Question::FillOfBlocked, "no") => "Such a blank is predicted to stay blank",
        (Question::CreatedAt, "winner") => {
            "Keep the oldest record where the creation time matters (the default)"
        }
        (Question::CreatedAt, "oldest") => "The creation time does not depend on which one is kept",
        (Question::Lists, "union") => "No list is lost",
        (Question::Lists, _) => "Lists are lost in merges: put the record on them again",
        (Question::ProgramStatus, "higher") => "No status falls in a merge",
        (Question::ProgramStatus, _) => {
            "The higher status is set again after each merge; it always is"
        }
        (Question::MergeLog, "shown") => "The log is a second witness of each merge",
        (Question::MergeLog, _) => "The log is no witness: only our own looks show a merge",
        (Question::LogRequest, "ours") => "The log shows which merges are this program's",
        (Question::LogRequest, _) => "The log does not tell our merges from those of others",
        (Question::Deletions, "listed") => "A deleted record in the log may have been merged",
        (Question::Deletions, _) => "Only its merge shows that a record was merged",
        (Question::CreateOnly, "races") => "createOnly does not protect writers: use the guard",
        (Question::CreateOnly, _) => "No proof: use the guard all the same",
        (Question::DuplicateUnsubscribed, "yes") => "A restored record is unsubscribed at once",
        (Question::DuplicateUnsubscribed, _) => {
            "A restored record is unsubscribed because its values are written"
        }
        (Question::EmailCase, "ignored") => {
            "Addresses that differ in capitals are one key, as here"
        }
        (Question::EmailCase, _) => {
            "Writers make duplicates of addresses that differ in capitals: write in small letters"
        }
        (Question::EmailBlanks, "ignored") => "Blanks around an address make no duplicates",
        (Question::EmailBlanks, _) => "Writers must trim addresses, or they make duplicates",
        _ => "Nobody describes this behaviour; nothing is concluded from it",
    }
}
