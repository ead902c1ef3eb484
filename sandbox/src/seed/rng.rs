//! Chance that comes out the same on every machine: a `ChaCha` stream and draws made of nothing but
//! integers.
//!
//! The draws are written out here, not taken from `rand`, since a library may change how it maps a
//! stream to a range and a seeded instance must not change with it.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A source of draws, fixed by its seed.
#[derive(Debug)]
pub(super) struct SeededRng(ChaCha8Rng);

impl SeededRng {
    pub(super) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A number below `end`, evenly drawn; 0 when `end` is 0.
    pub(super) fn below(&mut self, end: u32) -> u32 {
        let wide = u64::from(self.0.next_u32()) * u64::from(end);
        u32::try_from(wide >> 32).unwrap_or(0)
    }

    /// A number from `low` to `high`, both possible.
    pub(super) fn between(&mut self, low: i64, high: i64) -> i64 {
        let span = u128::from(high.abs_diff(low)) + 1;
        let drawn = (u128::from(self.0.next_u64()) * span) >> 64;
        low.saturating_add(i64::try_from(drawn).unwrap_or(0))
    }

    /// One of the texts, evenly drawn.
    pub(super) fn word(&mut self, texts: &[&'static str]) -> &'static str {
        let word: &&'static str = self.pick(texts);
        word
    }

    /// True in `percent` of a hundred draws.
    pub(super) fn percent(&mut self, percent: u32) -> bool {
        self.below(100) < percent
    }

    /// True in `permille` of a thousand draws.
    pub(super) fn permille(&mut self, permille: u32) -> bool {
        self.below(1000) < permille
    }

    /// One of the items, evenly drawn.
    #[expect(
        clippy::indexing_slicing,
        reason = "the draw is below the table's length, and the tables are constants that are not empty"
    )]
    pub(super) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        let length = u32::try_from(items.len()).unwrap_or(u32::MAX);
        &items[self.below(length) as usize]
    }

    /// One of the items, drawn by the weight beside each.
    #[expect(
        clippy::indexing_slicing,
        reason = "the tables are constants that are not empty; the last item stands for every draw that is left"
    )]
    pub(super) fn weighted<'a, T>(&mut self, items: &'a [(T, u32)]) -> &'a T {
        let total = items.iter().map(|(_, weight)| weight).sum();
        let mut drawn = self.below(total);
        for (item, weight) in items {
            if drawn < *weight {
                return item;
            }
            drawn -= weight;
        }
        &items[items.len() - 1].0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_of_a_seed_never_changes() {
        let mut rng = SeededRng::new(7);
        let drawn: Vec<u32> = (0..6).map(|_| rng.below(1000)).collect();
        assert_eq!(drawn, [140, 157, 182, 167, 270, 704]);
    }

    #[test]
    fn draws_stay_within_their_bounds_and_reach_both_ends() {
        let mut rng = SeededRng::new(1);
        let drawn: Vec<i64> = (0..200).map(|_| rng.between(-2, 2)).collect();
        assert_eq!(drawn.iter().min(), Some(&-2));
        assert_eq!(drawn.iter().max(), Some(&2));
        assert!((0..200).all(|_| !rng.percent(0) && rng.percent(100)));
        assert!((0..200).all(|_| *rng.weighted(&[("never", 0), ("always", 1)]) == "always"));
    }
}
