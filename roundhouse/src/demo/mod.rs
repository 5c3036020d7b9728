//! The demo: rounds of thousands of bets over real HTTP, wallets in a process of their own, faults, a
//! cancel, a void, a correction and a withdrawal on the way, and the audit at the end.

pub mod prepared;
mod report;
mod rounds;
mod target;

pub use report::{DemoReport, Figures};
pub use target::{Target, run_against};

use crate::audit::report::Report;
use crate::audit::{audit, journal, load};
use crate::engine::JOURNALS;
use crate::rig::api::Api;
use crate::rig::keys::{PartnerKey, secret, wallet_keys};
use crate::rig::players::Told;
use crate::rig::processes::{OtherWallet, Wallets, WalletsPlan};
use crate::rig::setup;
use crate::rig::watch::{Decided, Watch};
use crate::serve::{Opened, Running};
use anyhow::{Context, anyhow, bail, ensure};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::Instant;

/// How long everything may take to be confirmed once the last result is in.
const SETTLE_WAIT_MAX: Duration = Duration::from_secs(120);
/// Longest wait for a partner's answer to settlements: a silent wallet is asked again soon.
const CALL_MS_MAX: u64 = 2_000;

/// What a demo is to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Rounds to play.
    pub rounds: usize,
    /// Bets of each round.
    pub bets: usize,
    /// Partners, each with a wallet.
    pub partners: usize,
    /// Whether wallets misbehave.
    pub faults: bool,
    /// Seed of bets and faults.
    pub seed: u64,
    /// Requests of players at once.
    pub at_once: usize,
    /// An empty directory for everything.
    pub data_dir: PathBuf,
    /// The binary whose `wallet` is started.
    pub exe: PathBuf,
    /// A command that is the wallet of the last partner, in the place of ours.
    pub wallet_command: Option<String>,
}

/// What every player begins with.
const BALANCE: [&str; 2] = ["--opening-balance", "100000000"];
/// The file with the keys of a wallet that is not ours.
const WALLET_KEYS: &str = "wallet-keys.json";

/// What misbehaving wallets do, per mille of the calls.
pub const FAULTS: &[&str] = &[
    "--jitter-ms",
    "10",
    "--error-500-rate",
    "10",
    "--error-500-after-apply-rate",
    "10",
    "--timeout-after-apply-rate",
    "3",
    "--timeout-ms",
    "3000",
    "--reset-rate",
    "10",
    "--swap-rate",
    "10",
    "--repeat-rate",
    "20",
    "--forge-rate",
    "10",
    "--decline-rate",
    "20",
];

/// Plays the whole demo; the report says whether a cent is amiss.
///
/// # Errors
/// If it could not be played to its end.
pub async fn run(plan: &Plan) -> anyhow::Result<DemoReport> {
    let names = setup::partner_names(plan.partners);
    let keys: BTreeMap<String, PartnerKey> =
        names.iter().map(|name| (name.clone(), PartnerKey::of_seed(name, plan.seed))).collect();
    let operator_key = secret()?;
    let (wallet_keys, mut ours) = (wallet_keys(&operator_key, &keys), names);
    let others = plan.wallet_command.as_ref().and_then(|_| ours.pop());
    ensure!(!ours.is_empty(), "one wallet of two or more may be another (--partners)");
    let wallets_plan = wallets_plan(plan, ours, wallet_keys.clone());
    let mut wallets = Wallets::start(wallets_plan, "127.0.0.1:0").await?;
    let other = match others.as_deref().zip(plan.wallet_command.as_deref()) {
        Some((partner, command)) => Some(other(plan, partner, command, &wallet_keys).await?),
        None => None,
    };
    let with_urls = keys.iter().map(|(name, key)| {
        let other = other.as_ref().map(|other| &other.url);
        let url = wallets.urls.get(name).or(other).cloned().unwrap_or_default();
        (name.clone(), (key.clone(), url))
    });
    let mut config = setup::config(&operator_key, &with_urls.collect())?;
    config.storage.data_dir.clone_from(&plan.data_dir);
    config.dispatcher.call_ms_max = CALL_MS_MAX;
    let running = Running::start(&config).await?;
    let api = Api::new(format!("http://{}", running.address), operator_key);
    api.ready(SETTLE_WAIT_MAX).await?;
    let stage = Stage { plan, api: &api, keys: &keys, rounds: "demo-".to_owned() };
    let played = stage.play(running.engine().clone(), Some(&mut wallets)).await?;
    running.stop().await?;
    wallets.stop().await?;
    if let Some(other) = other {
        other.stop().await?;
    }
    let mut books = load::from_directory(&plan.data_dir).await?;
    let journals = journal::read_all(&[plan.data_dir.join(JOURNALS)])?;
    // Of a partner without one the audit cannot say what its wallet did.
    if let Some(without) = keys.keys().find(|name| !journals.contains_key(*name)) {
        bail!("the wallet of {without} left no journal");
    }
    books.journals = Some(journals);
    let audit = audit(&books, true).map_err(|why| anyhow!(why)).context("the audit failed")?;
    Ok(played.report(plan, audit))
}

