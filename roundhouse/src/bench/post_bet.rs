//! `bench post-bet`: bets a second over keep-alive connections, beside `plain-post`.

use super::client::{self, Bets, Load};
use super::directory::{DataDir, Directory};
use super::ground::{Ground, Grounds};
use super::house::House;
use super::journal::PlainJournal;
use super::plain_post::{BetBytes, Journal, PlainPost};
use super::report::{Cpu, Memory, Place, Spread, Thousandths, median, per_mille, word};
use super::tail::{Tail, mean};
use crate::rig::keys::PartnerKey;
use crate::serve::Opened;
use anyhow::Context;
use bytes::Bytes;
use http::HeaderValue;
use runtime::{Clock, SystemClock};
use schemas::bets::{BetEvent, BetSaid, Intent};
use schemas::catalogue::{BETS, DECISIONS};
use schemas::contract::{AuthorizeRequest, timestamp};
use serde::Serialize;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Bets a second that must be reached over 32 connections.
const FLOOR_PER_S: u64 = 5_000;
/// Players.
const PLAYERS: usize = 100;
/// How long bets are posted before anything is measured.
const WARM_UP: Duration = Duration::from_secs(1);
/// Betting is open for this long, in ms; longer than any run.
pub(super) const BETTING_MS: i64 = 3_600_000;
/// Longest wait for records that the server has answered for.
const RECORDS_WAIT_MAX: Duration = Duration::from_secs(10);

/// What to measure.
#[derive(Clone, Debug)]
pub struct PostBetPlan {
    /// Keep-alive connections, each with one bet at a time.
    pub connections: usize,
    /// Length of each run, in s.
    pub seconds: u64,
    /// Runs of the server, each followed by one of the plain program.
    pub pairs: usize,
    /// An empty directory.
    pub data_dir: PathBuf,
    /// The binary whose `wallet` is started.
    pub exe: PathBuf,
}

/// One run.
#[derive(Clone, Debug, Serialize)]
pub struct Run {
    /// Bets that were answered with 201.
    pub bets: usize,
    /// Bets a second, rounded down.
    pub per_s: u64,
    /// How long the answers took.
    pub latency: Spread,
    /// CPU time used meanwhile.
    pub cpu: Cpu,
}

impl Run {
    pub(super) fn of(load: &Load, cpu: Cpu) -> Self {
        let bets = load.latencies_us.len();
        let count = u64::try_from(bets).unwrap_or(u64::MAX);
        let per_s = count.saturating_mul(1_000_000).checked_div(load.took_us).unwrap_or_default();
        Self { bets, per_s, latency: Spread::of(&load.latencies_us), cpu }
    }
}

