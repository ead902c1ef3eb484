//! Program statuses of the Marketo in memory: they only rise, along the steps of the one channel.

use super::{Fake, Fate, World, unclear};
use crate::lead::LeadId;
use crate::marketo::{Reason, Result, SendGate, SetProgramStatus, StatusResult};

impl SetProgramStatus for Fake {
    async fn set_program_status_with(
        &self,
        _at_any_time: &impl SendGate,
        program: u64,
        status: &str,
        leads: &[LeadId],
    ) -> Result<Vec<StatusResult>> {
        const CALL: &str = "POST /rest/v1/programs/{id}/members/status.json";
        self.arrive().await;
        let answer = {
            let mut world = self.world();
            let fate = if world.status_fates.is_empty() {
                Fate::Fine
            } else {
                world.status_fates.remove(0)
            };
            match fate {
                Fate::NeverDone => Err(unclear(CALL)),
                Fate::AnswerLost => {
                    world.set_status(program, status, leads);
                    Err(unclear(CALL))
                }
                _ => Ok(world.set_status(program, status, leads)),
            }
        };
        self.answer().await;
        answer
    }
}

impl World {
    fn set_status(&mut self, program: u64, status: &str, leads: &[LeadId]) -> Vec<StatusResult> {
        let place = |status: &str| self.steps.iter().position(|step| step == status);
        let wanted = place(status);
        let mut results = Vec::new();
        for lead in leads {
            let held = self.standing.get(&(program, *lead)).and_then(|held| place(held));
            let (set, reasons) = if held >= wanted {
                let message = "already in or past the status".to_owned();
                (false, vec![Reason { code: "1037".to_owned(), message }])
            } else {
                (true, Vec::new())
            };
            results.push(StatusResult { lead: *lead, set, reasons });
        }
        for result in results.iter().filter(|result| result.set && !self.sets_no_status) {
            self.programs.entry(program).or_default().insert(result.lead);
            self.standing.insert((program, result.lead), status.to_owned());
        }
        results
    }
}
