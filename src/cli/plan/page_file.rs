//! The decisions that the page of `plan export FILE.html` saved, taken in.

use super::import::{ImportArgs, named, taken};
use crate::cli::{Context, Exit, Failure};
use crate::review::import::{Changed, Counts, Error};
use crate::review::page::DecisionsFile;
use crate::review::{Door, Seen};

/// Takes all decisions or none of them; where the file approves the plan, approves it.
pub(super) fn run(context: &mut Context, args: &ImportArgs, bytes: &[u8]) -> Result<Exit, Failure> {
    let refused = |what: String| Failure::Usage {
        what: format!("{}: {what}", args.file.display()),
        hint: Some("nothing was taken".to_owned()),
    };
    let file = DecisionsFile::read(bytes).map_err(|error| refused(error.to_string()))?;
    let by = named(args.by.as_deref().or(file.by.as_deref()))?;
    let review = super::open(context, &file.plan)?;
    let head = review.head()?;
    if let Some(who) = review.decided_since(&file.digest)? {
        return Err(refused(Error::Outdated { plan: head.plan, who }.to_string()));
    }
    let mut changed = Vec::new();
    for (key, decisions) in &file.group {
        let card = review
            .card_by_key(key)?
            .ok_or_else(|| refused(format!("plan {} has no group `{key}`", head.plan)))?;
        if let Some(why) = review.preview(card.place, decisions)?.refused {
            return Err(refused(format!("{}: {why}", card.key)));
        }
        if *decisions != card.decisions {
            changed.push(Changed::of(&card, decisions.clone()));
        }
    }
    let made = review.decide(&file.group, &Seen::Plan(file.digest.clone()), by, Door::Page)?;
    taken(context, args, &head.plan, &made, Counts::of(&changed))?;
    if file.approve {
        let approval = review.approve(&made.digest, by, file.note.as_deref())?;
        context.ui.note(&format!("approved by {}", approval.by));
    }
    Ok(Exit::Done)
}
