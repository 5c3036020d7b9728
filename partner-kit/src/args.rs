//! The command lines of `roundhouse wallet` and `roundhouse misbehave`.

mod misbehave;

pub use misbehave::MisbehaveArgs;

use crate::faults::FaultSettings;
use crate::journal::Durability;
use crate::register::{ClawBack, LedgerOptions};
use crate::signed::{Keyring, KeysError};
use crate::takes::Takes;
use crate::wallet::{Clock, Keep, Orders, WalletOptions};
use clap::{Args, ValueEnum};
use schemas::contract::{STATE_BYTES_MAX, STATE_ITEMS_MAX};
use schemas::{Currency, PartnerId};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  Three partners on ports 9100, 9101 and 9102:
    roundhouse wallet --keys keys.json --partner p01 --partner p02 --partner p03 --journal-dir ./wallets

  A partner that loses one answer in ten after it has moved the money:
    roundhouse wallet --keys keys.json --partner p01 --journal-dir ./wallets \\
      --timeout-after-apply-rate 100

  Make a running wallet behave again, and see what it did:
    curl -X POST http://127.0.0.1:9100/faults -d '{\"timeout_after_apply_rate\":0}'
    curl http://127.0.0.1:9100/stats

  Give a player 50.00 EUR:
    curl -X POST http://127.0.0.1:9100/players \\
      -d '{\"player\":\"p_9\",\"deposit\":{\"units\":\"5000\",\"currency\":\"EUR\",\"exponent\":2}}'

One JSON line per partner is printed once all of them can be asked:
  {\"partner\":\"p01\",\"url\":\"http://127.0.0.1:9100\"}

The keys, as `roundhouse key` makes them; two of a kind while one takes over from the other:
  {\"platform\":[\"whpk_...\"],\"partners\":{\"p01\":[\"whsk_...\"]}}";

/// What happens when a correction takes back more than the player has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ClawBackArg {
    /// The balance goes below zero
    Negative,
    /// What is there is taken; the rest is a shortfall of the bet
    CollectAvailable,
}

impl From<ClawBackArg> for ClawBack {
    fn from(arg: ClawBackArg) -> Self {
        match arg {
            ClawBackArg::Negative => Self::Negative,
            ClawBackArg::CollectAvailable => Self::CollectAvailable,
        }
    }
}

/// Keys as JSON. Its `Debug` shows nothing of them.
#[derive(Clone)]
pub struct KeysJson(String);

impl From<String> for KeysJson {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl std::fmt::Debug for KeysJson {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeysJson(..)")
    }
}

/// Run reference wallets: the bookmaker's side of the partner contract
///
/// Each partner gets a wallet of its own, on a port of its own, with a journal of every movement in
/// <journal-dir>/<partner>.jsonl, on disk before an answer leaves. Players exist from the first time
/// they are named.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub struct WalletArgs {
    /// A partner to serve; give it once per partner
    #[arg(long = "partner", value_name = "NAME", required = true)]
    pub partners: Vec<PartnerId>,
    /// Address of the first partner; the others get the next ports. Port 0: any free ports
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9100")]
    pub listen: SocketAddr,
    /// Where the journals are; made if it is not there
    #[arg(long, value_name = "DIR", required_unless_present = "in_memory")]
    pub journal_dir: Option<PathBuf>,
    /// JSON file with the platform's public keys and the partners' secret ones
    #[arg(long, value_name = "FILE", required_unless_present = "keys_json")]
    pub keys: Option<PathBuf>,
    /// The JSON itself, from the environment: arguments can be read by others
    #[arg(long, hide = true, env = "ROUNDHOUSE_WALLET_KEYS", hide_env_values = true)]
    pub keys_json: Option<KeysJson>,
    /// Keep no journal: a restart forgets everything. For benches
    #[arg(long, conflicts_with_all = ["journal_dir", "no_fsync"])]
    pub in_memory: bool,
    /// Write the journal but do not wait for the disk: a power loss may forget movements. For benches
    #[arg(long)]
    pub no_fsync: bool,
    /// Minor units that every player starts with
    #[arg(long, value_name = "UNITS", default_value_t = 1_000_000)]
    pub opening_balance: i64,
    /// The currency taken
    #[arg(long, value_name = "CODE", default_value = "EUR")]
    pub currency: Currency,
    /// Decimals between minor and major unit of the currency
    #[arg(long, value_name = "0-8", default_value_t = 2, value_parser = clap::value_parser!(u8).range(0..=8))]
    pub exponent: u8,
    /// What happens when a correction takes back more than the player has
    #[arg(long, value_enum, default_value_t = ClawBackArg::Negative)]
    pub claw_back: ClawBackArg,
    /// Raise it after the journal was restored from a backup; a lower one than the journal's is ignored
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub ledger_epoch: u64,
    /// Requests answered at once by a wallet; one more gets a 503
    #[arg(long, value_name = "N", default_value_t = 4096)]
    pub requests_max: usize,
    /// Items taken in a state call; more get a 413
    #[arg(long, value_name = "N", default_value_t = STATE_ITEMS_MAX, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=500))]
    pub items_max: usize,
    /// Bytes taken in the body of a state call, unpacked; more get a 413
    #[arg(long, value_name = "N", default_value_t = STATE_BYTES_MAX, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(4_096..=262_144))]
    pub bytes_max: usize,
    /// Take state calls that are packed, too
    #[arg(long)]
    pub gzip: bool,
    /// Seed of the faults; the second partner gets the next one, and so on
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Faults, per mille of the calls; all off by default
    #[command(flatten, next_help_heading = "Faults")]
    pub faults: FaultSettings,
}

impl WalletArgs {
    /// The file counts before the environment.
    pub(crate) fn keyring(&self) -> Result<Keyring, KeysError> {
        match &self.keys {
            Some(path) => Keyring::of_file(path),
            None => Keyring::of_json(self.keys_json.as_ref().map_or("", |json| &json.0)),
        }
    }

    /// Where the journals are, if there are any.
    pub(crate) fn directory(&self) -> Option<&Path> {
        if self.in_memory { None } else { self.journal_dir.as_deref() }
    }

    /// The options of each partner's wallet, in the order given.
    pub(crate) fn wallets(
        &self,
        keys: &Keyring,
        orders: &Orders,
        clock: &Clock,
    ) -> Result<Vec<WalletOptions>, KeysError> {
        let seeds = (0..).map(|index| self.seed.wrapping_add(index));
        let wallet = |(partner, seed): (&PartnerId, u64)| {
            Ok(WalletOptions {
                keys: keys.of(partner)?,
                ledger: LedgerOptions {
                    partner: partner.clone(),
                    currencies: BTreeMap::from([(self.currency, self.exponent)]),
                    opening_units: self.opening_balance,
                    claw_back: self.claw_back.into(),
                    ledger_epoch: self.ledger_epoch,
                },
                keep: self.keep(partner),
                faults: self.faults,
                seed,
                requests_max: self.requests_max,
                takes: Takes {
                    items_max: self.items_max,
                    bytes_max: self.bytes_max,
                    gzip: self.gzip,
                },
                clock: Clock::clone(clock),
                orders: orders.clone(),
            })
        };
        self.partners.iter().zip(seeds).map(wallet).collect()
    }

    fn keep(&self, partner: &PartnerId) -> Keep {
        let durability = if self.no_fsync { Durability::NoFsync } else { Durability::Fsync };
        match self.directory() {
            Some(directory) => Keep::File(directory.join(format!("{partner}.jsonl")), durability),
            None => Keep::InMemory,
        }
    }
}
