//! The configuration: one typed value, read once at start.
//!
//! `config.default.toml`, embedded in the binary, documents every key and holds every default. A file,
//! then the environment, then flags override it. A key that is not there is refused with its path.

mod engine;
#[cfg(test)]
mod tests;

pub use engine::{Cluster, Engine, EngineFlags, EngineKind, Profile};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// The defaults, with a comment for each key.
pub const DEFAULTS: &str = include_str!("config.default.toml");
/// Variables of the environment begin with this.
const PREFIX: &str = "ROUNDHOUSE__";
/// Days a record is kept at least: corrections come for 30 days, retries for 35.
const RETENTION_DAYS_MIN: u32 = 35;

/// Everything the server is told from outside.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The HTTP side.
    pub server: Server,
    /// What carries the log and the facts.
    pub engine: Engine,
    /// The servers of the cluster engine.
    pub cluster: Cluster,
    /// The data directory.
    pub storage: Storage,
    /// Bet placing.
    pub placing: Placing,
    /// The settlers.
    pub settler: Settler,
    /// The reconcilers.
    pub reconciler: Reconciler,
    /// The dispatchers.
    pub dispatcher: Dispatcher,
    /// The simple APIs.
    pub simple: Simple,
    /// Logs.
    pub telemetry: Telemetry,
    /// Who may speak about rounds.
    pub operators: Vec<Operator>,
    /// The bookmakers.
    pub partners: Vec<Partner>,
}

/// The HTTP side.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Address and port.
    pub listen: SocketAddr,
    /// Connections held at once.
    pub connections_max: usize,
    /// Longest wait for the head of a request, in ms.
    pub header_wait_ms_max: u64,
    /// Longest wait for requests in flight at shutdown, in ms.
    pub drain_wait_ms_max: u64,
}

/// The data directory.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Storage {
    /// Where everything is kept.
    pub data_dir: PathBuf,
    /// Days after which records are deleted.
    pub retention_days: u32,
    /// Free MiB below which new bets are refused.
    pub reserve_mb: u64,
    /// MiB of pages in memory.
    pub cache_mb: usize,
}

/// Bet placing.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Placing {
    /// Longest wait of a client for its decision, in ms.
    pub answer_within_ms: i64,
    /// Budget of one authorize, in ms.
    pub attempt_ms: u32,
    /// Authorizes of one bet.
    pub attempts_max: u32,
    /// Bets in flight.
    pub in_flight_max: usize,
    /// Bets in flight of one partner.
    pub partner_in_flight_max: usize,
}

/// The settlers.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settler {
    /// Rounds kept in memory in each partition.
    pub rounds_kept: usize,
}

/// The reconcilers.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reconciler {
    /// Age in s at which a settlement without a final answer is said again.
    pub stale_s: i64,
    /// Shortest time in s between two repeats of one settlement.
    pub repeat_s: i64,
}

/// The dispatchers.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dispatcher {
    /// Items of one request.
    pub chunk_items_max: usize,
    /// Requests to one partner on their way, per kind of traffic.
    pub chunks_in_flight_max: usize,
    /// Longest wait for the answer to a request, in ms.
    pub call_ms_max: u64,
    /// Other waits than those of the tiers' names, for benches and tests, which have no hours. It is no
    /// key for operators, and has no default.
    #[serde(skip)]
    pub retries: Option<Retries>,
}

/// How long retries wait and go on.
#[derive(Clone, Copy, Debug)]
pub struct Retries {
    /// How long a record rests in each tier, in ms.
    pub tier_wait_ms: [u64; schemas::catalogue::TIERS],
    /// Age in ms from which it rests in the last tier alone.
    pub last_tier_after_ms: u64,
    /// Age in ms from which it is parked.
    pub park_after_ms: u64,
}

/// The simple APIs.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Simple {
    /// Whether anybody may call /line-provider.
    pub open: bool,
    /// The partner whose player bets through /bet-maker; empty for nobody.
    pub partner: String,
    /// The player.
    pub player: String,
    /// The player's currency.
    pub currency: String,
    /// The secret behind the partner's `token_key`, base64url of 32 bytes.
    pub partner_secret: String,
}

impl std::fmt::Debug for Simple {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Simple");
        shown.field("open", &self.open).field("partner", &self.partner);
        shown.field("player", &self.player).field("currency", &self.currency);
        shown.finish_non_exhaustive()
    }
}

/// Logs.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Telemetry {
    /// Level or directives.
    pub log: String,
}

/// A person or feed that may speak about rounds.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operator {
    /// The name, which becomes the actor of what they say.
    pub name: String,
    /// The key.
    pub key: String,
}

impl std::fmt::Debug for Operator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Operator").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A bookmaker.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Partner {
    /// The partner's id.
    pub id: String,
    /// Base URL of the wallet.
    pub wallet_url: String,
    /// Public key of players' tokens, base64url of 32 bytes.
    pub token_key: String,
    /// The currencies it takes bets in.
    pub currencies: Vec<CurrencyLimits>,
}

