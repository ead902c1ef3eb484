//! A figure beside its goal.

use std::fmt;

/// What was measured, and what was promised.
#[derive(Debug)]
pub(crate) struct Goal {
    what: String,
    measured: f64,
    bound: Bound,
    unit: &'static str,
}

#[derive(Debug, Clone, Copy)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Goal {
    /// A figure that is good when it is large.
    pub(crate) fn at_least(
        least: f64,
        unit: &'static str,
        what: impl Into<String>,
        measured: f64,
    ) -> Self {
        Self { what: what.into(), measured, bound: Bound::AtLeast(least), unit }
    }

    /// A figure that is good when it is small.
    pub(crate) fn at_most(
        most: f64,
        unit: &'static str,
        what: impl Into<String>,
        measured: f64,
    ) -> Self {
        Self { what: what.into(), measured, bound: Bound::AtMost(most), unit }
    }

    /// Whether the promise was kept.
    pub(crate) fn is_met(&self) -> bool {
        match self.bound {
            Bound::AtLeast(least) => self.measured >= least,
            Bound::AtMost(most) => self.measured <= most,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, measured, bound, unit } = self;
        let (word, bound) = match bound {
            Bound::AtLeast(least) => ("at least", least),
            Bound::AtMost(most) => ("at most", most),
        };
        let met = if self.is_met() { "met" } else { "MISSED" };
        write!(f, "{what}: {measured:.2} {unit}; goal: {word} {bound} {unit}, {met}")
    }
}
