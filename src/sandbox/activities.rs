//! Activities: types, paging tokens, pages, lead changes, deleted leads.
pub(super) mod log;
mod show;
mod token;
mod types;
