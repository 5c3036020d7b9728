//! `roundhouse table`: a die table, and the check of its draws.

use super::operator::Operator;
use super::{EXIT_FINDING, EXIT_OK, Logs};
use anyhow::{Context, bail};
use clap::Subcommand;
use clap::value_parser;
use feeds::table::{self, Drawn, Keeper, TableOptions, TablePlan};
use runtime::{SystemClock, shutdown};
use schemas::Odds;
use std::io::BufRead;
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  roundhouse table --state-dir ./table             a round every 17 s, until SIGTERM
  roundhouse table --state-dir ./table --rounds 1  one round, and its proof
  roundhouse table check ./table/proofs.jsonl      reckons every draw again

How a draw is reckoned stands in docs/rules/die-table.md.

Exit codes:
  0  stopped as asked; every draw holds
  1  a draw does not hold
  2  could not start, or cannot go on: state directory, key, a round that may not be opened";

/// Play a die: open rounds, draw behind the seal, and prove every draw
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    play: Play,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Reckon draws again, from the table's list of proofs
    Check {
        /// The list: a line of JSON for each draw
        #[arg(value_name = "FILE")]
        proofs: PathBuf,
    },
}

#[derive(Debug, clap::Args)]
struct Play {
    /// Where the table keeps its secret, its open rounds and its proofs
    #[arg(long, value_name = "DIR", default_value = "./table")]
    state_dir: PathBuf,
    /// Between the openings of two rounds, in ms
    #[arg(long, value_name = "MS", default_value_t = 17_000, value_parser = value_parser!(i64).range(1_000..=3_600_000))]
    every_ms: i64,
    /// For how long a round takes bets, in ms
    #[arg(long, value_name = "MS", default_value_t = 12_000, value_parser = value_parser!(i64).range(200..=3_600_000))]
    betting_ms: i64,
    /// Odds of a number
    #[arg(long, value_name = "ODDS", default_value = "5.70")]
    number_odds: Odds,
    /// Odds of odd, even, low and high
    #[arg(long, value_name = "ODDS", default_value = "1.90")]
    half_odds: Odds,
    /// Stop after so many rounds [default: never]
    #[arg(long, value_name = "N", value_parser = value_parser!(u64).range(1..))]
    rounds: Option<u64>,
    #[command(flatten)]
    operator: Operator,
    #[command(flatten)]
    parent: super::parent::Parent,
}

pub(super) async fn run(args: Args, logs: Logs) -> anyhow::Result<u8> {
    match args.command {
        Some(Command::Check { proofs }) => check(&proofs),
        None => play(args.play, logs).await,
    }
}

async fn play(args: Play, logs: Logs) -> anyhow::Result<u8> {
    logs.init("info")?;
    let api = args.operator.api()?;
    let Play { every_ms, betting_ms, number_odds, half_odds, .. } = args;
    let plan = TablePlan { every_ms, betting_ms, number_odds, half_odds };
    let (keeper, table) = Keeper::open(&args.state_dir, plan)?;
    let shutdown = shutdown::on_signal().context("signals cannot be watched")?;
    args.parent.watch(&shutdown);
    let options = TableOptions { rounds_max: args.rounds };
    let drawn = table::run(table, &keeper, &api, &SystemClock, &options, &shutdown).await?;
    eprintln!("{drawn} rounds drawn; their proofs are in {}", keeper.proofs().display());
    Ok(EXIT_OK)
}

fn check(path: &Path) -> anyhow::Result<u8> {
    let file = std::fs::File::open(path);
    let file = file.with_context(|| format!("{} cannot be read", path.display()))?;
    let (mut checked, mut wrong) = (0_u64, 0_u64);
    for (index, line) in std::io::BufReader::new(file).lines().enumerate() {
        let number = index + 1;
        let line = line.with_context(|| format!("{} cannot be read", path.display()))?;
        let Ok(drawn) = serde_json::from_str::<Drawn>(&line) else {
            bail!("line {number} of {} is no draw of a table", path.display());
        };
        checked += 1;
        if let Err(error) = drawn.check() {
            wrong += 1;
            println!("line {number}, round {}: {error}", drawn.round_id);
        }
    }
    println!("{checked} draws checked, {wrong} wrong");
    Ok(if wrong == 0 { EXIT_OK } else { EXIT_FINDING })
}
