//! What to change so that no more duplicates come about in one way.

use super::kind::Cause;

/// What stops the cause at its source, in words for whoever runs the integration that is named
/// where one is known.
pub fn advice(cause: Cause, integration: Option<&str>) -> String {
    let who = integration
        .map_or_else(|| "the integration".to_owned(), |user| format!("the integration {user}"));
    match cause {
        Cause::Race => format!(
            "{who} has two calls for one address under way at once: let it wait for the answer before it sends that \
             address again, and name no address twice in a call; or let it write through the proxy `mkto-audit guard`, which sees \
             to both"
        ),
        Cause::CreateDuplicate => format!(
            "{who} asks for `createDuplicate`, or looks leads up by another field: let it send `createOrUpdate` with the \
             lookup field `email`"
        ),
        Cause::Crm => {
            "the CRM holds the person twice: merge its records there, and let whoever creates people in the \
                       CRM look for the address first; Marketo's sync does not"
                .to_owned()
        }
        Cause::Import => {
            "let list imports run one after another, and not beside integrations that write the same people"
                .to_owned()
        }
        Cause::Partition => {
            "each partition may hold an address; where that is not meant, let the assignment rules and \
                             the calls' `partitionName` send a person to one partition"
                .to_owned()
        }
        Cause::Unknown => {
            "look at the leads' activity logs in Marketo: often an address was changed to one that another \
                           lead had"
                .to_owned()
        }
    }
}
