//! How survivors are read: what it costs, and what was deleted meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value};

use super::model::MembersRecord;
use super::now::{Learnt, Now, Wanted};
use crate::lead::LeadId;
use crate::marketo::{
    Error, LeadPartition, Program, ProgramMember, ReadMemberships, Result, StaticList,
};

/// Lists by their pages; programs have nobody.
#[derive(Debug, Default)]
struct Shelf {
    lists: BTreeMap<u64, Vec<Vec<LeadId>>>,
    programs: BTreeSet<u64>,
    gone: BTreeSet<LeadId>,
    calls: Mutex<Vec<&'static str>>,
}

impl Shelf {
    fn note(&self, call: &'static str) {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
    }

    fn calls(&self) -> BTreeMap<&'static str, usize> {
        let mut calls = BTreeMap::new();
        let made = std::mem::take(&mut *self.calls.lock().unwrap_or_else(PoisonError::into_inner));
        for call in made {
            *calls.entry(call).or_default() += 1;
        }
        calls
    }
}

fn refused(code: &str) -> Error {
    let (call, message) = ("GET /rest/v1/x.json".to_owned(), "no".to_owned());
    Error::Refused { call, code: code.to_owned(), message, request_id: None }
}

impl ReadMemberships for Shelf {
    async fn lead_partitions(&self) -> Result<Vec<LeadPartition>> {
        Ok(vec![])
    }

    async fn static_lists(&self) -> Result<Vec<StaticList>> {
        Ok(vec![])
    }

    async fn list_members(
        &self,
        list: u64,
        token: Option<&str>,
    ) -> Result<(Vec<LeadId>, Option<String>)> {
        self.note("list");
        let pages = self.lists.get(&list).ok_or_else(|| refused("1013"))?;
        let page: usize = token.map_or(0, |token| token.parse().expect("a token of this shelf"));
        let next = (page + 1 < pages.len()).then(|| (page + 1).to_string());
        Ok((pages[page].clone(), next))
    }

    async fn list_membership(&self, lead: LeadId) -> Result<Vec<Map<String, Value>>> {
        self.note("lists of a lead");
        if self.gone.contains(&lead) {
            return Err(refused("1004"));
        }
        let on =
            self.lists.iter().filter(|(_, pages)| pages.iter().any(|page| page.contains(&lead)));
        Ok(on.map(|(id, _)| Map::from_iter([("id".to_owned(), Value::from(*id))])).collect())
    }

    async fn program_membership(&self, _: LeadId) -> Result<Vec<Map<String, Value>>> {
        self.note("programs of a lead");
        Ok(vec![])
    }

    async fn programs(&self) -> Result<Vec<Program>> {
        Ok(vec![])
    }

    async fn program_members(
        &self,
        program: u64,
        _: Option<&str>,
    ) -> Result<(Vec<ProgramMember>, Option<String>)> {
        self.note("program");
        if self.programs.contains(&program) { Ok((vec![], None)) } else { Err(refused("1013")) }
    }
}

/// So many survivors whose records were on these lists and in these programs.
fn wanted(leads: u64, lists: &[u64], programs: &[u64]) -> Wanted {
    let held = super::Membership {
        lists: lists.iter().map(|id| (*id, String::new())).collect(),
        programs: programs.iter().map(|id| (*id, super::InProgram::default())).collect(),
    };
    let record = MembersRecord { before: [(900, held)].into(), ..MembersRecord::default() };
    let mut wanted = Wanted::default();
    (1..=leads).for_each(|lead| wanted.add(lead, &record));
    wanted
}

#[tokio::test]
async fn a_list_and_a_program_that_were_deleted_do_not_end_the_look_at_the_others() {
    let shelf = Shelf {
        lists: [(5, vec![(1..=10).collect()])].into(),
        programs: [7].into(),
        ..Shelf::default()
    };
    let mut learnt = Learnt::default();
    let wanted = wanted(10, &[4, 5], &[6, 7]);
    let now = wanted.read(&shelf, &mut learnt, false).await.unwrap();
    assert_eq!((&learnt.ended.lists, &learnt.ended.programs), (&[4].into(), &[6].into()));
    let Now::In(held) = &now[&10] else { panic!("{now:?}") };
    assert_eq!(held.lists.keys().copied().collect::<Vec<_>>(), [5]);
    assert_eq!(shelf.calls(), [("list", 2), ("program", 2)].into());
    // Which are deleted is known from then on.
    wanted.read(&shelf, &mut learnt, false).await.unwrap();
    assert_eq!(shelf.calls(), [("list", 1), ("program", 1)].into());
}

#[tokio::test]
async fn a_look_does_not_begin_what_costs_more_than_asking_for_each_lead() {
    let short: BTreeMap<u64, Vec<Vec<LeadId>>> = (1..=6).map(|id| (id, vec![vec![1]])).collect();
    let shelf = Shelf { lists: short, ..Shelf::default() };
    let mut learnt = Learnt::default();
    let many: Vec<u64> = (1..=6).collect();
    wanted(10, &many, &[]).read(&shelf, &mut learnt, false).await.unwrap();
    assert_eq!(shelf.calls(), [("lists of a lead", 10)].into(), "six lists for ten leads");

    let shelf = Shelf { lists: [(5, vec![vec![1]; 100])].into(), ..Shelf::default() };
    wanted(10, &[5], &[]).read(&shelf, &mut learnt, false).await.unwrap();
    assert_eq!(shelf.calls(), [("list", 5), ("lists of a lead", 10)].into());
    wanted(10, &[5], &[]).read(&shelf, &mut learnt, false).await.unwrap();
    assert_eq!(shelf.calls(), [("lists of a lead", 10)].into(), "it was too long once");
}

#[tokio::test]
async fn only_a_lead_that_marketo_does_not_find_is_gone() {
    let shelf = Shelf { lists: [(5, vec![vec![1]])].into(), gone: [2].into(), ..Shelf::default() };
    let now = wanted(2, &[5], &[]).read(&shelf, &mut Learnt::default(), true).await.unwrap();
    assert!(matches!(&now[&1], Now::In(held) if held.lists.contains_key(&5)), "{now:?}");
    assert_eq!(now[&2], Now::Gone);
}
