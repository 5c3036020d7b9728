//! `roundhouse frozen`.

use super::EXIT_OK;
use super::lines::json;
use super::parked::said;
use super::place::Place;
use crate::acts;
use crate::config::EngineKind;
use crate::frozen::{self, Frozen};
use crate::serve::{Opened, open};
use anyhow::{Context, bail};
use clap::{ArgGroup, Subcommand};
use runtime::telemetry::plain;
use runtime::{Clock, SystemClock};
use schemas::acts::by_hand;
use schemas::{BetId, RoundId};
use serde::Serialize;
use std::collections::BTreeSet;

const EXAMPLES: &str = "\
Examples:
  roundhouse frozen list --data-dir ./data
  roundhouse frozen list --engine cluster --config roundhouse.toml --hours 48 --json
  roundhouse frozen thaw --bet r_77:3Qk2 --dry-run
  roundhouse frozen thaw --round r_77 --by ann --reason 'the record was read by hand, ticket 4711'

Exit codes:
  0  done
  2  could not be done";

const HOUR_MS: i64 = 3_600_000;
/// Rounds between two words on how far the list is.
const PROGRESS_ROUNDS: usize = 1_000;

/// What is frozen, and letting it go on.
///
/// A bet, or a round in one partition, is frozen when an invariant broke: nothing is decided or settled
/// there until a person thaws it. The server of a data directory must be stopped; on the cluster engine
/// the commands run beside the processes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List what is frozen, and why
    List(List),
    /// Let frozen bets or a frozen round go on
    Thaw(Thaw),
}

#[derive(Debug, clap::Args)]
struct List {
    #[command(flatten)]
    place: Place,
    /// Only this round
    #[arg(long, value_name = "ID")]
    round: Option<RoundId>,
    /// Rounds of which anything was said in the last N hours
    #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=24 * 366))]
    hours: u32,
    /// Print one JSON document instead of the table
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("what").required(true).args(["bet", "round"]))]
struct Thaw {
    #[command(flatten)]
    place: Place,
    /// This bet
    #[arg(long, value_name = "ID")]
    bet: Option<BetId>,
    /// Everything that is frozen of this round
    #[arg(long, value_name = "ID")]
    round: Option<RoundId>,
    /// Say what would go on, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Why; it stands in the log and in the facts
    #[arg(long, value_name = "TEXT", required_unless_present = "dry_run")]
    reason: Option<String>,
    /// Who runs this; it stands among the acts of operators
    #[arg(long, value_name = "NAME", required_unless_present = "dry_run")]
    by: Option<String>,
    /// Print one JSON document instead of the table
    #[arg(long)]
    json: bool,
}

/// A line of the list.
#[derive(Debug, Serialize)]
struct Line<'a> {
    round: &'a str,
    bet: Option<&'a str>,
    partner: Option<&'a str>,
    partition: u32,
    at: u64,
    code: &'a str,
    text: &'a str,
}

impl<'a> Line<'a> {
    fn of(item: &'a Frozen) -> Self {
        Self {
            round: item.round.as_str(),
            bet: item.bet.as_ref().map(BetId::as_str),
            partner: item.partner.as_ref().map(schemas::PartnerId::as_str),
            partition: item.partition,
            at: item.at,
            code: &item.code,
            text: &item.text,
        }
    }
}

#[derive(Debug, Serialize)]
struct Listed<'a> {
    rounds: usize,
    frozen: Vec<Line<'a>>,
}

#[derive(Debug, Serialize)]
struct Thawed<'a> {
    dry_run: bool,
    thawed: Vec<Line<'a>>,
}

pub(super) async fn run(args: Args) -> anyhow::Result<u8> {
    let place = match &args.what {
        What::List(list) => &list.place,
        What::Thaw(thaw) => &thaw.place,
    };
    let config = place.config()?;
    match config.engine.kind {
        EngineKind::Embedded => on(open::at_rest(&config.storage.data_dir).await?, args.what).await,
        EngineKind::Cluster => on(open::cluster_reader(&config).await?, args.what).await,
    }
}

async fn on<E: Opened>(engine: E, what: What) -> anyhow::Result<u8> {
    let done = match what {
        What::List(list) => show(&engine, &list).await,
        What::Thaw(thaw) => go_on(&engine, thaw).await,
    };
    engine.close().await;
    done.map(|()| EXIT_OK)
}

async fn show<E: Opened>(engine: &E, list: &List) -> anyhow::Result<()> {
    let rounds = match &list.round {
        Some(round) => BTreeSet::from([round.clone()]),
        None => {
            let since = SystemClock.now() - i64::from(list.hours) * HOUR_MS;
            frozen::rounds_since(engine, E::PARTITIONS, since).await?
        }
    };
    let total = rounds.len();
    let progress = |done: usize| {
        if done.is_multiple_of(PROGRESS_ROUNDS) {
            eprintln!("frozen: {done} of {total} rounds looked at");
        }
    };
    let frozen = frozen::read(engine, E::PARTITIONS, &rounds, progress).await?;
    let lines: Vec<Line<'_>> = frozen.iter().map(Line::of).collect();
    if list.json {
        return json(&Listed { rounds: total, frozen: lines });
    }
    table(&lines);
    println!("{} frozen in {total} rounds", lines.len());
    Ok(())
}

async fn go_on<E: Opened>(engine: &E, thaw: Thaw) -> anyhow::Result<()> {
    let round = match (&thaw.bet, thaw.round) {
        (Some(bet), _) => bet.round(),
        (None, Some(round)) => round,
        (None, None) => bail!("name a bet (--bet) or a round (--round)"),
    };
    let rounds = BTreeSet::from([round.clone()]);
    let frozen = frozen::read(engine, E::PARTITIONS, &rounds, |_| ()).await?;
    let meant = |item: &&Frozen| thaw.bet.is_none() || thaw.bet == item.bet;
    let items: Vec<&Frozen> = frozen.iter().filter(meant).collect();
    match said(thaw.by.as_deref(), thaw.reason.as_deref()) {
        _ if thaw.dry_run => {}
        None => bail!("say who does it and why: --by and --reason"),
        Some((by, reason)) if !items.is_empty() => {
            let now = SystemClock.now();
            let of = thaw.bet.as_ref().map_or_else(|| round.to_string(), ToString::to_string);
            acts::keep(engine, &by_hand((by, now), "thawed", of, reason)).await?;
            frozen::thaw(engine, &items, reason, now).await.context("nothing was thawed")?;
        }
        Some(_) => {}
    }
    let lines: Vec<Line<'_>> = items.into_iter().map(Line::of).collect();
    if thaw.json {
        return json(&Thawed { dry_run: thaw.dry_run, thawed: lines });
    }
    table(&lines);
    match (lines.len(), thaw.dry_run) {
        (0, _) => println!("nothing of it is frozen"),
        (count, true) => println!("{count} would go on"),
        (count, false) => println!("{count} thawed; the settlers compute them again"),
    }
    Ok(())
}

fn table(lines: &[Line<'_>]) {
    println!(
        "{:<44} {:<16} {:>9} {:>12} {:<20} WHAT HAPPENED",
        "BET OR ROUND", "PARTNER", "PARTITION", "OFFSET", "CODE"
    );
    for line in lines {
        println!(
            "{:<44} {:<16} {:>9} {:>12} {:<20} {}",
            line.bet.unwrap_or(line.round),
            line.partner.unwrap_or("-"),
            line.partition,
            line.at,
            line.code,
            plain(line.text)
        );
    }
}
