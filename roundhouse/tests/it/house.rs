//! A server with wallets in a process of their own, on a directory of its own; and what a bet is worth, in
//! arithmetic of these tests alone.
//!
//! With `ROUNDHOUSE_TEST_PLANTED=<name>` in the environment every server has that guard broken: the way to
//! see that a test notices.

use http::Method;
use partner_kit::faults::{FaultSettings, SplitMix};
use roundhouse::audit::books::{BetLine, Books, Movement};
use roundhouse::audit::report::Report;
use roundhouse::audit::{audit, journal, load};
use roundhouse::config::{Config, EngineKind, Profile};
use roundhouse::engine::{self, JOURNALS};
use roundhouse::rig::api::Api;
use roundhouse::rig::keys::{PartnerKey, wallet_keys};
use roundhouse::rig::players::{Told, Wager, place_all, wagers};
use roundhouse::rig::processes::{Wallets, WalletsPlan};
use roundhouse::rig::setup;
use roundhouse::rig::watch::Watch;
use roundhouse::serve::{Opened, Roles, Running, listen, open};
use runtime::cluster::{Cluster, StoreOptions, store, topics};
use runtime::embedded::Embedded;
use runtime::{Clock, SystemClock};
use schemas::bets::{Bet, BetEvent, BetSaid};
use schemas::settlements::Target;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use toml::{Table, Value};

/// The binary under test.
pub(crate) const EXE: &str = env!("CARGO_BIN_EXE_roundhouse");
/// The operator's key.
pub(crate) const OPERATOR_KEY: &str = "an operator's key, long enough";
/// Bound of every wait.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(90);

/// Partners with their keys, wallets, and a configuration that knows them.
pub(crate) struct Street {
    pub(crate) directory: TempDir,
    pub(crate) keys: BTreeMap<String, PartnerKey>,
    pub(crate) wallets: Wallets,
    pub(crate) config: Config,
}

impl Street {
    /// Partners of servers on engine `E`.
    pub(crate) async fn on<E: Ground>(partners: usize, seed: u64, arguments: &[&str]) -> Self {
        let mut street = Self::open(partners, seed, arguments).await;
        E::prepare(&mut street.config).await;
        street
    }

    pub(crate) async fn open(partners: usize, seed: u64, arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let names = setup::partner_names(partners);
        let key = |name: &String| (name.clone(), PartnerKey::of_seed(name, seed));
        let keys: BTreeMap<String, PartnerKey> = names.iter().map(key).collect();
        let mut all = vec!["--opening-balance", "100000000"];
        all.extend(arguments);
        let plan = WalletsPlan {
            exe: PathBuf::from(EXE),
            partners: names,
            keys: wallet_keys(OPERATOR_KEY, &keys),
            journals: journals(directory.path()),
            arguments: all.into_iter().map(ToOwned::to_owned).collect(),
        };
        let wallets = Wallets::start(plan, "127.0.0.1:0").await.unwrap();
        let partners = keys
            .iter()
            .map(|(name, key)| (name.clone(), (key.clone(), wallets.urls[name].clone())));
        let mut config = setup::config(OPERATOR_KEY, &partners.collect()).unwrap();
        config.storage.data_dir = directory.path().to_owned();
        config.dispatcher.call_ms_max = 2_000;
        Self { directory, keys, wallets, config }
    }

    /// Writes the configuration for a process of its own, with the tables of `further` besides.
    pub(crate) fn file(&self, further: &str) -> PathBuf {
        let mut tables: Table = further.parse().unwrap();
        let data_dir = Value::try_from(&self.config.storage.data_dir).unwrap();
        tables.insert(
            "storage".to_owned(),
            Table::from_iter([("data_dir".to_owned(), data_dir)]).into(),
        );
        tables.insert("engine".to_owned(), Value::try_from(&self.config.engine).unwrap());
        tables.insert("cluster".to_owned(), Value::try_from(&self.config.cluster).unwrap());
        let path = self.directory.path().join("roundhouse.toml");
        setup::write(&self.config, tables, &path).unwrap();
        path
    }

    /// Sets switches of every wallet's faults.
    pub(crate) async fn faults(&self, settings: FaultSettings) {
        let settings = serde_json::to_value(settings).unwrap();
        for url in self.wallets.urls.values() {
            let wallet = Api::new(url.clone(), String::new());
            let reply = wallet.call(Method::POST, "/faults", "", Some(&settings)).await.unwrap();
            assert_eq!(reply.status, 200, "{}", reply.body);
        }
    }

