//! `roundhouse parked`.

use super::EXIT_OK;
use super::lines::{json, major};
use super::place::Place;
use crate::acts;
use crate::config::EngineKind;
use crate::parked::{self, CONFLICT, Filter, Item, Lot, Pace, REPLAYED, Sum, Sums, Why, sums};
use crate::serve::{Opened, open};
use anyhow::{Context, bail};
use clap::Subcommand;
use runtime::telemetry::plain;
use runtime::{Clock, SystemClock};
use schemas::acts::by_hand;
use schemas::contract::timestamp;
use schemas::settlements::Target;
use schemas::{PartnerId, RoundId};
use serde::Serialize;
use std::num::NonZeroU32;

const EXAMPLES: &str = "\
Examples:
  roundhouse parked list --data-dir ./data
  roundhouse parked list --partner acme --code retention_exhausted --json
  roundhouse parked replay --partner acme --dry-run
  roundhouse parked replay --partner acme --by ann --reason 'wallet is back, ticket 4711'
  roundhouse parked list --engine cluster --brokers kafka:9092 --store-nodes scylla:9042

Exit codes:
  0  done
  2  could not be done";

/// What a replay of everything is of, among the acts.
const ALL: &str = "parked";

/// What is parked, and sending it again.
///
/// A settlement is parked when sending it again would not help: its partner said no for good, or was away
/// for longer than retries go on. It is still owed. The server of a data directory must be stopped; on the
/// cluster engine the commands run beside the processes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List what is parked and has no final answer
    List(List),
    /// Send parked settlements again
    Replay(Replay),
}

#[derive(Debug, clap::Args)]
struct Which {
    #[command(flatten)]
    place: Place,
    /// Only this partner's
    #[arg(long, value_name = "ID")]
    partner: Option<PartnerId>,
    /// Only this round's
    #[arg(long, value_name = "ID")]
    round: Option<RoundId>,
    /// Only what was parked for this reason, such as retention_exhausted or unknown_bet
    #[arg(long, value_name = "CODE")]
    code: Option<String>,
    /// Print one JSON document instead of the table
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct List {
    #[command(flatten)]
    which: Which,
    /// Lines at most
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Begin behind this one: the `next` of the page before
    #[arg(long, value_name = "BET/REVISION")]
    after: Option<String>,
}

#[derive(Debug, clap::Args)]
struct Replay {
    #[command(flatten)]
    which: Which,
    /// Say what would be sent again, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Why; it stands in a case in cases.v1
    #[arg(long, value_name = "TEXT", required_unless_present = "dry_run")]
    reason: Option<String>,
    /// Who runs this; it stands among the acts of operators
    #[arg(long, value_name = "NAME", required_unless_present = "dry_run")]
    by: Option<String>,
    /// Settlements a second, at most
    #[arg(long, value_name = "N", default_value = "1000")]
    rate: NonZeroU32,
}

/// A line of the list.
#[derive(Debug, Serialize)]
struct Line<'a> {
    id: &'a str,
    partner: &'a str,
    round: &'a str,
    target: &'static str,
    stake: String,
    /// What the player gets, in minor units, where the target is settled.
    payout_units: Option<i64>,
    code: &'a str,
    parked_at: String,
    times: u32,
}

#[derive(Debug, Serialize)]
struct Page<'a> {
    items: Vec<Line<'a>>,
    /// Where the next page begins; absent on the last.
    next: Option<&'a str>,
    total: usize,
    money: Vec<MoneyLine>,
    /// Parked once and answered since.
    answered: u64,
    unreadable: u64,
}

/// What a partner is owed of the parked, in one currency.
#[derive(Debug, Serialize)]
pub(super) struct MoneyLine {
    partner: String,
    currency: String,
    exponent: u8,
    settlements: u64,
    stake_units: String,
    payout_units: String,
}

#[derive(Debug, Serialize)]
struct Done {
    dry_run: bool,
    replayed: usize,
    money: Vec<MoneyLine>,
    /// Skipped, since a final answer stands.
    answered: u64,
    /// Skipped, since their code was not asked for by name.
    conflicts: usize,
    unreadable: u64,
}

pub(super) async fn run(args: Args) -> anyhow::Result<u8> {
    let which = match &args.what {
        What::List(list) => &list.which,
        What::Replay(replay) => &replay.which,
    };
    let config = which.place.config()?;
    match config.engine.kind {
        EngineKind::Embedded => on(open::at_rest(&config.storage.data_dir).await?, args.what).await,
        EngineKind::Cluster => on(open::cluster_reader(&config).await?, args.what).await,
    }
}

async fn on<E: Opened>(engine: E, what: What) -> anyhow::Result<u8> {
    let done = match what {
        What::List(list) => show(&engine, list).await,
        What::Replay(replay) => send(&engine, replay).await,
    };
    engine.close().await;
    done.map(|()| EXIT_OK)
}

fn filter(which: &Which) -> Filter {
    let Which { partner, round, code, .. } = which;
    Filter { partner: partner.clone(), round: round.clone(), code: code.clone() }
}

async fn show<E: Opened>(engine: &E, list: List) -> anyhow::Result<()> {
    let lot = parked::read(engine, E::PARTITIONS, &filter(&list.which)).await?;
    let limit = usize::try_from(list.limit).context("the limit is too large")?;
    let page = page(&lot, list.after.as_deref(), limit);
    if list.which.json {
        return json(&page);
    }
    println!(
        "{:<44} {:<16} {:<10} {:>16} {:<20} {:<24} TIMES",
        "BET/REVISION", "PARTNER", "TARGET", "STAKE", "CODE", "PARKED AT"
    );
    for line in &page.items {
        println!(
            "{:<44} {:<16} {:<10} {:>16} {:<20} {:<24} {}",
            line.id,
            line.partner,
            line.target,
            line.stake,
            plain(line.code),
            line.parked_at,
            line.times
        );
    }
    println!("\n{} parked; {} more were answered since", page.total, page.answered);
    table(&page.money);
    if let Some(next) = page.next {
        println!("more: --after {next}");
    }
    if 0 < page.unreadable {
        println!("{} records of the parking place cannot be read", page.unreadable);
    }
    Ok(())
}

