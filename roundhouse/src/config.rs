//! The configuration: one typed value, read at the start, and again at a SIGHUP for its operators alone.
//!
//! `config.default.toml`, embedded in the binary, documents every key and holds every default. A file,
//! then the environment, then flags override it. Everything that is wrong is told at once, with its path; a
//! key that nobody reads is wrong.

mod check;
mod engine;
mod finding;
mod fixed;
mod layers;
mod read;
mod secret;
mod show;
#[cfg(test)]
mod tests;
mod wallets;

pub use engine::{Cluster, Engine, EngineFlags, EngineKind, Profile};
pub use finding::{Finding, Findings};
pub use fixed::Fixed;
pub use secret::REDACTED;
pub use wallets::Wallets;

use check::check;
use layers::Layers;
use read::read;
use schemas::Currency;
use schemas::partners::StateCalls;
use serde::{Deserialize, Serialize};
use show::show;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use toml::Table;

/// The defaults, with a comment for each key.
pub const DEFAULTS: &str = include_str!("config.default.toml");
/// Variables of the environment begin with this.
const PREFIX: &str = "ROUNDHOUSE__";

/// Everything the server is told from outside.
#[derive(Clone, Debug, Serialize, Deserialize)]
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
    /// What opens a case, and who is told.
    pub cases: Cases,
    /// The dispatchers.
    pub dispatcher: Dispatcher,
    /// When a partner's betting is paused by itself.
    pub pausing: Pausing,
    /// Which wallets may be called, and how.
    pub wallets: Wallets,
    /// Signatures of messages to partners.
    pub signing: Signing,
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
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Address and port of the API.
    pub listen: SocketAddr,
    /// Address and port for those who run the process.
    pub admin_listen: SocketAddr,
    /// Connections held at once.
    pub connections_max: usize,
    /// Longest wait for the head of a request, in ms.
    pub header_wait_ms_max: u64,
    /// How long readiness is refused before the API stops, in ms.
    pub drain_notice_ms: u64,
    /// Longest wait for requests in flight at shutdown, in ms.
    pub drain_wait_ms_max: u64,
}

/// The data directory.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Storage {
    /// Where everything is kept.
    #[serde(serialize_with = "fixed::path")]
    pub data_dir: PathBuf,
    /// Days after which records are deleted.
    pub retention_days: u32,
    /// Free MiB below which new bets are refused.
    pub reserve_mb: u64,
    /// MiB of pages in memory.
    pub cache_mb: usize,
}

/// Bet placing.
#[derive(Clone, Debug, Serialize, Deserialize)]
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
    /// Requests to one partner on their way at once.
    pub partner_calls_max: usize,
    /// Stakes a second of one partner that has no rate of its own; 0 for no limit.
    pub stakes_per_s_max: u32,
}

/// The settlers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settler {
    /// Rounds kept in memory in each partition.
    pub rounds_kept: usize,
}

/// The reconcilers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reconciler {
    /// Age in s of a result at which its round is first closed with partners.
    pub close_after_s: i64,
    /// Age in s at which a settlement without a final answer is said again.
    pub stale_s: i64,
    /// Shortest time in s between two repeats of one settlement.
    pub repeat_s: i64,
    /// Time in which every round that may still be corrected is compared with its partners again, s.
    pub cycle_s: i64,
}

/// What opens a case, and who is told.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cases {
    /// Age of a round's close in s at which a missing result is a case.
    pub result_overdue_s: i64,
    /// Percent of a round's stakes that its payouts may be.
    pub payout_percent_max: u64,
    /// Bets of a round in one currency below which payouts say nothing.
    pub payout_bets_min: u64,
    /// URL that gets each case; empty for none.
    pub webhook_url: String,
    /// Value of the header Authorization there; empty for none.
    pub webhook_authorization: String,
}

impl std::fmt::Debug for Cases {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cases").field("webhook_url", &self.webhook_url).finish_non_exhaustive()
    }
}

/// The dispatchers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dispatcher {
    /// Items of one request.
    pub chunk_items_max: usize,
    /// Requests to one partner on their way, per kind of traffic.
    pub chunks_in_flight_max: usize,
    /// Requests a second to one partner, per kind of traffic; 0 for no limit.
    pub calls_per_s_max: u32,
    /// Requests a second to one partner with corrections; 0 for no limit but the one above.
    pub corrections_per_s_max: u32,
    /// Longest wait for the answer to a request, in ms.
    pub call_ms_max: u64,
    /// Other waits than those of the tiers' names, for benches and tests, which have no hours. It is no
    /// key for operators, and has no default.
    #[serde(skip)]
    pub retries: Option<Retries>,
}

/// When the betting of one partner is paused by itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pausing {
    /// Seconds for which a void that failed may go unconfirmed.
    pub void_s: u64,
    /// Rounds of which something may have failed and be unconfirmed.
    pub failed_rounds: usize,
    /// What may have failed to be given to players, payouts and stakes, in minor units by currency.
    pub failed_units_max: BTreeMap<Currency, i64>,
    /// Requests for stakes in a row, over at least 3 s, that nobody answers.
    pub failed_stakes: u32,
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