/// A run of the server and the run of the plain program after it.
#[derive(Clone, Debug, Serialize)]
pub struct Pair {
    /// The server.
    pub roundhouse: Run,
    /// The plain program.
    pub plain_post: Run,
    /// Bets a second of the server by those of the plain program, in thousandths.
    pub rate_per_mille: u64,
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct PostBetReport {
    /// Which bench.
    pub what: &'static str,
    /// Keep-alive connections.
    pub connections: usize,
    /// Length of each run, in s.
    pub seconds: u64,
    /// Bytes that each bet appended, with and without logic.
    pub bytes: BetBytes,
    /// The runs, in order.
    pub pairs: Vec<Pair>,
    /// The server's bets a second, median of the pairs.
    pub per_s_median: u64,
    /// The ratio, median of the pairs.
    pub rate_per_mille_median: u64,
    /// The floor, in bets a second.
    pub floor_per_s: u64,
    /// Whether the median reaches it.
    pub floor_met: bool,
    /// Memory.
    pub memory: Memory,
    /// Where it was measured.
    #[serde(flatten)]
    pub place: Place,
}

/// Measures.
///
/// # Errors
/// If a part cannot be started, or a bet is not accepted.
pub async fn post_bet(plan: &PostBetPlan) -> anyhow::Result<PostBetReport> {
    let grounds = Directory::new(&plan.data_dir);
    let place = Place::before(grounds.engine().await?, &plan.data_dir).await?;
    let ground = grounds.make().await?;
    let measured = on(plan, &ground).await;
    ground.leave(false, &plan.data_dir).await;
    let (pairs, bytes, memory) = measured?;
    let per_s_median = median(pairs.iter().map(|pair| pair.roundhouse.per_s).collect());
    Ok(PostBetReport {
        what: "post-bet",
        connections: plan.connections,
        seconds: plan.seconds,
        bytes,
        per_s_median,
        rate_per_mille_median: median(pairs.iter().map(|pair| pair.rate_per_mille).collect()),
        floor_per_s: FLOOR_PER_S,
        floor_met: FLOOR_PER_S <= per_s_median,
        pairs,
        memory,
        place: place.after(&plan.data_dir).await?,
    })
}

async fn on(plan: &PostBetPlan, ground: &DataDir) -> anyhow::Result<(Vec<Pair>, BetBytes, Memory)> {
    let house = House::start(&plan.exe, 1, 0, ground, |_| ()).await?;
    let (partner, key) = house.keys.first_key_value().context("there is no partner")?;
    let wallet = house.wallets.urls.get(partner).cloned().unwrap_or_default();
    let (mut pairs, mut bytes) = (Vec::new(), BetBytes::default());
    for pair in 0..plan.pairs {
        // A token is valid for minutes: new ones for each pair, signed before the clock runs.
        let (bearers, token) = bearers(key)?;
        let bets = |round: &str| Bets { round: round.to_owned(), bearers: bearers.clone() };
        let sample = sample(plan, &house, &bets, pair).await?;
        bytes = sample.bytes;
        let round = format!("post-{pair}");
        house.api.open_die(&round, BETTING_MS, 0).await?;
        let measured = measure(plan, &house, house.running.address, bets(&round)).await?;
        let authorize = authorize(&sample.intent, &token, &format!("plain-{pair}"));
        let file = plan.data_dir.join(format!("plain-{pair}"));
        let journal = Journal::File(PlainJournal::create(&file)?);
        let plain = PlainPost::start(
            journal,
            bytes,
            (&wallet, &house.wallets.platform),
            &authorize,
            sample.reply,
        )
        .await?;
        client::send(plain.address, bets("plain"), plan.connections, WARM_UP).await?;
        let plain = measure(plan, &house, plain.address, bets("plain")).await?;
        eprintln!("bench: pair {}: {} bets/s, plain {}", pair + 1, measured.per_s, plain.per_s);
        let rate_per_mille = per_mille(measured.per_s, plain.per_s);
        pairs.push(Pair { roundhouse: measured, plain_post: plain, rate_per_mille });
    }
    Ok((pairs, bytes, house.close().await?))
}

/// What each player sends along, and the first one's token.
pub(super) fn bearers(key: &PartnerKey) -> anyhow::Result<(Vec<HeaderValue>, String)> {
    let tokens: Vec<String> =
        (0..PLAYERS).map(|p| key.token(&format!("player-{p}"), SystemClock.now())).collect();
    let bearers = tokens.iter().map(|token| HeaderValue::try_from(format!("Bearer {token}")));
    let bearers = bearers.collect::<Result<_, _>>()?;
    Ok((bearers, tokens.into_iter().next().context("there is no player")?))
}

async fn measure(
    plan: &PostBetPlan,
    house: &House,
    address: std::net::SocketAddr,
    bets: Bets,
) -> anyhow::Result<Run> {
    let before = Cpu::now(house.wallets.id());
    let time = Duration::from_secs(plan.seconds);
    let load = client::send(address, bets, plan.connections, time).await?;
    Ok(Run::of(&load, Cpu::now(house.wallets.id()).since(before)))
}

/// What the server writes and says for a bet, from the warm-up.
pub(super) struct Sample {
    pub(super) bytes: BetBytes,
    pub(super) intent: Intent,
    pub(super) reply: Bytes,
}

pub(super) async fn sample<E: Opened>(
    plan: &PostBetPlan,
    house: &House<E>,
    bets: &impl Fn(&str) -> Bets,
    pair: usize,
) -> anyhow::Result<Sample> {
    let round = format!("warm-{pair}");
    house.api.open_die(&round, BETTING_MS, 0).await?;
    let said = Tail::start(house.running.engine(), BETS).await?;
    let decided = Tail::start(house.running.engine(), DECISIONS).await?;
    let load = client::send(house.running.address, bets(&round), plan.connections, WARM_UP).await?;
    let count = load.latencies_us.len();
    let decisions = decided.take(count, RECORDS_WAIT_MAX).await?;
    let decisions: Vec<usize> = decisions.iter().map(|record| record.bytes).collect();
    let (mut intents, mut answers, mut last) = (Vec::new(), Vec::new(), None);
    // An intent and an answer of each bet.
    for record in said.take(count.saturating_mul(2), RECORDS_WAIT_MAX).await? {
        match BetEvent::decode(&record.value).context("a record cannot be read")?.said {
            BetSaid::Intent(intent) => {
                intents.push(record.bytes);
                last = Some(intent);
            }
            BetSaid::Answer { .. } => answers.push(record.bytes),
            BetSaid::Cancel { .. }
            | BetSaid::Marker { .. }
            | BetSaid::Thaw { .. }
            | BetSaid::Tick => {}
        }
    }
    let (intent, answer) = (mean(&intents)?, mean(&answers)?);
    let bytes = BetBytes { intent, answer, decision: mean(&decisions)? };
    Ok(Sample { bytes, intent: last.context("no bet was written")?, reply: load.sample })
}

/// What the server would send to the wallet for such a bet in `round`.
pub(super) fn authorize(intent: &Intent, token: &str, round: &str) -> AuthorizeRequest {
    let bet = &intent.bet;
    let hash = bet.id.as_str().rsplit_once(':').map_or("", |(_, hash)| hash);
    AuthorizeRequest {
        op: "authorize".to_owned(),
        message_id: format!("{round}:{hash}:1"),
        bet_id: format!("{round}:{hash}"),
        revision: 1,
        round_id: round.to_owned(),
        partner_id: bet.partner.to_string(),
        partner_player_id: bet.player.to_string(),
        session_token: token.to_owned(),
        stake: bet.stake.into(),
        selection: Some(bet.selection.to_string()),
        placed_at: timestamp(bet.placed_at),
        // The plain program sends the same bytes for as long as it runs.
        expires_at: timestamp(bet.placed_at.saturating_add(BETTING_MS)),
    }
}

impl fmt::Display for PostBetReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BetBytes { intent, answer, decision } = self.bytes;
        writeln!(f, "{}: {} connections, {} s a run", self.what, self.connections, self.seconds)?;
        writeln!(f, "{}\n{}", self.place, self.memory)?;
        writeln!(
            f,
            "plain-post appends {intent} + {answer} + {decision} bytes to a plain file with group fsync, \
             and posts the same authorize; no logic"
        )?;
        let head = ["bets/s", "p50 ms", "p99 ms", "max ms", "cpu s", "wallet s"];
        write!(f, "{:<14}", "")?;
        head.iter().try_for_each(|name| write!(f, "{name:>10}"))?;
        writeln!(f)?;
        for pair in &self.pairs {
            for (name, run) in [("roundhouse", &pair.roundhouse), ("plain-post", &pair.plain_post)]
            {
                let Spread { p50_us, p99_us, max_us, .. } = run.latency;
                write!(f, "{name:<14}{:>10}", run.per_s)?;
                [p50_us, p99_us, max_us, run.cpu.here_ms, run.cpu.wallets_ms]
                    .iter()
                    .try_for_each(|figure| write!(f, "{:>10}", Thousandths(*figure)))?;
                writeln!(f)?;
            }
        }
        writeln!(
            f,
            "rate, by that of plain-post: {} (median of pairs)",
            Thousandths(self.rate_per_mille_median)
        )?;
        let (per_s, floor) = (self.per_s_median, self.floor_per_s);
        writeln!(f, "{per_s} bets/s (median); floor {floor}/s: {}", word(self.floor_met))
    }
}
