//! The leases of guards on several machines, in a Postgres that all of them reach.
//!
//! A batch is one transaction under one advisory lock, so that batches come one after another,
//! whichever machine makes them. All times are by the server's clock, which must not be set forward
//! while guards run. Postgres syncs a commit to disk, so that leases outlive its restart. A waiting
//! process hears of a release by `LISTEN` on a connection of its own, and looks now and then in
//! case a notice was lost. A connection that fails is given up. The next batch makes a new one, and
//! also settles a commit whose answer was lost.
//!
//! A failover to a replica that lagged behind, or a backup that is put back, would give a key to
//! two owners. So the tables remember the server and its history ([`IDENTITY`]), and each process
//! remembers how often the tables had been saved. If either shows that an older state is back,
//! nothing is granted until every call that left before is over. One case cannot be seen: a copy of
//! the server's files is put back while no guard runs. Start the guards some minutes later then.
//!
//! Never: lets a password reach a log, an error or a `Debug`; speaks with another machine in the
//! clear unless the address says so (`connect_options`).

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_postgres::{AsyncMessage, Client, Config, GenericClient};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::actor::SharedLeases;
use super::api::Terms;
use super::backend::{Backend, Batch, BatchResult, Failure, new_guard};
use crate::marketo::in_words;

mod connect_options;
mod rows;

pub use connect_options::{AddressError, PostgresAddress};
use rows::Statements;

/// The steps from each format to the next, never edited after their release.
const MIGRATIONS: [&str; 3] = [
    include_str!("0001_leases.postgres.sql"),
    include_str!("0002_shares.postgres.sql"),
    include_str!("0003_keys.postgres.sql"),
];

/// The format after all of them.
const FORMAT: i32 = 3;

/// The statement by which releases are heard; a batch tells them on the same channel.
const LISTEN: &str = "LISTEN mkto_audit_leases";

/// The server's files, its database, and its timeline, which is a new one after each promotion of a
/// replica and after each recovery of a backup to a point in time.
const IDENTITY: &str = "SELECT system_identifier || '/' || (SELECT oid FROM pg_database WHERE datname = current_database()) \
    || '/' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) FROM pg_control_system()";

/// How long a connection may take to come about, and a batch to be done.
const PATIENCE: Duration = Duration::from_secs(5);

/// How soon a release is seen whose notice was lost.
const LOOK: Duration = Duration::from_secs(1);

/// The settings that every batch needs, whatever the server's defaults are. Each statement sees all
/// that was committed before it; without that the lock is of no use. A commit is on disk when it is
/// answered. A machine that vanishes in the middle of a batch does not keep the lock from all
/// others until TCP notices, which takes hours.
const SESSION: &str = "SET default_transaction_isolation = 'read committed'; \
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'; \
    SET idle_in_transaction_session_timeout = '5s'";

/// Between two attempts to listen.
const PAUSE: Duration = Duration::from_millis(500);

/// The connection broke, took too long, or the server refused.
#[derive(Debug, thiserror::Error)]
enum ServerError {
    #[error("no answer within {} s", PATIENCE.as_secs())]
    TooLong,
    #[error(
        "it has leases of format {0}, and this program knows format {FORMAT}; use the newer mkto-audit that made them"
    )]
    Newer(i32),
    #[error(transparent)]
    Postgres(#[from] tokio_postgres::Error),
}

impl SharedLeases {
    /// Leases in the Postgres with this address. It need not be there yet: until it is, every lease
    /// is refused. Needs a runtime. Fails where this system knows no authority by which the
    /// server's certificate could be judged.
    pub fn postgres(address: &PostgresAddress, terms: Terms) -> std::io::Result<Self> {
        let tls = address.tls()?;
        let mut config = address.config().clone();
        config
            .application_name("mkto-audit")
            .connect_timeout(PATIENCE)
            // A server that is gone without a word is noticed by both connections.
            .tcp_user_timeout(PATIENCE * 2)
            .keepalives_idle(PATIENCE);
        let options = ConnectOptions { config, tls };
        let released = Arc::new(Notify::new());
        let listener = tokio::spawn(listen(options.clone(), Arc::clone(&released)));
        let server = Server { options, guard: new_guard(), connected: None, released, listener };
        Ok(Self::start(server, terms))
    }
}

#[derive(Clone)]
struct ConnectOptions {
    config: Config,
    tls: MakeRustlsConnect,
}

