//! The ledger of the configured instance, for commands that only tell what is in it.

use super::{Context, Failure};
use crate::ledger::Ledger;

/// Opens the ledger that is there. Whose it is must be known; credentials are not needed.
pub(super) fn open_existing(context: &Context) -> Result<Ledger, Failure> {
    context.config.addresses()?;
    let file = context.config.ledger_file()?;
    if !file.exists() {
        return Err(Failure::Usage {
            what: format!("there is no ledger yet: {} does not exist", file.display()),
            hint: Some(
                "it is made by the first plan, `mkto-audit merge`; give --profile or --base-url for another instance"
                    .to_owned(),
            ),
        });
    }
    Ok(Ledger::open(&file, &context.config.instance_name())?)
}
