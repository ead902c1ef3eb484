//! The page on which people decide: in a file and live, by keys and by clicks, and who is kept out.

mod command;
mod file;
mod live;
mod made_up;
mod strangers;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use made_up::MadeUp;
use mkto_audit::review::page::write_page;
use mkto_audit::review::server::{Ended, Review};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use crate::support::browser::Browser;

const HOURS: Duration = Duration::from_secs(8 * 60 * 60);

/// The page of a plan in a file.
struct File {
    _folder: TempDir,
    path: PathBuf,
}

impl File {
    fn of(plan: &MadeUp) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nov.html");
        let mut out = Vec::new();
        write_page(plan, "nov", &mut out).unwrap();
        std::fs::write(&path, out).unwrap();
        Self { _folder: folder, path }
    }

    fn address(&self) -> String {
        format!("file://{}", self.path.display())
    }
}

/// A server of a plan in this process, which ends with it.
struct Live {
    runtime: Runtime,
    plan: Arc<MadeUp>,
    review: Arc<Review>,
    stop: Option<oneshot::Sender<()>>,
    ended: tokio::task::JoinHandle<Ended>,
}

impl Live {
    fn of(plan: MadeUp) -> Self {
        let runtime = Runtime::new().unwrap();
        let plan = Arc::new(plan);
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let decided: Arc<MadeUp> = Arc::clone(&plan);
        let review = Arc::new(Review::new(decided, "Bo".to_owned(), address).unwrap());
        let (stop, stopped) = oneshot::channel();
        let serving = Arc::clone(&review).serve(listener, HOURS, async {
            drop(stopped.await);
        });
        let ended = runtime.spawn(serving);
        Self { runtime, plan, review, stop: Some(stop), ended }
    }

    /// Ends it as Ctrl-C does.
    fn end(mut self) -> Ended {
        drop(self.stop.take());
        self.runtime.block_on(self.ended).unwrap()
    }
}

/// Where pictures go that somebody asked for.
fn picture(browser: &mut Browser, name: &str) {
    if let Some(folder) = std::env::var_os("MKTO_AUDIT_PICTURES") {
        browser.picture(&Path::new(&folder).join(name));
    }
}
