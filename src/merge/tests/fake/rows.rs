//! The one custom object of the Marketo in memory, and its rows. What hangs on a lead that is
//! merged away is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::{Fake, Fate, Moment, World, refused, unclear};
use crate::lead::LeadId;
use crate::marketo::{
    CustomObjectType, Error, LinkRows, ObjectField, ROWS_LIMIT, ReadCustomObjects, Reason, Result,
    RowLink, RowResult, SendGate,
};

const CALL: &str = "POST /rest/v1/customobjects/car_c.json";

/// A row, and the lead that it hangs on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::merge::tests) struct FakeRow {
    pub(in crate::merge::tests) lead: LeadId,
    /// What its object's key has beside the link.
    pub(in crate::merge::tests) model: String,
}

impl World {
    /// Gives a lead a row, and the row's GUID.
    pub(in crate::merge::tests) fn put_row(&mut self, lead: LeadId, model: &str) -> String {
        let guid = format!("row-{}", self.rows.len() + self.lost_rows.len());
        self.rows.insert(guid.clone(), FakeRow { lead, model: model.to_owned() });
        guid
    }

    /// The leads of all rows, by the rows.
    pub(in crate::merge::tests) fn row_leads(&self) -> BTreeMap<String, LeadId> {
        self.rows.iter().map(|(guid, row)| (guid.clone(), row.lead)).collect()
    }

    pub(super) fn link(&mut self, links: &[RowLink]) -> Vec<RowResult> {
        if self.row_lag > 0 && self.stale_rows.is_none() {
            self.stale_rows = Some(self.rows.clone());
        }
        let results = links.iter().map(|link| self.link_one(link)).collect();
        for (lead, model) in std::mem::take(&mut self.rows_meddled) {
            self.put_row(lead, &model);
        }
        results
    }

    fn link_one(&mut self, link: &RowLink) -> RowResult {
        let skipped = |code: &str| {
            let reason = Reason { code: code.to_owned(), message: "no".to_owned() };
            RowResult { guid: link.guid.clone(), linked: false, reasons: vec![reason] }
        };
        if let Some(code) = self.skips_rows.get(&link.guid) {
            return skipped(code);
        }
        let Some(row) = self.rows.get(&link.guid).cloned() else { return skipped("1013") };
        if !self.leads.contains_key(&link.lead) {
            return skipped("1004");
        }
        let same: BTreeSet<String> = self
            .rows
            .iter()
            .filter(|(guid, other)| {
                self.key_has_link
                    && **guid != link.guid
                    && (other.lead, &other.model) == (link.lead, &row.model)
            })
            .map(|(guid, _)| guid.clone())
            .collect();
        if !same.is_empty() && !self.overwrites_rows {
            return skipped("1005");
        }
        self.rows.retain(|guid, _| !same.contains(guid));
        self.lost_rows.extend(same);
        self.rows.insert(link.guid.clone(), FakeRow { lead: link.lead, ..row });
        RowResult { guid: link.guid.clone(), linked: true, reasons: Vec::new() }
    }

    fn shown_rows(&mut self) -> BTreeMap<String, FakeRow> {
        match &self.stale_rows {
            Some(stale) if self.row_lag > 0 => {
                self.row_lag -= 1;
                stale.clone()
            }
            _ => self.rows.clone(),
        }
    }
}

impl ReadCustomObjects for Fake {
    async fn lead_custom_objects(&self) -> Result<Vec<CustomObjectType>> {
        self.arrive().await;
        let world = self.world();
        if let Some(code) = world.refuses_objects {
            return Err(refused("GET /rest/v1/customobjects.json", code));
        }
        let link = if world.key_has_link { vec!["leadId"] } else { Vec::new() };
        Ok(vec![CustomObjectType {
            name: "car_c".to_owned(),
            link_field: "leadId".to_owned(),
            lead_field: world.linked_by.clone().unwrap_or_else(|| "id".to_owned()),
            dedupe_fields: link.into_iter().chain(["model"]).map(str::to_owned).collect(),
            bridges: Vec::new(),
        }])
    }

