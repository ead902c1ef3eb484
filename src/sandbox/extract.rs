//! Bulk lead extract: create, enqueue, status, list, cancel, file.
mod file;
mod jobs;
mod order;
mod range;

/// Why a call is refused: Marketo's code, and its message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: &'static str,
    pub(super) message: String,
}
