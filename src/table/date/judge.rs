//! In which order the writer of a column put day, month and year: decided by the column as a whole.
//!
//! One value with a day above 12 decides. Where none does, dots mean that the day comes first; else
//! the user has to say. Two values that cannot be of one order refuse the column.

use chrono::NaiveDate;

use super::{DateText, Days, Form, Order, Zone, read};
use crate::table::shown;
use crate::terminal::count;

/// How many examples of what cannot be read are kept.
const EXAMPLES: usize = 3;

/// What a text may mean, where the order matters.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Example {
    line: u64,
    text: String,
}

impl std::fmt::Display for Example {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} in line {}", shown(&self.text), self.line)
    }
}

/// Looks at every value of a column.
#[derive(Debug, Clone, Default)]
pub struct Judge {
    read: u64,
    /// Of each order, the first value that it cannot be, and how many.
    impossible: [Option<Example>; 3],
    /// The first value that means different days by two orders that are possible for it: us and eu,
    /// us and iso, eu and iso.
    differs: [Option<Example>; 3],
    /// Whether each value that means two days has dots.
    undotted: bool,
    numeric: Option<Example>,
    first: Option<Example>,
    serials: u64,
    without_zone: u64,
    without_time: u64,
    unread: u64,
    unread_examples: Vec<(u64, String)>,
}

/// How a column is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The order, where it matters.
    pub order: Option<Order>,
    /// How many values are dates.
    pub read: u64,
    /// How many are not.
    pub unread: u64,
    /// The first of those, with their lines.
    pub unread_examples: Vec<(u64, String)>,
    /// In words, such as `2,000 read as US dates (3/4/2019 = 4 March 2019)`; empty where nothing
    /// was read.
    pub told: String,
}

/// Why a column's order cannot be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The line of an example.
    pub line: u64,
    /// What is wrong.
    pub what: String,
}

const PAIRS: [(Order, Order); 3] =
    [(Order::Us, Order::Eu), (Order::Us, Order::Iso), (Order::Eu, Order::Iso)];

impl Judge {
    /// Looks at a value, which is not empty.
    pub fn look(&mut self, line: u64, text: &str) {
        let example = || Example { line, text: text.trim().to_owned() };
        let Some(date) = read(text) else {
            self.unread += 1;
            if self.unread_examples.len() < EXAMPLES {
                self.unread_examples.push((line, text.trim().to_owned()));
            }
            return;
        };
        self.read += 1;
        self.first.get_or_insert_with(example);
        self.serials += u64::from(date.form == Form::Serial);
        self.without_time += u64::from(!date.has_time());
        self.without_zone += u64::from(date.has_time() && date.offset.is_none());
        if let Days::ByOrder { days, dotted } = date.days {
            self.weigh(days, dotted, &example);
        }
    }

    /// Looks at a value for which [`super::is_marketos`] holds: there is nothing to judge.
    pub fn look_at_marketos(&mut self, line: u64, text: &[u8]) {
        self.read += 1;
        self.first.get_or_insert_with(|| {
            let text = String::from_utf8_lossy(text).into_owned();
            Example { line, text }
        });
    }

    fn weigh(&mut self, days: [Option<NaiveDate>; 3], dotted: bool, example: &dyn Fn() -> Example) {
        self.numeric.get_or_insert_with(example);
        for (order, day) in self.impossible.iter_mut().zip(days) {
            if day.is_none() {
                order.get_or_insert_with(example);
            }
        }
        let day = |order: Order| days.get(order as usize).copied().flatten();
        for (first, (a, b)) in self.differs.iter_mut().zip(PAIRS) {
            if let (Some(a), Some(b)) = (day(a), day(b))
                && a != b
            {
                first.get_or_insert_with(example);
                self.undotted |= !dotted;
            }
        }
    }

