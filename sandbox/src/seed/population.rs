//! Everybody who is or was in the instance: duplicate groups, single people, records merged or
//! deleted long ago.
//!
//! Pure: a seed in, births and the truth about each group out. Ids are given at the end, by time of
//! birth, with the gaps that anonymous visitors leave; nothing here knows how the sandbox stores a
//! lead.

use super::births::{Birth, DAY, Fate, HOUR, PRESENT, SECOND, any_origin};
use super::causes::{self, SIZES};
use super::people::{Person, Register};
use super::rng::SeededRng;
use super::spec::{Seed, SeedCause};

/// The births of an instance, by order of birth, with ids that only grow.
#[derive(Debug)]
pub(super) struct Population {
    pub(super) births: Vec<Birth>,
    /// The id of each birth.
    pub(super) ids: Vec<u64>,
    pub(super) groups: Vec<Group>,
}

/// Records with one key, and why there are several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) key: String,
    pub(super) cause: SeedCause,
    pub(super) shared: bool,
    /// Places in the list of births.
    pub(super) members: Vec<usize>,
}

/// The population of a seed.
pub(super) fn populate(seed: &Seed) -> Population {
    let mut crowd = Crowd::new(seed.number);
    let wanted = seed.leads as usize;
    let grouped = crowd.add_groups(seed.leads_in_groups() as usize);
    for _ in grouped..wanted {
        crowd.add_single();
    }
    crowd.add_past_merges(wanted);
    crowd.add_deletions(wanted / 50);
    crowd.into_population()
}

/// A population in the making.
struct Crowd {
    rng: SeededRng,
    register: Register,
    births: Vec<Birth>,
    groups: Vec<Group>,
}

impl Crowd {
    fn new(seed: u64) -> Self {
        Self {
            rng: SeededRng::new(seed),
            register: Register::default(),
            births: Vec::new(),
            groups: Vec::new(),
        }
    }

    /// Adds groups of exactly `budget` leads together, and says how many those were: no group has a
    /// single lead.
    fn add_groups(&mut self, budget: usize) -> usize {
        let mut left = budget;
        while left >= *SIZES.start() {
            let (kind, usual) = self.next_group(budget);
            let size = match usual {
                2 if left == 3 => 3,
                usual if left == usual + 1 => usual - 1,
                usual => usual.min(left),
            };
            left -= size;
            self.add_group(kind, size);
        }
        budget - left
    }

    /// Each cause comes once before chance decides, and large budgets get the largest group and the
    /// strangers who all gave the same useless address.
    fn next_group(&mut self, budget: usize) -> (Kind, usize) {
        let rng = &mut self.rng;
        match self.groups.len() {
            first if first < SeedCause::ALL.len() => {
                (Kind::Duplicates(SeedCause::ALL.get(first).copied().unwrap_or(SeedCause::Race)), 2)
            }
            6 => (Kind::Couple, 2),
            7 if budget >= 200 => (Kind::Duplicates(SeedCause::CreateDuplicate), *SIZES.end()),
            8 if budget >= 200 => (Kind::Placeholder, 5),
            9 if budget >= 200 => (Kind::Role, 4),
            _ if rng.permille(25) => (Kind::Couple, 2),
            _ if rng.permille(15) => (Kind::Role, rng.below(4) as usize + 2),
            _ => {
                let cause = *rng.weighted(CAUSES);
                (Kind::Duplicates(cause), causes::usual_size(cause, rng))
            }
        }
    }

    fn add_group(&mut self, kind: Kind, size: usize) {
        let who = self.register.person(&mut self.rng);
        let (cause, mut births) = match kind {
            Kind::Duplicates(cause) => {
                (cause, causes::group(cause, size, &who, &mut self.rng, &mut self.register))
            }
            Kind::Couple => (SeedCause::CreateDuplicate, causes::shared(size, &who, &mut self.rng)),
            Kind::Role => {
                let email = self.register.role_mailbox(&mut self.rng);
                let who = Person { email, ..who };
                (SeedCause::CreateDuplicate, causes::shared(size, &who, &mut self.rng))
            }
            Kind::Placeholder => {
                let who = Person { email: "n/a".to_owned(), ..who };
                (SeedCause::CreateDuplicate, causes::shared(size, &who, &mut self.rng))
            }
        };
        let key = births.first().map_or_else(String::new, |birth| birth.who.email.clone());
        for birth in &mut births {
            let spelling = spell(&key, &mut self.rng);
            birth.email = Some(spelling);
        }
        let members = (self.births.len()..self.births.len() + births.len()).collect();
        self.births.append(&mut births);
        self.groups.push(Group {
            key,
            cause,
            shared: !matches!(kind, Kind::Duplicates(_)),
            members,
        });
    }

    fn add_single(&mut self) {
        let who = self.register.person(&mut self.rng);
        let born = causes::a_time(&mut self.rng, DAY);
        let origin = any_origin(born, &mut self.rng);
        let mut birth = Birth::new(&who, born, origin);
        birth.partition = *self.rng.weighted(&[(1, 80), (2, 14), (3, 6)]);
        birth.email = match self.rng.below(1000) {
            0..=29 => None,
            30..=34 => Some((*self.rng.pick(&[" ", "  ", "\t"])).to_owned()),
            _ => Some(spell(&who.email, &mut self.rng)),
        };
        self.births.push(birth);
    }

