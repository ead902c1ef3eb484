//! What more than one file of tests uses: a sandbox in this process, the real binary, and a picture
//! of how it ended.

pub mod asking;
pub mod audit;
pub mod browser;
pub mod caller;
pub mod counts;
pub mod dice;
pub mod guard;
pub mod guards;
pub mod instance;
pub mod merging;
pub mod program;
pub mod sandboxes;
pub mod schema;
pub mod signal;
pub mod storm;
pub mod stub;
pub mod upserting;

pub use guard::{Guard, Leases, Mode};
pub use instance::{CLOCK_SPEED, Instance, UNHURRIED, quick, token, word_for};
pub use mkto_testing::{cluster, needs, wait};
pub use program::{Run, bare, binary};

/// Compares with a snapshot in `snapshots/`, with what differs from run to run replaced.
#[macro_export]
macro_rules! assert_picture {
    ($name:expr, $redactions:expr, $text:expr) => {{
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path(concat!(env!("CARGO_MANIFEST_DIR"), "/snapshots"));
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        for (pattern, shown) in $redactions {
            settings.add_filter(&pattern, shown);
        }
        settings.bind(|| insta::assert_snapshot!($name, $text));
    }};
}