    /// Decides; `named` is what the user said.
    pub fn decide(self, named: Option<Order>, zone: Zone) -> Result<Reading, Refusal> {
        let order = self.order(named)?;
        let told = self.told(order, zone);
        let Self { read, unread, unread_examples, .. } = self;
        Ok(Reading { order, read, unread, unread_examples, told })
    }

    fn order(&self, named: Option<Order>) -> Result<Option<Order>, Refusal> {
        let Some(numeric) = &self.numeric else { return Ok(None) };
        let impossible =
            |order: Order| self.impossible.get(order as usize).and_then(Option::as_ref);
        if let Some(named) = named {
            return match impossible(named) {
                None => Ok(Some(named)),
                Some(example) => Err(Refusal {
                    line: example.line,
                    what: format!(
                        "{} is no date as --dates {} reads it",
                        shown(&example.text),
                        named.word()
                    ),
                }),
            };
        }
        let possible: Vec<Order> =
            Order::ALL.into_iter().filter(|order| impossible(*order).is_none()).collect();
        let both = |(a, b): &(Order, Order)| possible.contains(a) && possible.contains(b);
        let doubt =
            PAIRS.iter().zip(&self.differs).find(|(pair, example)| both(pair) && example.is_some());
        match (possible.as_slice(), doubt.and_then(|(_, example)| example.as_ref())) {
            ([], _) => Err(self.contradiction(numeric)),
            ([first, ..], None) => Ok(Some(*first)),
            (several, Some(_)) if !self.undotted && several.contains(&Order::Eu) => {
                Ok(Some(Order::Eu))
            }
            (several, Some(example)) => {
                Err(Refusal { line: example.line, what: ambiguous(example, several) })
            }
        }
    }

    fn contradiction(&self, numeric: &Example) -> Refusal {
        let example = |order: Order| {
            self.impossible.get(order as usize).and_then(Option::as_ref).unwrap_or(numeric)
        };
        let (not_us, not_eu) = (example(Order::Us), example(Order::Eu));
        let what = format!(
            "its dates are of two kinds: {not_us} has the day first, {not_eu} the month, so that nobody can tell what the \
             others are; write one kind, such as 2019-03-04"
        );
        Refusal { line: not_us.line.max(not_eu.line), what }
    }

    fn told(&self, order: Option<Order>, zone: Zone) -> String {
        let Some(example) = self.numeric.as_ref().or(self.first.as_ref()) else {
            return String::new();
        };
        let kind = match (order, read(&example.text)) {
            (Some(order), _) => order.told(),
            (None, Some(DateText { form: Form::Named, .. })) => "dates with the month's name",
            (None, Some(DateText { form: Form::Serial, .. })) => "Excel's day numbers",
            (None, Some(DateText { form: Form::Numeric, .. })) => "dates",
            (None, _) => "ISO dates",
        };
        let day = read(&example.text)
            .and_then(|date| date.day(order))
            .map(|day| day.format("%-d %B %Y").to_string());
        let mut told = format!(
            "{} read as {kind} ({} = {})",
            count(self.read),
            shown(&example.text),
            day.unwrap_or_default()
        );
        if self.without_zone > 0 {
            told.push_str(", times without a zone taken as ");
            told.push_str(zone.name());
        }
        if self.without_time > 0 {
            let all = if self.without_time == self.read {
                String::new()
            } else {
                format!(" of {}", count(self.without_time))
            };
            told.extend(["; the time of day", &all, " is not in the file"]);
        }
        told
    }
}

fn ambiguous(example: &Example, orders: &[Order]) -> String {
    let meanings: Vec<String> = orders
        .iter()
        .filter_map(|order| {
            let day = read(&example.text)?.day(Some(*order))?;
            Some(format!("{} (--dates {})", day.format("%-d %B %Y"), order.word()))
        })
        .collect();
    format!(
        "{} can be {}, and no other value of the column decides; say which",
        shown(&example.text),
        meanings.join(" or ")
    )
}