    async fn object_fields(&self, _: &str) -> Result<BTreeMap<String, ObjectField>> {
        self.arrive().await;
        let link = ObjectField { updateable: !self.world().fixed_rows, crm_managed: false };
        Ok(BTreeMap::from([("leadId".to_owned(), link)]))
    }

    async fn custom_objects(
        &self,
        object: &str,
        field: &str,
        values: &[String],
        _: &[String],
    ) -> Result<Vec<Map<String, Value>>> {
        assert!((1..=300).contains(&values.len()));
        self.arrive().await;
        let mut world = self.world();
        if let Some(code) = world.refuses_rows {
            return Err(refused(&format!("GET /rest/v1/customobjects/{object}.json"), code));
        }
        if values.iter().any(|value| value.contains(',')) {
            return Err(Error::CannotAsk { field: field.to_owned() });
        }
        if world.linked_by.is_some() {
            let linked = values.iter().filter(|value| world.linked.contains(*value));
            let row = |value: &String| Map::from_iter([(field.to_owned(), json!(value))]);
            return Ok(linked.map(row).collect());
        }
        let rows = world.shown_rows();
        let is_asked = |(guid, row): &(String, FakeRow)| match field {
            "marketoGUID" => values.contains(guid),
            _ => values.contains(&row.lead.to_string()),
        };
        let shown = |(guid, row): (String, FakeRow)| {
            Map::from_iter([
                ("marketoGUID".to_owned(), json!(guid)),
                ("leadId".to_owned(), json!(row.lead)),
                ("model".to_owned(), json!(row.model)),
            ])
        };
        Ok(rows.into_iter().filter(is_asked).map(shown).collect())
    }
}

impl LinkRows for Fake {
    async fn link_rows_with(
        &self,
        gate: &impl SendGate,
        object: &str,
        field: &str,
        rows: &[RowLink],
    ) -> Result<Vec<RowResult>> {
        gate.ask()
            .await
            .map_err(|withheld| Error::Withheld { call: CALL.to_owned(), why: withheld.0 })?;
        assert_eq!((object, field), ("car_c", "leadId"));
        assert!((1..=300).contains(&rows.len()));
        self.arrive().await;
        let answer = {
            let mut world = self.world();
            world.links += 1;
            // What was seen to be done may be linked anew; what is not done yet may not.
            let in_doubt = world
                .unclear_links
                .iter()
                .filter(|(at, _)| at.elapsed() <= ROWS_LIMIT)
                .chain(&world.late_links)
                .flat_map(|(_, links)| links);
            for link in in_doubt {
                let again = rows.iter().any(|row| row.guid == link.guid);
                assert!(!again, "a row was linked again while the first call may run");
            }
            let fate = match world.link_fates.first() {
                _ if world.is_killed(&[Moment::LongAfter]) => Fate::DoneLater(110),
                None => Fate::Fine,
                Some(_) => world.link_fates.remove(0),
            };
            if matches!(fate, Fate::NeverDone) {
                world.unclear_links.push((Instant::now(), rows.to_vec()));
            }
            match fate {
                Fate::NeverDone => Err(unclear(CALL)),
                Fate::DoneLater(seconds) => {
                    assert!(seconds <= ROWS_LIMIT.as_secs());
                    let at = Instant::now() + Duration::from_secs(seconds);
                    world.late_links.push((at, rows.to_vec()));
                    Err(unclear(CALL))
                }
                Fate::AnswerLost => {
                    world.link(rows);
                    Err(unclear(CALL))
                }
                Fate::AcceptedOnly => Ok(rows
                    .iter()
                    .map(|row| RowResult {
                        guid: row.guid.clone(),
                        linked: true,
                        reasons: Vec::new(),
                    })
                    .collect()),
                Fate::Refused(code) => Err(refused(CALL, code)),
                _ => Ok(world.link(rows)),
            }
        };
        self.answer().await;
        answer
    }
}