/// The server, and the connection to it while there is one.
struct Server {
    options: ConnectOptions,
    guard: i64,
    connected: Option<Connected>,
    released: Arc<Notify>,
    listener: tokio::task::JoinHandle<()>,
}

struct Connected {
    client: Client,
    statements: Statements,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

impl Backend for Server {
    const NAME: &'static str = "postgres";

    async fn carry_out(&mut self, batch: &Batch, terms: Terms) -> Result<BatchResult, Failure> {
        let connected = self.connected.take().filter(|connected| !connected.client.is_closed());
        let (options, guard) = (&self.options, self.guard);
        let work = async {
            let mut connected = match connected {
                Some(connected) => connected,
                None => connect(options).await?,
            };
            let Connected { client, statements } = &mut connected;
            let transaction = client.transaction().await?;
            let result = statements.carry_out(&transaction, guard, batch, terms).await?;
            transaction.commit().await?;
            Ok((connected, result))
        };
        // A connection that a batch did not finish is of no use to the next one.
        let (connected, result) = match tokio::time::timeout(PATIENCE * 2, work).await {
            Ok(done) => done.map_err(|error: ServerError| Arc::new(error) as Failure)?,
            Err(_elapsed) => return Err(Arc::new(ServerError::TooLong)),
        };
        self.connected = Some(connected);
        Ok(result)
    }

    async fn changed(&mut self) {
        // A notice may be lost: then a look finds the release.
        tokio::time::timeout(LOOK, self.released.notified()).await.ok();
    }
}

async fn connect(options: &ConnectOptions) -> Result<Connected, ServerError> {
    let (mut client, connection) = options.config.connect(options.tls.clone()).await?;
    // It ends with its client.
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "the connection to the lease store has ended");
        }
    });
    client.batch_execute(SESSION).await?;
    migrate(&mut client).await?;
    let statements = Statements::prepare(&client, identity(&client).await).await?;
    Ok(Connected { client, statements })
}

/// The identity of the server; empty where this user may not read it.
async fn identity(client: &Client) -> String {
    match client.query_one(IDENTITY, &[]).await {
        Ok(row) => row.get(0),
        Err(error) => {
            tracing::warn!(
                error = in_words(&error),
                "the lease store does not tell which server it is, so a failover to a replica that lags behind is not noticed for certain"
            );
            String::new()
        }
    }
}

/// Brings the tables up to date, from none at all; several guards may come at once.
async fn migrate(client: &mut Client) -> Result<(), ServerError> {
    if format(client).await? < FORMAT {
        let transaction = client.transaction().await?;
        transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&rows::LOCK]).await?;
        // Another guard may have been faster.
        let found = format(&transaction).await?;
        for migration in MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or_default()) {
            transaction.batch_execute(migration).await?;
        }
        transaction.commit().await?;
    }
    let version = format(client).await?;
    if version > FORMAT { Err(ServerError::Newer(version)) } else { Ok(()) }
}

/// The format of the tables; 0 where there are none. The catalogue is read for it, since a look-up
/// by name may still find nothing right after another guard has made them.
async fn format(client: &impl GenericClient) -> Result<i32, tokio_postgres::Error> {
    let known =
        "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = 'mkto_audit_leases')";
    if !client.query_one(known, &[]).await?.get::<_, bool>(0) {
        return Ok(0);
    }
    Ok(client.query_one("SELECT version FROM mkto_audit_leases.format", &[]).await?.get(0))
}

/// Notifies of every release until it is aborted.
async fn listen(options: ConnectOptions, released: Arc<Notify>) {
    loop {
        if let Err(error) = hear(&options, &released).await {
            tracing::debug!(%error, "the lease store is not heard");
        }
        // Releases in between were not heard.
        released.notify_one();
        // A server that is away is not asked without a pause.
        tokio::time::sleep(PAUSE).await;
    }
}

/// Listens until the connection ends.
async fn hear(options: &ConnectOptions, released: &Notify) -> Result<(), tokio_postgres::Error> {
    let (client, mut connection) = options.config.connect(options.tls.clone()).await?;
    let listening = client.batch_execute(LISTEN);
    let mut messages = std::pin::pin!(async {
        while let Some(message) =
            std::future::poll_fn(|context| connection.poll_message(context)).await
        {
            if matches!(message?, AsyncMessage::Notification(_)) {
                released.notify_one();
            }
        }
        Ok::<_, tokio_postgres::Error>(())
    });
    tokio::select! {
        ended = &mut messages => return ended,
        listens = listening => listens?,
    }
    messages.await
}