/// Servers that can be asked, and what to play there.
struct Stage<'a> {
    plan: &'a Plan,
    api: &'a Api,
    keys: &'a BTreeMap<String, PartnerKey>,
    /// What the names of the rounds begin with.
    rounds: String,
}

/// What was seen while the rounds were played.
struct Played {
    settled: bool,
    figures: Figures,
    told_otherwise: Vec<String>,
}

impl Stage<'_> {
    /// Plays all rounds and waits until everything is confirmed.
    async fn play<E: Opened>(
        &self,
        engine: E,
        wallets: Option<&mut Wallets>,
    ) -> anyhow::Result<Played> {
        let begun = Instant::now();
        let watch = Watch::of_rounds(engine, &self.rounds);
        let mut game = rounds::Game { stage: self, watch: &watch, told: Told::new() };
        game.play(wallets).await?;
        let settled = watch.settled(SETTLE_WAIT_MAX).await;
        let figures = Figures::of(&watch.seen(), begun.elapsed());
        let told_otherwise = flips(&game.told, &watch.seen().decided);
        Ok(Played { settled, figures, told_otherwise })
    }
}

impl Played {
    fn report(self, plan: &Plan, audit: Report) -> DemoReport {
        let Self { settled, figures, told_otherwise } = self;
        let ok = settled && audit.clean && told_otherwise.is_empty();
        DemoReport { ok, seed: plan.seed, settled, figures, told_otherwise, audit }
    }
}

/// Starts the wallet that is not ours.
async fn other(
    plan: &Plan,
    partner: &str,
    command: &str,
    keys: &str,
) -> anyhow::Result<OtherWallet> {
    let file = plan.data_dir.join(WALLET_KEYS);
    std::fs::write(&file, keys).with_context(|| format!("{} cannot be written", file.display()))?;
    let journals = plan.data_dir.join(JOURNALS);
    let started = OtherWallet::start(command, partner, &file, &journals, &BALANCE).await;
    started.with_context(|| format!("the wallet of {partner} does not run (--wallet-command)"))
}

fn wallets_plan(plan: &Plan, partners: Vec<String>, keys: String) -> WalletsPlan {
    let seed = plan.seed.to_string();
    let arguments = BALANCE.into_iter().chain(["--seed", &seed]);
    let mut arguments: Vec<String> = arguments.map(ToOwned::to_owned).collect();
    if plan.faults {
        arguments.extend(FAULTS.iter().map(|argument| (*argument).to_owned()));
    }
    let journals = plan.data_dir.join(JOURNALS);
    WalletsPlan { exe: plan.exe.clone(), partners, keys, journals, arguments }
}

/// Bets of which a client was told something that the log does not say.
pub(crate) fn flips(told: &Told, decided: &BTreeMap<String, Decided>) -> Vec<String> {
    let mut flips = Vec::new();
    for (bet, words) in told {
        let stands = decided.get(bet);
        for word in words {
            let holds = match word.as_str() {
                "accepted" => matches!(stands, Some(Decided::Accepted | Decided::Cancelled)),
                "rejected" => stands == Some(&Decided::Rejected),
                _ => stands == Some(&Decided::Cancelled),
            };
            if !holds {
                flips.push(format!("{bet}: a client was told {word}, the log says {stands:?}"));
            }
        }
    }
    flips
}
