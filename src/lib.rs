//! Finds, explains, merges and prevents duplicate people in Adobe Marketo Engage.
//!
//! Marketo's `createOrUpdate` looks an email up and then inserts, so two calls that overlap make
//! two leads. This crate finds the leads that are one person, plans what their merge would keep,
//! carries the plan out with nothing lost, and gives writers a path on which no duplicate can
//! arise. The program `mkto-audit` is a thin layer over it: everything that its commands do, a
//! program can do.
//!
//! # A scan, a plan and a merge
//!
//! The story runs on a practice Marketo, [`mkto_sandbox`]. On a real one only the address and the
//! credentials differ.
//!
//! ```
//! # use std::error::Error;
//! # use std::time::Duration;
//! use chrono::Utc;
//! use mkto_audit::cache::Cache;
//! use mkto_audit::dedupe::{KeySpec, Policy};
//! use mkto_audit::ledger::Ledger;
//! use mkto_audit::leases::{SharedLeases, Terms};
//! use mkto_audit::marketo::{Client, ClientOptions, Clock, ReadLeads};
//! use mkto_audit::merge::{self, Confirmed, Hold, Merge, Settings};
//! use mkto_audit::scan::{self, PageScan};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn Error>> {
//! # let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! # let mut options = mkto_sandbox::Options { rate_limit: 1_000, ..Default::default() };
//! # options.set_knob("clock_speed=60")?;
//! # let sandbox = mkto_sandbox::Sandbox::start(listener, options)?;
//! # let folder = tempfile::tempdir()?;
//! # let folder = folder.path();
//! // Ada is two records, and each knows something else of her.
//! sandbox.put_lead(&serde_json::json!({"email": "ada@example.com", "city": "London"}));
//! sandbox.put_lead(&serde_json::json!({"email": "Ada@example.com", "unsubscribed": true}));
//!
//! let options = ClientOptions::new(sandbox.base_url().parse()?)
//!     .credentials(sandbox.client_id(), sandbox.client_secret())
//!     // Both are for a practice instance alone.
//!     .rate(1_000, Duration::from_secs(20))
//!     .clock(Clock::sped_up(60));
//! let client = Client::new(options)?;
//!
//! // Scan: every lead into a file that may be lost.
//! let schema = client.describe().await?;
//! let key = KeySpec::default().by_schema(|field| schema.data_type(field));
//! let fields = scan::fields_to_read(&[], &schema)?;
//! let log = scan::activity_log(&client).await?;
//! let mut cache = Cache::open(&folder.join("cache.db"), "sandbox")?;
//! let pages = PageScan::new(&fields, &key, log, Utc::now);
//! scan::scan_pages(&client, &mut cache, &pages, &()).await?;
//!
//! // Plan: what would be done, group by group. It is kept in a file that must not be lost.
//! let mut ledger = Ledger::open(&folder.join("ledger.db"), "sandbox")?;
//! let leases = SharedLeases::memory(Terms::default());
//! let hold = Hold::new(leases, "sandbox".to_owned());
//! let settings = Settings::new(client.clock(), Utc::now, hold);
//! let mut merge = Merge::new(&client, &mut ledger, settings).await?;
//! let groups = merge::candidates(&cache)?;
//! let policy = Policy { key, ..Policy::default() };
//! let plan = merge.plan(&groups, policy, "sandbox".to_owned(), usize::MAX).await?;
//! let ada = plan.groups[0].winner;
//!
//! // Merge: a plan that somebody has looked at, as it is or not at all.
//! let report = merge.carry_out(Confirmed::new(plan), &mut ()).await;
//! assert_eq!(report.removed(), 1);
//!
//! let kept = sandbox.lead(ada).unwrap().fields;
//! assert_eq!(kept["city"], "London");
//! assert_eq!(kept["unsubscribed"], true);
//! # Ok(())
//! # }
//! ```
//!
//! `examples/merge_duplicates.rs` tells it at length, and `examples/guarded_upsert.rs` shows two
//! writers behind the guard.
//!
//! # Where to start
//!
//! - Call Marketo, within its limits and without guessing: [`marketo::Client`], set up by
//!   [`marketo::ClientOptions`].
//! - Read an instance into a cache: [`scan::scan_pages`], or [`scan::scan_bulk`] for a large one;
//!   then [`scan::refresh`].
//! - Show the duplicates: [`report::Collector`], which takes the groups of a [`cache::Cache`].
//! - Let people decide: [`merge::Merge::make_plan`], then [`review::PlanReview`].
//! - Plan and merge: [`merge::Merge`] with [`plan`](merge::Merge::plan), [`merge::Confirmed`] and
//!   [`carry_out`](merge::Merge::carry_out).
//! - Write without making duplicates: [`guard::serve`], a proxy in front of Marketo that
//!   [`guard::ProxySettings`] describe; [`guard::write_file`] for records at hand.
//!
//! # The map
//!
//! From the top; a module leans on those below it, never on a sibling:
//!
//! - [`config`]: flags, environment, file and defaults, made into one configuration.
//! - [`repair`], [`review`]: what runs did, told from the ledger; what people decide about a plan,
//!   and who approves it.
//! - [`probe`]: measures on test people what Adobe leaves open, for exact predictions.
//! - [`scan`], [`merge`], [`guard`], [`report`]: fill the cache; carry a plan out; let one write of
//!   a key be in flight at a time; show what is in the cache.
//! - [`leases`]: who may write a key; merges, upserts and the guard share them.
//! - [`cache`], [`ledger`], [`marketo`], [`dedupe`]: the file that may be lost; the file that may
//!   not; the REST API; the decisions, pure.
//! - [`table`], [`lead`]: CSV, text and workbooks as rows; the words that all of them share.
//!
//! Beside them stands the crate [`mkto_sandbox`]. It depends on nothing in this one: a misreading
//! of the API in the client must not hide in what the client is tested against.

mod accept;
mod boot_clock;
pub mod cache;
mod cancel;
#[doc(hidden)]
pub mod cli;
pub mod config;
pub mod dedupe;
mod embed;
pub mod guard;
pub mod lead;
pub mod leases;
pub mod ledger;
pub mod marketo;
pub mod merge;
pub mod probe;
pub mod repair;
pub mod report;
pub mod review;
pub mod scan;
mod sqlite;
pub mod table;
mod terminal;