#[cfg(test)]
mod tests {
    use mkto_testing::cluster::Cluster;

    use super::{ConnectOptions, FORMAT, MIGRATIONS, PostgresAddress, connect, format, rows};
    use crate::leases::{SharedLeases, Terms};

    fn options(address: &str) -> ConnectOptions {
        let address: PostgresAddress = address.parse().unwrap();
        ConnectOptions { config: address.config().clone(), tls: address.tls().unwrap() }
    }

    #[tokio::test]
    async fn a_machine_that_is_gone_in_the_middle_of_a_round_keeps_the_others_waiting_for_seconds_only()
     {
        let Some(cluster) = Cluster::start() else { return };
        let database = cluster.database();
        let mut gone = connect(&options(&database)).await.unwrap();
        let round = gone.client.transaction().await.unwrap();
        round.execute("SELECT pg_advisory_xact_lock($1)", &[&rows::LOCK]).await.unwrap();
        let others = SharedLeases::postgres(&database.parse().unwrap(), Terms::default()).unwrap();
        others.ready().await.unwrap();
        drop(round);
    }

    #[tokio::test]
    async fn guards_that_come_at_once_make_the_tables_once() {
        let Some(cluster) = Cluster::start() else { return };
        for _ in 0..3 {
            let options = options(&cluster.database());
            let all = futures::future::join_all((0..8).map(|_| connect(&options))).await;
            for connected in all {
                assert_eq!(format(&connected.unwrap().client).await.unwrap(), FORMAT);
            }
        }
    }

    #[tokio::test]
    async fn tables_of_the_first_format_are_brought_up_to_date_with_the_leases_that_are_in_them() {
        let Some(cluster) = Cluster::start() else { return };
        let options = options(&cluster.database());
        let (administrator, connection) =
            options.config.connect(options.tls.clone()).await.unwrap();
        tokio::spawn(connection);
        administrator.batch_execute(MIGRATIONS[0]).await.unwrap();
        let lease =
            "INSERT INTO mkto_audit_leases.lease VALUES (decode(repeat('00', 32), 'hex'), 1, 2)";
        administrator.batch_execute(lease).await.unwrap();
        assert_eq!(format(&administrator).await.unwrap(), 1);
        // Several guards may come at once.
        let (one, other) = tokio::join!(connect(&options), connect(&options));
        let leases = one
            .unwrap()
            .client
            .query("SELECT 1 FROM mkto_audit_leases.key_state", &[])
            .await
            .unwrap();
        assert_eq!((leases.len(), format(&other.unwrap().client).await.unwrap()), (1, FORMAT));
    }

    #[tokio::test]
    async fn a_guard_of_the_older_format_stops_when_a_newer_one_comes() {
        let Some(cluster) = Cluster::start() else { return };
        let options = options(&cluster.database());
        let (old, connection) = options.config.connect(options.tls.clone()).await.unwrap();
        tokio::spawn(connection);
        old.batch_execute(&MIGRATIONS[..2].concat()).await.unwrap();
        let release =
            old.prepare("DELETE FROM mkto_audit_leases.lease WHERE ends_at <= $1").await.unwrap();
        assert_eq!(old.execute(&release, &[&1_i64]).await.unwrap(), 0);
        connect(&options).await.unwrap();
        assert!(old.execute(&release, &[&1_i64]).await.is_err());
        assert_eq!(format(&old).await.unwrap(), FORMAT, "which it refuses when it connects anew");
    }

    #[tokio::test]
    async fn what_a_batch_counts_on_holds_whatever_the_servers_defaults_are() {
        let Some(cluster) = Cluster::start() else { return };
        let options = options(&cluster.database());
        let (administrator, connection) =
            options.config.connect(options.tls.clone()).await.unwrap();
        tokio::spawn(connection);
        for default in
            ["default_transaction_isolation = 'serializable'", "synchronous_commit = off"]
        {
            administrator
                .batch_execute(&format!("ALTER ROLE postgres SET {default}"))
                .await
                .unwrap();
        }
        let connected = connect(&options).await.unwrap();
        for (setting, needed) in
            [("transaction_isolation", "read committed"), ("synchronous_commit", "on")]
        {
            let row = connected.client.query_one(&format!("SHOW {setting}"), &[]).await.unwrap();
            assert_eq!(row.get::<_, String>(0), needed, "{setting}");
        }
    }
}
