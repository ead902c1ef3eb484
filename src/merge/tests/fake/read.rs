//! What of the Marketo in memory can be read.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::time::Instant;

use super::{Breaks, Fake, World, refused};
use crate::lead::{Lead, LeadId};
use crate::marketo::{
    Field, LeadPartition, Program, ProgramMember, ReadLeads, ReadMemberFields, ReadMemberships,
    Result, Schema, StaticList,
};

impl Fake {
    fn assets_are_shown(&self) -> Result<()> {
        let hidden = self.world().hides_memberships;
        if hidden { Err(refused("GET /rest/v1/lists.json", "603")) } else { Ok(()) }
    }
}

impl World {
    /// How far a member of a program is, where that is known.
    fn membership(&self, program: u64, lead: LeadId) -> Map<String, Value> {
        let Some(status) = self.standing.get(&(program, lead)) else { return Map::new() };
        Map::from_iter([
            ("progressionStatus".to_owned(), Value::from(status.clone())),
            ("reachedSuccess".to_owned(), Value::from(self.steps.last() == Some(status))),
        ])
    }
}

impl ReadLeads for Fake {
    async fn leads_by(&self, field: &str, values: &[String], _: &[String]) -> Result<Vec<Lead>> {
        assert_eq!(field, "id");
        assert!(values.len() <= 300);
        self.arrive().await;
        self.world().looked_at = Some(Instant::now());
        let leads = self.world().shown();
        Ok(values.iter().filter_map(|id| leads.get(&id.parse().ok()?).cloned()).collect())
    }

    async fn describe(&self) -> Result<Schema> {
        let field = |name: &str| {
            let data_type = "string".to_owned();
            let field = Field {
                display_name: name.to_owned(),
                data_type,
                length: None,
                updateable: name != "createdAt",
                crm_managed: false,
            };
            (name.to_owned(), field)
        };
        let names = [
            "email",
            "firstName",
            "phone",
            "title",
            "score",
            "createdAt",
            "unsubscribed",
            "doNotCall",
            "blackListed",
            "leadPartitionId",
            "sfdcLeadId",
            "sfdcContactId",
            "unsubscribedReason",
        ];
        Ok(Schema {
            fields: names.into_iter().chain(["marketingSuspended"]).map(field).collect(),
            searchable: self.world().searchable.clone(),
        })
    }
}

impl ReadMemberships for Fake {
    async fn lead_partitions(&self) -> Result<Vec<LeadPartition>> {
        self.arrive().await;
        Ok(vec![LeadPartition { id: 1, name: "Default".to_owned() }])
    }

    async fn static_lists(&self) -> Result<Vec<StaticList>> {
        self.arrive().await;
        self.assets_are_shown()?;
        Ok(self
            .world()
            .lists
            .keys()
            .map(|id| StaticList { id: *id, name: format!("list {id}") })
            .collect())
    }

    async fn list_members(
        &self,
        list: u64,
        _: Option<&str>,
    ) -> Result<(Vec<LeadId>, Option<String>)> {
        self.arrive().await;
        let world = self.world();
        let Some(members) = world.lists.get(&list) else {
            return Err(refused("GET /rest/v1/lists/1/leads.json", "1013"));
        };
        Ok((members.iter().copied().collect(), None))
    }

    async fn list_membership(&self, lead: LeadId) -> Result<Vec<Map<String, Value>>> {
        self.arrive().await;
        self.assets_are_shown()?;
        if let Some(code) = self.world().refuses_lists_of.get(&lead) {
            return Err(refused("GET /rest/v1/leads/1/listMembership.json", code));
        }
        let taken = self.world().row_taken.take();
        if let Some((row, lead)) = taken {
            self.world().rows.get_mut(&row).expect("a row to take").lead = lead;
        }
        let meddling = self.world().slow_memberships.take();
        if let Some(lead) = meddling {
            tokio::time::sleep(Duration::from_secs(120)).await;
            self.world().leads.insert(lead.id, lead);
        }
        Ok(of(&self.world().lists, lead))
    }

    async fn program_membership(&self, lead: LeadId) -> Result<Vec<Map<String, Value>>> {
        self.arrive().await;
        self.assets_are_shown()?;
        if self.world().unreadable.contains(&lead) {
            return Err(refused("GET /rest/v1/leads/1/programMembership.json", "1004"));
        }
        if self.world().is_broken(Breaks::MaySeePrograms) {
            return Err(refused("GET /rest/v1/leads/1/programMembership.json", "603"));
        }
        let hangs = self.world().is_broken(Breaks::Programs);
        if hangs {
            tokio::time::sleep(Duration::from_secs(3_600)).await;
        }
        let world = self.world();
        let mut rows = of(&world.programs, lead);
        for row in &mut rows {
            let program = row["id"].as_u64().expect("a program's id");
            row.extend(world.membership(program, lead));
        }
        Ok(rows)
    }

    async fn programs(&self) -> Result<Vec<Program>> {
        self.arrive().await;
        self.assets_are_shown()?;
        Ok(self
            .world()
            .programs
            .keys()
            .map(|id| Program { id: *id, name: format!("program {id}") })
            .collect())
    }

    async fn program_members(
        &self,
        program: u64,
        _: Option<&str>,
    ) -> Result<(Vec<ProgramMember>, Option<String>)> {
        self.arrive().await;
        let world = self.world();
        if let Some(code) = world.refuses_members.filter(|_| !world.merges.is_empty()) {
            return Err(refused("GET /rest/v1/leads/programs/9.json", code));
        }
        let Some(members) = world.programs.get(&program) else {
            return Err(refused("GET /rest/v1/leads/programs/9.json", "1013"));
        };
        let member = |lead: &LeadId| ProgramMember {
            lead: *lead,
            membership: world.membership(program, *lead),
        };
        Ok((members.iter().map(member).collect(), None))
    }
}

impl ReadMemberFields for Fake {
    async fn member_fields(&self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    async fn member_values(
        &self,
        program: u64,
        leads: &[LeadId],
        _: &[String],
    ) -> Result<BTreeMap<LeadId, Map<String, Value>>> {
        panic!("no program has fields of members, and {program} is asked for those of {leads:?}")
    }
}

fn of(members: &BTreeMap<u64, BTreeSet<LeadId>>, lead: LeadId) -> Vec<Map<String, Value>> {
    let on = members.iter().filter(|(_, members)| members.contains(&lead));
    on.map(|(id, _)| Map::from_iter([("id".to_owned(), Value::from(*id))])).collect()
}
