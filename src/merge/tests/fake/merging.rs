//! Merges of the Marketo in memory: each meets the fate that a test ordered, and none is sent twice
//! while one may run.

use std::future::pending;
use std::time::Duration;

use tokio::time::Instant;

use super::{Fake, Fate, Merging, Moment, World, refused, unclear};
use crate::lead::LeadId;
use crate::marketo::{
    Accepted, Error, MERGE_LIMIT, MERGE_LOSERS, MergeLeads, MergeOrder, Result, SendGate,
};

impl MergeLeads for Fake {
    async fn merge_leads_with(
        &self,
        gate: &impl SendGate,
        order: &impl MergeOrder,
    ) -> Result<Accepted> {
        const CALL: &str = "POST /rest/v1/leads/1/merge.json";
        gate.ask()
            .await
            .map_err(|withheld| Error::Withheld { call: CALL.to_owned(), why: withheld.0 })?;
        self.arrive().await;
        let merging = Merging { winner: order.winner(), losers: order.losers().to_vec() };
        let (_under_way, takes) = self.enter(merging.winner);
        let (mut slow, mut dead) = (false, false);
        let answer = {
            let mut world = self.world();
            assert!(merging.losers.len() <= MERGE_LOSERS, "1080");
            let touched = |losers: &[LeadId]| losers.iter().any(|id| merging.losers.contains(id));
            for (at, losers) in &world.unclear {
                let over = at.elapsed() > MERGE_LIMIT;
                assert!(
                    over || !touched(losers),
                    "a merge was sent again while the first may be under way"
                );
            }
            let looked_at = world.looked_at.expect("leads are read before they are merged");
            assert!(looked_at.elapsed() <= Duration::from_secs(5), "an old look allowed a merge");
            let fate = match world.merge_fates.first() {
                _ if world.is_killed(&[Moment::LongAfter]) => Fate::DoneLater(170),
                None => Fate::Fine,
                Some(_) => world.merge_fates.remove(0),
            };
            if matches!(fate, Fate::AnswerLost | Fate::DoneLater(_) | Fate::NeverDone) {
                world.unclear.push((Instant::now(), merging.losers.clone()));
            }
            slow |= matches!(fate, Fate::Slow(_));
            dead |= matches!(fate, Fate::NoAnswer(_));
            world.merges.push(merging.losers.clone());
            let there = world.leads.contains_key(&merging.winner)
                && merging.losers.iter().all(|id| world.leads.contains_key(id));
            if there { world.meet(fate, &merging, CALL) } else { Err(refused(CALL, "1004")) }
        };
        tokio::time::sleep(if slow { Duration::from_secs(100) } else { takes }).await;
        if dead {
            pending::<()>().await;
        }
        self.answer().await;
        answer
    }
}

impl Fake {
    /// A merge begins; it is over when what is given goes.
    fn enter(&self, winner: LeadId) -> (UnderWay<'_>, Duration) {
        let mut world = self.world();
        assert!(world.under_way.insert(winner), "two merges of a group at once");
        let at_once = world.under_way.len();
        world.at_once.push(at_once);
        (UnderWay { fake: self, winner }, world.merge_takes)
    }
}

struct UnderWay<'f> {
    fake: &'f Fake,
    winner: LeadId,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.fake.world().under_way.remove(&self.winner);
    }
}

impl World {
    fn meet(&mut self, fate: Fate, merging: &Merging, call: &str) -> Result<Accepted> {
        let accepted = Ok(Accepted { request_id: Some("7#8".to_owned()) });
        match fate {
            Fate::Fine | Fate::Slow(_) => {
                self.merge(merging);
                if let Fate::Slow(lead) = fate {
                    self.leads.insert(lead.id, lead);
                }
                accepted
            }
            Fate::AcceptedOnly => accepted,
            Fate::AnswerLost => {
                self.merge(merging);
                Err(unclear(call))
            }
            Fate::DoneLater(seconds) => {
                assert!(seconds <= MERGE_LIMIT.as_secs());
                self.late.push((Instant::now() + Duration::from_secs(seconds), merging.clone()));
                Err(unclear(call))
            }
            Fate::NeverDone | Fate::NoAnswer(Moment::Never) => Err(unclear(call)),
            Fate::NoAnswer(Moment::Before) => {
                self.merge(merging);
                accepted
            }
            Fate::NoAnswer(Moment::LongAfter) => {
                self.late.push((Instant::now() + Duration::from_secs(170), merging.clone()));
                Err(unclear(call))
            }
            Fate::Refused(code) => {
                self.stale = Some((self.lag_after_refusal, self.before_write.clone()));
                Err(refused(call, code))
            }
            Fate::StopsAfterOne => {
                self.merge(&Merging {
                    winner: merging.winner,
                    losers: merging.losers[..1].to_vec(),
                });
                Err(refused(call, "1078"))
            }
            Fate::LoserSurvives => {
                let (winner, loser) = (merging.winner, merging.losers[0]);
                let mut losers = merging.losers[1..].to_vec();
                losers.push(winner);
                self.merge(&Merging { winner: loser, losers });
                accepted
            }
            Fate::AllVanish => {
                self.merge(merging);
                self.leads.remove(&merging.winner);
                accepted
            }
            Fate::Quota => Err(Error::Quota { call: call.to_owned(), which: "607".to_owned() }),
        }
    }
}