    /// The bets of a round, the same for the same seed.
    pub(crate) fn wagers(&self, round: &str, count: usize, seed: u64) -> Vec<Wager> {
        wagers(round, count, &self.keys, 10, SystemClock.now(), &mut SplitMix::new(seed))
    }
}

/// The guard that the environment asks to be broken.
pub(crate) fn planted() -> Option<String> {
    std::env::vars().find(|(name, _)| name == "ROUNDHOUSE_TEST_PLANTED").map(|(_, bug)| bug)
}

pub(crate) fn journals(data_dir: &Path) -> PathBuf {
    data_dir.join(JOURNALS)
}

/// An engine on which scenarios are played.
pub(crate) trait Ground: Opened {
    /// How often a scenario of kills kills.
    const KILLS: usize;
    /// Ms that a process needs from its start until it works.
    const STARTS_MS: u64;

    /// Makes what the engine needs to be opened with `config`, and sets it there.
    async fn prepare(config: &mut Config);

    /// Opens the engine.
    async fn open(config: &Config) -> Self;

    /// Consumers of Kafka that fetch for it.
    fn consumers(&self) -> usize;
}

impl Ground for Embedded {
    const KILLS: usize = 25;
    const STARTS_MS: u64 = 0;

    async fn prepare(config: &mut Config) {
        config.engine.kind = EngineKind::Embedded;
    }

    async fn open(config: &Config) -> Self {
        open::embedded(config).await.unwrap()
    }

    fn consumers(&self) -> usize {
        0
    }
}

impl Ground for Cluster {
    const KILLS: usize = 8;
    /// It joins its groups, which were another life's.
    const STARTS_MS: u64 = 5_000;

    /// Topics and tables of its own on the servers that all tests share.
    async fn prepare(config: &mut Config) {
        let servers = tokio::task::spawn_blocking(stack::servers).await.unwrap();
        on_servers(config, Profile::Single, &servers.kafka, vec![servers.store.clone()]).await;
    }

    async fn open(config: &Config) -> Self {
        open::cluster(config).await.unwrap()
    }

    fn consumers(&self) -> usize {
        Self::consumers(self)
    }
}

/// Makes topics and tables of its own on these servers and sets `config` to them.
pub(crate) async fn on_servers(
    config: &mut Config,
    profile: Profile,
    brokers: &str,
    store_nodes: Vec<String>,
) {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("t{}_{number}_{}", std::process::id(), SystemClock.now());
    config.engine.kind = EngineKind::Cluster;
    config.cluster.profile = profile;
    config.cluster.brokers = brokers.to_owned();
    config.cluster.store_nodes = store_nodes;
    config.cluster.given_addresses_only = true;
    config.cluster.namespace = format!("{name}.");
    config.cluster.keyspace = name.clone();
    config.cluster.instance = name;
    let kafka = topics::Kafka { brokers: brokers.to_owned(), properties: BTreeMap::new() };
    let catalogue = engine::catalogue_cluster().in_namespace(&config.cluster.namespace);
    topics::apply(&kafka, open::profile(&config.cluster), &catalogue).await.unwrap();
    let options = StoreOptions {
        nodes: config.cluster.store_nodes.clone(),
        keyspace: config.cluster.keyspace.clone(),
        given_addresses_only: true,
    };
    store::migrate(&options, open::profile(&config.cluster)).await.unwrap();
}

/// A server in this process.
pub(crate) struct House<E: Ground = Embedded> {
    pub(crate) api: Api,
    pub(crate) watch: Watch<E>,
    pub(crate) running: Running<E>,
}

impl<E: Ground> House<E> {
    pub(crate) async fn open(config: &Config) -> Self {
        if let Some(bug) = planted() {
            planted::arm_process(bug.parse().unwrap());
        }
        let listener = listen(config).await.unwrap();
        let engine = E::open(config).await;
        let running = Running::with(config, listener, engine, &Roles::all()).await.unwrap();
        let api = Api::new(format!("http://{}", running.address), OPERATOR_KEY.to_owned());
        api.ready(WAIT_MAX).await.unwrap();
        Self { api, watch: Watch::start(running.engine().clone()), running }
    }

    /// Plays a round up to its close and says what clients were told.
    pub(crate) async fn bet(&self, round: &str, wagers: Vec<Wager>) -> Told {
        self.api.open_die(round, 60_000, 200).await.unwrap();
        let told = place_all(&self.api, wagers, 64, &Arc::new(AtomicUsize::new(0))).await;
        self.api.close(round).await.unwrap();
        told
    }