/// What a partner takes in one currency, in minor units.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CurrencyLimits {
    /// The code.
    pub currency: String,
    /// Decimals between minor and major unit.
    pub exponent: u8,
    /// The smallest stake.
    pub stake_min_units: i64,
    /// The largest stake.
    pub stake_max_units: i64,
    /// The largest payout of one bet.
    pub payout_max_units: i64,
    /// The largest sum of open payouts of one round.
    pub liability_max_units: i64,
}

/// What flags override.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `--listen`.
    pub listen: Option<SocketAddr>,
    /// `--data-dir`.
    pub data_dir: Option<PathBuf>,
    /// `--log`.
    pub log: Option<String>,
    /// `--engine` and where its servers are.
    pub engine: EngineFlags,
}

impl Config {
    /// Reads defaults, `file` and `environment`, applies `flags`, and checks the whole.
    ///
    /// # Errors
    /// Names the layer and the path of what is wrong, and says what to do.
    pub fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
        flags: Overrides,
    ) -> anyhow::Result<Self> {
        let mut merged: Table = DEFAULTS.parse().context("the embedded defaults do not parse")?;
        if let Some(path) = file {
            let name = path.display();
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("the configuration {name} cannot be read"))?;
            let table: Table =
                text.parse().with_context(|| format!("the configuration {name} is not TOML"))?;
            merge(&mut merged, table);
        }
        for (name, value) in environment {
            if let Some(path) = name.strip_prefix(PREFIX) {
                let keys: Vec<String> = path.split("__").map(str::to_lowercase).collect();
                set(&mut merged, &keys, from_text(&value)).with_context(|| {
                    format!("the environment variable {name} names no configuration key")
                })?;
            }
        }
        let mut config: Self = merged.try_into().context(
            "the configuration is wrong; `roundhouse serve --print-config` shows every key",
        )?;
        flags.apply(&mut config)?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> anyhow::Result<()> {
        let storage = &self.storage;
        if storage.retention_days < RETENTION_DAYS_MIN {
            bail!(
                "storage.retention_days is {}; it must be at least {RETENTION_DAYS_MIN}, because \
                 corrections come for 30 days and retries for 35",
                storage.retention_days
            );
        }
        if self.engine.kind == EngineKind::Cluster {
            self.cluster.check()?;
        }
        let positive = [
            ("server.connections_max", self.server.connections_max),
            ("placing.in_flight_max", self.placing.in_flight_max),
            ("placing.partner_in_flight_max", self.placing.partner_in_flight_max),
            ("dispatcher.chunk_items_max", self.dispatcher.chunk_items_max),
            ("dispatcher.chunks_in_flight_max", self.dispatcher.chunks_in_flight_max),
            ("settler.rounds_kept", self.settler.rounds_kept),
        ];
        if let Some((name, _)) = positive.iter().find(|(_, number)| *number == 0) {
            bail!("{name} must be at least 1");
        }
        if schemas::contract::STATE_ITEMS_MAX < self.dispatcher.chunk_items_max {
            let most = schemas::contract::STATE_ITEMS_MAX;
            bail!("dispatcher.chunk_items_max must be at most {most}: partners take no more");
        }
        let mut seen = BTreeSet::new();
        for (index, partner) in self.partners.iter().enumerate() {
            if !seen.insert(&partner.id) {
                bail!("partners[{index}].id: there are two partners {}", partner.id);
            }
            if partner.currencies.is_empty() {
                bail!("partners[{index}].currencies: {} takes bets in none", partner.id);
            }
        }
        Ok(())
    }
}

impl Overrides {
    fn apply(self, config: &mut Config) -> anyhow::Result<()> {
        let Self { listen, data_dir, log, engine } = self;
        config.server.listen = listen.unwrap_or(config.server.listen);
        if let Some(data_dir) = data_dir {
            config.storage.data_dir = data_dir;
        }
        if let Some(log) = log {
            config.telemetry.log = log;
        }
        engine.apply(&mut config.engine, &mut config.cluster)
    }
}

/// Tables are merged key by key; anything else replaces what was there.
fn merge(into: &mut Table, from: Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Table(inner)), Value::Table(value)) => merge(inner, value),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

fn set(table: &mut Table, keys: &[String], value: Value) -> anyhow::Result<()> {
    let (key, rest) = keys.split_first().context("it has no key")?;
    let found = table.get_mut(key).with_context(|| format!("there is no `{key}`"))?;
    if rest.is_empty() {
        *found = value;
        return Ok(());
    }
    let inner = found.as_table_mut().with_context(|| format!("`{key}` has no keys below it"))?;
    set(inner, rest, value)
}

/// A value of the environment: TOML where it parses, plain text where not.
fn from_text(text: &str) -> Value {
    let line = format!("value = {text}");
    let parsed = line.parse::<Table>().ok().and_then(|mut table| table.remove("value"));
    parsed.unwrap_or_else(|| Value::String(text.to_owned()))
}
