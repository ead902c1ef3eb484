//! Links rows to the leads on which they are to be, under a fresh look, until a read shows them
//! there.
//!
//! Never: takes a row from a lead to which somebody else has linked it since.

use std::collections::{BTreeMap, BTreeSet};

use super::link::{LAG, Linked, Place, Places, folded};
use super::wish::{RowFate, Wish, calls_of, each_once, standing};
use crate::lead::LeadId;
use crate::ledger::{RowEnd, RowPurpose};
use crate::marketo::UntilStopped;
use crate::merge::context::{Merge, MergeClient};
use crate::merge::error::Error;
use crate::merge::fresh::Fresh;

/// How often rows are linked whose look becomes too old before the call can leave.
const TRIES: usize = 10;

impl<M: MergeClient> Merge<'_, M> {
    /// Links rows to where they are to be, unless they are there, and says what became of each.
    /// None where the run is to stop.
    pub(super) async fn settle_rows(
        &mut self,
        wishes: Vec<Wish>,
    ) -> Result<Option<Vec<(Wish, RowFate)>>, Error> {
        let (once, later) = each_once(wishes);
        let mut aside = Vec::new();
        let settled = self.settle_rows_held(once, &mut aside).await;
        self.holds.release(aside).await;
        let why = "it was moved twice, and only the second move is settled yet";
        let later = later.into_iter().map(|wish| (wish, RowFate::Stuck(why.to_owned())));
        Ok(settled?.map(|done| done.into_iter().chain(later).collect()))
    }

    async fn settle_rows_held(
        &mut self,
        mut open: Vec<Wish>,
        aside: &mut Vec<LeadId>,
    ) -> Result<Option<Vec<(Wish, RowFate)>>, Error> {
        let mut done = Vec::new();
        let mut asked: BTreeSet<(String, String)> = BTreeSet::new();
        let mut stuck: BTreeMap<(String, String), String> = BTreeMap::new();
        // Rows of which no read can be older than the call that moved them.
        let mut sure: BTreeSet<(String, String)> = BTreeSet::new();
        for _ in 0..TRIES {
            let ids: BTreeSet<LeadId> = open.iter().map(|wish| wish.to).collect();
            let ids: Vec<LeadId> = ids.into_iter().collect();
            // The rows first: what is linked rests on the look at the leads.
            let Some(places) = self.places_of(&open).await? else { return Ok(None) };
            let Some(look) = self.look_twice_if_missing(&ids).await? else { return Ok(None) };
            let mut again = Vec::new();
            for wish in open {
                let place = places.get(&wish.object).and_then(|of| of.get(&folded(&wish.guid)));
                let lives = look.leads.contains_key(&wish.to);
                if place == Some(&Place::On(Some(wish.from))) {
                    sure.insert(wish.id());
                }
                let fate = standing(&wish, place, lives, sure.contains(&wish.id()))
                    .or_else(|| Some(RowFate::Stuck(stuck.get(&wish.id())?.clone())));
                match fate {
                    Some(fate) => {
                        self.end_wish(&wish, &fate)?;
                        done.push((wish, fate));
                    }
                    None => again.push(wish),
                }
            }
            open = again;
            if open.is_empty() {
                return Ok(Some(done));
            }
            let to = |wish: &Wish| look.leads.get(&wish.to);
            self.holds.keys.learn(open.iter().filter_map(to));
            if !self.holds.covers(open.iter().filter_map(to)) {
                let leads: Vec<LeadId> = open.iter().map(|wish| wish.to).collect();
                let Some(taken) = self.hold_leads(&leads).await? else { return Ok(None) };
                aside.extend(taken);
                continue;
            }
            if open.iter().all(|wish| asked.contains(&wish.id())) {
                // What is read can lag behind a call that was done.
                asked.clear();
                if self.within_grace(self.clock.sleep(LAG)).await.is_none() {
                    return Ok(None);
                }
                continue;
            }
            let stop = UntilStopped::after(self.stop.clone(), self.grace());
            let gate = Fresh::new(look.at, self.clock, stop);
            for (plan, rows) in calls_of(&open) {
                match self.link_rows(&gate, &plan, &rows).await? {
                    Linked::Withheld if self.stop.is_cancelled() => return Ok(None),
                    Linked::Open => return Ok(None),
                    Linked::Withheld => break,
                    Linked::Done(refused) => {
                        for row in &rows.rows {
                            let id = (rows.object.clone(), folded(&row.guid));
                            match refused.get(&row.guid) {
                                Some(why) => drop(stuck.insert(id.clone(), why.clone())),
                                None => drop(sure.insert(id.clone())),
                            }
                            asked.insert(id);
                        }
                    }
                    Linked::Refused(why) => {
                        let ids =
                            rows.rows.iter().map(|row| (rows.object.clone(), folded(&row.guid)));
                        stuck.extend(ids.map(|id| (id, why.clone())));
                    }
                }
            }
        }
        let why = "Marketo had no room for it, or does not show it, again and again";
        done.extend(open.into_iter().map(|wish| (wish, RowFate::Stuck(why.to_owned()))));
        Ok(Some(done))
    }

    async fn places_of(
        &mut self,
        wishes: &[Wish],
    ) -> Result<Option<BTreeMap<String, Places>>, Error> {
        let mut guids: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
        for wish in wishes {
            let of = (wish.object.clone(), wish.field.clone());
            guids.entry(of).or_default().push(wish.guid.clone());
        }
        let mut all: BTreeMap<String, Places> = BTreeMap::new();
        for ((object, field), guids) in guids {
            let Some(places) = self.places(&object, &field, &guids).await? else {
                return Ok(None);
            };
            all.entry(object).or_default().extend(places);
        }
        Ok(Some(all))
    }

    /// A row that needs nothing more; one that is stuck stays in mind.
    fn end_wish(&mut self, wish: &Wish, fate: &RowFate) -> Result<(), Error> {
        let (how, why) = match fate {
            RowFate::There if wish.purpose == RowPurpose::Follow => {
                (RowEnd::Merged, "a look showed it on the record that stayed")
            }
            RowFate::There => (RowEnd::GivenBack, "a look showed it where it was before"),
            RowFate::Gone => (RowEnd::Stays, "it is not there any more"),
            RowFate::Elsewhere(_) => (RowEnd::Stays, "somebody has linked it to another lead"),
            RowFate::NoLead => (RowEnd::Stays, "the lead that it hung on is gone"),
            RowFate::Stuck(_) => return Ok(()),
        };
        let guid = std::slice::from_ref(&wish.guid);
        for call in &wish.calls {
            self.ledger.end_rows(*call, guid, (how, why), &self.at())?;
        }
        Ok(())
    }
}