    /// Runs a command of the binary against this server, as the operator with this key.
    pub(crate) fn command(&self, key: &str, arguments: &[&str]) -> Output {
        let target = format!("http://{}", self.running.address);
        let mut command = Command::new(EXE);
        command.args(arguments).args(["--target", &target, "--json"]);
        command.env("ROUNDHOUSE_OPERATOR_KEY", key).output().unwrap()
    }

    /// Waits until nothing is undecided or owed.
    pub(crate) async fn settled(&self) {
        assert!(self.watch.settled(WAIT_MAX).await, "still owed: {:?}", self.watch.seen().owed);
    }

    pub(crate) async fn close(self) {
        drop(self.watch);
        self.running.stop().await.unwrap();
    }
}

/// Log, store and journals, once no server runs.
pub(crate) async fn books<E: Ground>(street: &Street) -> Books {
    let engine = E::open(&street.config).await;
    let mut books = load::read(&engine, E::PARTITIONS).await.unwrap();
    Opened::close(&engine).await;
    books.journals = Some(journal::read_all(&[journals(street.directory.path())]).unwrap());
    books
}

/// The audit at rest, which must be clean.
pub(crate) async fn clean<E: Ground>(street: &Street) -> (Books, Report) {
    let books = books::<E>(street).await;
    let report = audit(&books, true).unwrap();
    assert!(report.clean, "{report}");
    assert!(0 < report.checked);
    (books, report)
}

/// Every movement of the wallets.
pub(crate) fn movements(books: &Books) -> impl Iterator<Item = &Movement> {
    books.journals.iter().flat_map(BTreeMap::values).flatten()
}

/// What all movements of each bet sum to, in minor units.
pub(crate) fn nets(books: &Books) -> BTreeMap<String, i128> {
    let mut nets = BTreeMap::new();
    for movement in movements(books) {
        *nets.entry(movement.bet.clone()).or_default() += i128::from(movement.moved);
    }
    nets
}

/// Everything that was said about bets, with partition and offset.
pub(crate) fn bet_events(books: &Books) -> impl Iterator<Item = (usize, u64, &BetEvent)> {
    books.bets.iter().enumerate().flat_map(|(partition, lines)| {
        lines.iter().map(move |(at, line)| match line {
            BetLine::Said(event) => (partition, *at, event),
            BetLine::Unread(unread) => panic!("{partition}/{at} is not to be read: {unread:?}"),
        })
    })
}

/// Every bet that was placed.
pub(crate) fn placed(books: &Books) -> BTreeSet<String> {
    let intent = |said: &BetSaid| match said {
        BetSaid::Intent(intent) => Some(intent.bet.id.to_string()),
        BetSaid::Answer { .. }
        | BetSaid::Cancel { .. }
        | BetSaid::Marker(_)
        | BetSaid::Tick
        | BetSaid::Thaw { .. } => None,
    };
    bet_events(books).filter_map(|(_, _, event)| intent(&event.said)).collect()
}

/// The bets of a round that wallets hold or held, and that were not taken back or rejected.
pub(crate) fn held(books: &Books, round: &str) -> BTreeMap<String, Bet> {
    let with = |revision: u32, target: Target| {
        let of =
            movements(books).filter(move |m| m.revision == revision && m.target == Some(target));
        of.map(|movement| movement.bet.clone()).collect::<Vec<_>>()
    };
    let mut bets = BTreeMap::new();
    for (_, _, event) in bet_events(books) {
        if let BetSaid::Intent(intent) = &event.said
            && intent.bet.id.round_str() == round
        {
            bets.insert(intent.bet.id.to_string(), intent.bet.clone());
        }
    }
    let taken = with(1, Target::Held);
    bets.retain(|bet, _| taken.contains(bet));
    for bet in with(2, Target::Voided) {
        bets.remove(&bet);
    }
    bets
}

/// Whether a selection of the die wins.
pub(crate) fn wins(selection: &str, thrown: u32) -> bool {
    match selection {
        "odd" => thrown % 2 == 1,
        "even" => thrown.is_multiple_of(2),
        "low" => thrown <= 3,
        "high" => 4 <= thrown,
        number => number == thrown.to_string(),
    }
}

/// The payout of a bet in minor units, stake included; fractions of a minor unit are not paid.
pub(crate) fn payout(bet: &Bet, thrown: u32) -> i128 {
    let paid = i128::from(bet.stake.units) * i128::from(bet.odds.hundredths()) / 100;
    if wins(bet.selection.as_str(), thrown) { paid } else { 0 }
}
