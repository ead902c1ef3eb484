//! The guard's own calls to Marketo, with the credentials of the caller that they are made for.

use std::collections::BTreeSet;

use super::origin::Origin;
use crate::guard::engine::Sender;
use crate::marketo::{
    Auth, CallFailure, Client, Found, RawWrite, SYNC_LIMIT, SendGate, Turns, Written,
};

#[derive(Debug)]
pub(super) struct CallerSender(pub(super) Client);

impl CallerSender {
    fn borrowed(origin: &Origin) -> Auth {
        Auth::Borrowed(origin.headers.clone())
    }
}

impl Sender for CallerSender {
    type Origin = Origin;

    async fn look_up(
        &self,
        origin: &Origin,
        field: &str,
        values: &[&str],
        fields: &[&str],
        turns: &impl Turns,
    ) -> Result<Found, CallFailure> {
        self.0.session(Self::borrowed(origin), turns).look_up(field, values, fields).await
    }

    async fn lead_fields(
        &self,
        origin: &Origin,
        turns: &impl Turns,
    ) -> Result<BTreeSet<String>, CallFailure> {
        let schema = self.0.session(Self::borrowed(origin), turns).describe().await?;
        Ok(schema.fields.into_keys().collect())
    }

    async fn write(
        &self,
        origin: &Origin,
        body: Vec<u8>,
        turns: &impl Turns,
        gate: &impl SendGate,
    ) -> Result<Written, CallFailure> {
        let write = RawWrite {
            method: origin.method.clone(),
            target: origin.target.clone(),
            body: body.into(),
            limit: SYNC_LIMIT,
        };
        self.0.session(Self::borrowed(origin), turns).write(gate, write).await
    }
}
