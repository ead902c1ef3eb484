//! The answers of a run, question by question.

use std::collections::BTreeMap;

use super::questions::never_measured;
use super::{Step, Trouble};
use crate::dedupe::{Answer, Question};

/// What is known so far.
#[derive(Debug, Default)]
pub(super) struct Answers {
    known: BTreeMap<Question, Answer>,
    failed: usize,
}

impl Answers {
    pub(super) fn add(&mut self, answer: Answer) {
        self.known.insert(answer.question, answer);
    }

    pub(super) fn found(&mut self, question: Question, found: impl Into<String>) {
        self.add(Answer::found(question, found));
    }

    pub(super) fn why_not(&mut self, question: Question, why: impl Into<String>) {
        self.add(Answer::why_not(question, why));
    }

    /// A question that was to be measured, and could not be.
    pub(super) fn fail(&mut self, question: Question, why: impl Into<String>) {
        self.failed += 1;
        self.why_not(question, why);
    }

    pub(super) fn answer(&self, question: Question) -> Option<&Answer> {
        self.known.get(&question)
    }

    /// After a step: what it left unanswered has its trouble for a reason.
    pub(super) fn after(&mut self, step: Step<()>, questions: &[Question]) -> Step<()> {
        match step {
            Err(Trouble::Here(why)) => {
                for question in questions {
                    if !self.known.contains_key(question) {
                        self.fail(*question, why.clone());
                    }
                }
                Ok(())
            }
            other => other,
        }
    }

    /// How many questions could not be measured that were to be.
    pub(super) fn failed(&self) -> usize {
        self.failed
    }

    /// Every question with its answer.
    pub(super) fn all(mut self) -> Vec<Answer> {
        let answer = |question: Question| {
            let known = self.known.remove(&question);
            known.unwrap_or_else(|| Answer::why_not(question, never_measured(question)))
        };
        Question::ALL.into_iter().map(answer).collect()
    }
}