fn page<'a>(lot: &'a Lot, after: Option<&str>, limit: usize) -> Page<'a> {
    let behind = |id: &String| after.is_none_or(|after| after < id.as_str());
    let mut shown = lot.owed.iter().filter(|(id, _)| behind(id));
    let items: Vec<Line<'a>> =
        shown.by_ref().take(limit).map(|(id, item)| line(id, item)).collect();
    let next = shown.next().and_then(|_| items.last()).map(|last| last.id);
    Page {
        items,
        next,
        total: lot.owed.len(),
        money: money(&sums(lot.owed.values())),
        answered: lot.answered,
        unreadable: lot.unreadable,
    }
}

fn line<'a>(id: &'a str, item: &'a Item) -> Line<'a> {
    let settlement = &item.settlement;
    let payout_units = match settlement.target {
        Target::Settled(payout) => Some(payout),
        Target::Held | Target::Voided => None,
    };
    Line {
        id,
        partner: settlement.partner.as_str(),
        round: settlement.bet.round_str(),
        target: settlement.target.name(),
        stake: settlement.stake.to_string(),
        payout_units,
        code: &item.code,
        parked_at: timestamp(item.parked_at),
        times: item.times,
    }
}

pub(super) fn money(sums: &Sums) -> Vec<MoneyLine> {
    let line = |((partner, currency), sum): (&(PartnerId, schemas::Currency), &Sum)| MoneyLine {
        partner: partner.to_string(),
        currency: currency.to_string(),
        exponent: sum.exponent,
        settlements: sum.count,
        stake_units: sum.stake.to_string(),
        payout_units: sum.payout.to_string(),
    };
    sums.iter().map(line).collect()
}

pub(super) fn table(lines: &[MoneyLine]) {
    println!(
        "{:<16} {:<8} {:>12} {:>20} {:>20}",
        "PARTNER", "CURRENCY", "SETTLEMENTS", "STAKES", "TO PAY"
    );
    for line in lines {
        println!(
            "{:<16} {:<8} {:>12} {:>20} {:>20}",
            line.partner,
            line.currency,
            line.settlements,
            major(&line.stake_units, line.exponent),
            major(&line.payout_units, line.exponent)
        );
    }
}

async fn send<E: Opened>(engine: &E, replay: Replay) -> anyhow::Result<()> {
    let lot = parked::read(engine, E::PARTITIONS, &filter(&replay.which)).await?;
    // Two contents under one revision need a look first: the wrong one could be applied.
    let by_name = replay.which.code.is_some();
    let items: Vec<&Item> =
        lot.owed.values().filter(|item| by_name || item.code != CONFLICT).collect();
    let conflicts = lot.owed.len() - items.len();
    let sums = money(&sums(items.iter().copied()));
    let replayed = match said(replay.by.as_deref(), replay.reason.as_deref()) {
        _ if replay.dry_run => 0,
        None => bail!("say who does it and why: --by and --reason"),
        Some(_) if items.is_empty() => 0,
        Some((by, reason)) => {
            let Which { partner, round, code, .. } = &replay.which;
            let partner = partner.as_ref().map(ToString::to_string);
            let round = round.as_ref().map(ToString::to_string);
            let of = round.or(partner).or_else(|| code.clone()).unwrap_or_else(|| ALL.to_owned());
            let act = by_hand((by, SystemClock.now()), "replayed", of, reason);
            acts::keep(engine, &act).await?;
            let (total, pace) = (items.len(), Pace { per_second: replay.rate });
            let progress = |done| eprintln!("parked: {done} of {total} sent again");
            let why = Why { code: REPLAYED, what: "parked settlements", reason };
            parked::replay(engine, E::PARTITIONS, &items, why, pace, progress).await?.count
        }
    };
    let done = Done {
        dry_run: replay.dry_run,
        replayed,
        money: sums,
        answered: lot.answered,
        conflicts,
        unreadable: lot.unreadable,
    };
    if replay.which.json {
        return json(&done);
    }
    let (count, would) = if replay.dry_run { (items.len(), "would be ") } else { (replayed, "") };
    println!("{count} parked settlements {would}sent again");
    table(&done.money);
    println!("skipped: {} with a final answer", done.answered);
    if 0 < conflicts {
        println!(
            "skipped: {conflicts} with code {CONFLICT}; name it (--code {CONFLICT}) after a look"
        );
    }
    if 0 < done.unreadable {
        println!("skipped: {} that cannot be read", done.unreadable);
    }
    Ok(())
}

/// Who does something and why, if both are said.
pub(super) fn said<'a>(by: Option<&'a str>, reason: Option<&'a str>) -> Option<(&'a str, &'a str)> {
    let text = |text: Option<&'a str>| text.map(str::trim).filter(|text| !text.is_empty());
    Some((text(by)?, text(reason)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minor_units_read_as_major_ones() {
        for (units, exponent, text) in [
            ("0", 2, "0.00"),
            ("5", 2, "0.05"),
            ("1250", 2, "12.50"),
            ("7", 0, "7"),
            ("1", 8, "0.00000001"),
        ] {
            assert_eq!(major(units, exponent), text);
        }
    }
}