    /// Some of the living took in others long ago, one of them directly, two at once, or one that
    /// had taken in another.
    fn add_past_merges(&mut self, living: usize) {
        for winner in 0..living {
            if !self.rng.permille(25) {
                continue;
            }
            let Some(of) = self.births.get(winner) else { continue };
            let (who, winner_born, partition) = (of.who.clone(), of.born, of.partition);
            let born = winner_born + self.rng.between(0, 20 * DAY);
            let room = PRESENT - HOUR - born;
            if room < DAY {
                continue;
            }
            let first_merge = born + HOUR + self.rng.between(0, room / 2);
            let second_merge = first_merge + self.rng.between(SECOND, room / 3);
            let losers: &[(usize, i64)] = match self.rng.below(10) {
                0..=6 => &[(winner, first_merge)],
                7 => &[(winner, first_merge), (winner, first_merge)],
                _ => &[(winner, second_merge), (self.births.len(), first_merge)],
            };
            for (into, at) in losers {
                let origin = any_origin(born, &mut self.rng);
                let fate = Fate::Merged { into: *into, at: *at };
                self.births.push(Birth { partition, fate, ..Birth::new(&who, born, origin) });
            }
        }
    }

    fn add_deletions(&mut self, count: usize) {
        for _ in 0..count {
            let who = self.register.person(&mut self.rng);
            let born = causes::a_time(&mut self.rng, 20 * DAY);
            let origin = any_origin(born, &mut self.rng);
            let since = if self.rng.percent(25) { PRESENT - 14 * DAY } else { born + DAY };
            let at = self.rng.between(since, PRESENT - HOUR);
            self.births
                .push(Birth { fate: Fate::Deleted { at }, ..Birth::new(&who, born, origin) });
        }
    }

    /// Puts everyone in order of birth, which is the order of ids.
    fn into_population(mut self) -> Population {
        let mut order: Vec<usize> = (0..self.births.len()).collect();
        order.sort_by_key(|place| (self.births.get(*place).map(|birth| birth.born), *place));
        let mut place_of = vec![0; order.len()];
        for (new, old) in order.iter().enumerate() {
            if let Some(place) = place_of.get_mut(*old) {
                *place = new;
            }
        }
        let moved = |old: usize| place_of.get(old).copied().unwrap_or(old);
        let mut births: Vec<(usize, Birth)> = self.births.into_iter().enumerate().collect();
        births.sort_by_key(|(old, _)| moved(*old));
        let mut births: Vec<Birth> = births.into_iter().map(|(_, birth)| birth).collect();
        for birth in &mut births {
            if let Fate::Merged { into, .. } = &mut birth.fate {
                *into = moved(*into);
            }
        }
        for group in &mut self.groups {
            for member in &mut group.members {
                *member = moved(*member);
            }
            group.members.sort_unstable();
        }
        let ids = number(&births, &mut self.rng);
        Population { births, ids, groups: self.groups }
    }
}

/// What sort of group comes next.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Duplicates(SeedCause),
    /// Two people with one private mailbox.
    Couple,
    /// Colleagues behind `info@` and its like.
    Role,
    /// Strangers for whom somebody typed in no real address.
    Placeholder,
}

const CAUSES: &[(SeedCause, u32)] = &[
    (SeedCause::Race, 45),
    (SeedCause::CreateDuplicate, 15),
    (SeedCause::Crm, 15),
    (SeedCause::Import, 10),
    (SeedCause::Partition, 7),
    (SeedCause::Unknown, 8),
];

/// Ids by order of birth. Anonymous visitors take ids too, so there are gaps, now and then wide
/// ones; records that are born within two seconds mostly have neighbouring ids.
fn number(births: &[Birth], rng: &mut SeededRng) -> Vec<u64> {
    let mut id = u64::from(rng.below(40));
    let mut last_born = i64::MIN;
    births
        .iter()
        .map(|birth| {
            let together = birth.born.saturating_sub(last_born) <= 2 * SECOND;
            let gap = match rng.below(2_000) {
                0 => 200 + rng.below(2_000),
                1..=300 if !together => 1 + rng.below(5),
                _ => 0,
            };
            last_born = birth.born;
            id += u64::from(gap) + 1;
            id
        })
        .collect()
}

/// The address as somebody wrote it: mostly plain, at times with capitals or blanks around it.
fn spell(email: &str, rng: &mut SeededRng) -> String {
    match rng.below(100) {
        0..=2 => email.to_ascii_uppercase(),
        3..=6 => {
            let mut spelled = email.to_owned();
            if let Some(first) = spelled.get_mut(..1) {
                first.make_ascii_uppercase();
            }
            spelled
        }
        7 => format!(" {email}"),
        8 => format!("{email} "),
        9 => email.replace("example", "Example"),
        _ => email.to_owned(),
    }
}

#[cfg(test)]
mod tests;
