//! `roundhouse restored`.

use super::EXIT_OK;
use super::lines::json;
use super::parked::{MoneyLine, money, table};
use super::place::Place;
use crate::config::EngineKind;
use crate::parked::{Item, Pace, Why, replay, sums};
use crate::restored::{self, CODE, Restored};
use crate::serve::{Opened, open};
use anyhow::{Context, bail};
use runtime::{Clock, SystemClock};
use schemas::PartnerId;
use schemas::contract::parse_timestamp;
use serde::Serialize;
use std::num::NonZeroU32;
use std::time::Duration;

/// Dispatchers look each second at what was said of partners.
const HEARD: Duration = Duration::from_secs(3);

const EXAMPLES: &str = "\
Examples:
  roundhouse restored acme --epoch 2 --since 2026-11-28T03:00:00Z --dry-run
  roundhouse restored acme --epoch 2 --since 2026-11-28T03:00:00Z --by ann --reason 'disk lost, ticket 4711'

Exit codes:
  0  done
  2  could not be done";

/// Sign off a partner's ledger that was restored from a backup.
///
/// A partner whose ledger names another epoch than before takes no more bets until people of both sides agree
/// on it. This says that the epoch counts, and sends again the newest settlement of every bet of which the partner
/// confirmed something since the backup was made. Nothing moves twice: a row that was not lost answers as it stands.
/// Run again it does the same. The server of a data directory must be stopped; on the cluster engine the command runs
/// beside the processes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The partner
    #[arg(value_name = "PARTNER")]
    partner: PartnerId,
    /// The epoch that its ledger names now: the reason of the pause says it
    #[arg(long, value_name = "EPOCH")]
    epoch: String,
    /// When the backup was made, RFC 3339 with offset; earlier does no harm
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: i64,
    #[command(flatten)]
    place: Place,
    /// Say what would be sent again, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Who signs it off
    #[arg(long, value_name = "NAME", required_unless_present = "dry_run")]
    by: Option<String>,
    /// Why; it stands in partners.v1 and in a case in cases.v1
    #[arg(long, value_name = "TEXT", required_unless_present = "dry_run")]
    reason: Option<String>,
    /// Settlements a second, at most
    #[arg(long, value_name = "N", default_value = "1000")]
    rate: NonZeroU32,
    /// Print one JSON document instead
    #[arg(long)]
    json: bool,
}

fn time(text: &str) -> Result<i64, String> {
    let wanted = "not an RFC 3339 time with offset, such as 2026-11-28T03:00:00Z";
    parse_timestamp(text).ok_or_else(|| wanted.to_owned())
}

#[derive(Debug, Serialize)]
struct Done {
    dry_run: bool,
    /// Bets whose newest settlement is sent again.
    bets: usize,
    money: Vec<MoneyLine>,
    /// Bets whose settlements are in the log no more: for people.
    gone: u64,
    unreadable: u64,
}

pub(super) async fn run(args: Args) -> anyhow::Result<u8> {
    let config = args.place.config()?;
    match config.engine.kind {
        EngineKind::Embedded => {
            on(open::at_rest(&config.storage.data_dir).await?, args, Duration::ZERO).await
        }
        EngineKind::Cluster => on(open::cluster_reader(&config).await?, args, HEARD).await,
    }
}

async fn on<E: Opened>(engine: E, args: Args, heard: Duration) -> anyhow::Result<u8> {
    let done = send(&engine, args, heard).await;
    engine.close().await;
    done.map(|()| EXIT_OK)
}

/// `heard` is how long it takes until every dispatcher has heard of a sign-off.
async fn send<E: Opened>(engine: &E, args: Args, heard: Duration) -> anyhow::Result<()> {
    let Args { partner, epoch, since, .. } = args;
    let restored = Restored { partner, epoch, since };
    if SystemClock.now() < since {
        bail!("--since is in the future: say when the backup was made, or any time before");
    }
    let text = |given: &Option<String>, name: &str| {
        let text = given.as_deref().map(str::trim).unwrap_or_default().to_owned();
        if text.is_empty() { bail!("--{name} says nothing") } else { Ok(text) }
    };
    let signed = if args.dry_run {
        None
    } else {
        Some((text(&args.by, "by")?, text(&args.reason, "reason")?))
    };
    if let Some((by, reason)) = &signed {
        // First: what is not known there is told anew, and parked no more, only once this is heard.
        restored::sign_off(engine, &restored, (reason, by), SystemClock.now()).await?;
        tokio::time::sleep(heard).await;
    }
    let lost = restored::read(engine, E::PARTITIONS, &restored).await?;
    let items: Vec<&Item> = lost.items.values().collect();
    if let Some((_, reason)) = &signed {
        let (total, pace) = (items.len(), Pace { per_second: args.rate });
        let progress = |done| eprintln!("restored: {done} of {total} sent again");
        let why = Why { code: CODE, what: "settlements of a restored ledger", reason };
        let sent = replay(engine, E::PARTITIONS, &items, why, pace, progress).await;
        sent.context("the ledger is signed off; the same command sends the rest")?;
    }
    let done = Done {
        dry_run: args.dry_run,
        bets: items.len(),
        money: money(&sums(items.iter().copied())),
        gone: lost.gone,
        unreadable: lost.unreadable,
    };
    if args.json {
        return json(&done);
    }
    let would = if args.dry_run { "would be " } else { "" };
    println!("the newest settlements of {} bets {would}sent again", done.bets);
    table(&done.money);
    if 0 < done.gone {
        println!("{} more bets are in the log no more: compare their rounds by hand", done.gone);
    }
    if 0 < done.unreadable {
        println!("{} records cannot be read", done.unreadable);
    }
    Ok(())
}