/// Signatures of messages to partners.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signing {
    /// Live secret keys, `whsk_...`; every message is signed with each.
    pub keys: Vec<String>,
}

impl std::fmt::Debug for Signing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signing").finish_non_exhaustive()
    }
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
#[derive(Clone, Debug, Serialize, Deserialize)]
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
    /// What they may do; everything where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roles: Option<Vec<String>>,
}

impl std::fmt::Debug for Operator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Operator");
        shown.field("name", &self.name).field("roles", &self.roles).finish_non_exhaustive()
    }
}

/// A bookmaker.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Partner {
    /// The partner's id.
    pub id: String,
    /// Base URL of the wallet.
    pub wallet_url: String,
    /// Public key of players' tokens, base64url of 32 bytes.
    pub token_key: String,
    /// Public keys of the wallet's replies, `whpk_...`.
    #[serde(default)]
    pub reply_keys: Vec<String>,
    /// Secrets shared with the partner, `whsec_...`, with which both sign instead (HMAC).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shared_secrets: Vec<String>,
    /// State calls a second that the wallet takes, per kind of traffic; none for what `dispatcher` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls_per_s: Option<NonZeroU32>,
    /// Stakes that it is asked for in a second by each process that takes bets; none for what `placing` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stakes_per_s: Option<NonZeroU32>,
    /// Items that a state call may carry; none for as many as the contract has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items_max: Option<NonZeroU32>,
    /// Bytes that the body of a state call may have before it is packed; none for as many as the contract has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_max: Option<NonZeroU32>,
    /// Whether the body of a state call may be packed.
    #[serde(default)]
    pub gzip: bool,
    /// The currencies it takes bets in.
    pub currencies: Vec<CurrencyLimits>,
}

impl Partner {
    /// What a state call to its wallet may be.
    pub fn state_calls(&self) -> StateCalls {
        StateCalls { items_max: self.items_max, bytes_max: self.bytes_max, gzip: self.gzip }
    }
}

impl std::fmt::Debug for Partner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Partner");
        shown.field("id", &self.id).field("wallet_url", &self.wallet_url);
        shown.field("token_key", &self.token_key).field("reply_keys", &self.reply_keys);
        shown.field("currencies", &self.currencies).finish_non_exhaustive()
    }
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
    /// `--admin-listen`.
    pub admin_listen: Option<SocketAddr>,
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
    /// [`Findings`] with everything that is wrong, each with its path; or that the file cannot be read, or
    /// flags do not go together.
    pub fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
        flags: Overrides,
    ) -> anyhow::Result<Self> {
        let mut layers = Layers::read(file, environment)?;
        let findings = std::mem::take(&mut layers.findings);
        Self::of(layers.merged, findings, flags)
    }

    /// The configuration in force as TOML, without secrets, and each value with where it came from.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn shown(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> anyhow::Result<String> {
        let mut layers = Layers::read(file, environment)?;
        let findings = std::mem::take(&mut layers.findings);
        Self::of(layers.merged.clone(), findings, Overrides::default())?;
        Ok(show(&layers))
    }

    /// Checks the files that are named, and what depends on them.
    ///
    /// # Errors
    /// [`Findings`].
    pub fn check_files(&self) -> Result<(), Findings> {
        let outbound = self.wallets.outbound()?;
        let mut findings = Vec::new();
        for (index, partner) in self.partners.iter().enumerate() {
            if let Err(error) = outbound.checked(&partner.wallet_url) {
                let path = format!("partners[{index}].wallet_url");
                findings.push(Finding::new(path, error.to_string()));
            }
        }
        if findings.is_empty() { Ok(()) } else { Err(Findings(findings)) }
    }

    fn of(merged: Table, mut findings: Vec<Finding>, flags: Overrides) -> anyhow::Result<Self> {
        let (config, misfits) = read(merged);
        let Some(mut config) = config else {
            findings.extend(misfits);
            return Err(Findings(findings).into());
        };
        flags.apply(&mut config)?;
        // Of a value that stands in for another nothing is said.
        let stands_in = |finding: &Finding| misfits.iter().any(|one| finding.is_within(&one.path));
        let wrong = check(&config).into_iter().filter(|finding| !stands_in(finding));
        let wrong: Vec<Finding> = wrong.collect();
        findings.extend(misfits);
        findings.extend(wrong);
        if findings.is_empty() { Ok(config) } else { Err(Findings(findings).into()) }
    }
}

impl Overrides {
    fn apply(self, config: &mut Config) -> anyhow::Result<()> {
        let Self { listen, admin_listen, data_dir, log, engine } = self;
        let server = &mut config.server;
        server.listen = listen.unwrap_or(server.listen);
        server.admin_listen = admin_listen.unwrap_or(server.admin_listen);
        if let Some(data_dir) = data_dir {
            config.storage.data_dir = data_dir;
        }
        if let Some(log) = log {
            config.telemetry.log = log;
        }
        engine.apply(&mut config.engine, &mut config.cluster)
    }
}
