//! `roundhouse audit`.

use super::{EXIT_FINDING, EXIT_OK, lines};
use crate::audit::books::Books;
use crate::audit::{audit, explain, journal, load};
use crate::config::{Config, EngineFlags, EngineKind, Overrides};
use crate::serve::{Opened, open};
use anyhow::anyhow;
use runtime::telemetry::plain;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  roundhouse audit --data-dir ./data
  roundhouse audit --data-dir ./data --journal ./wallets --at-rest
  roundhouse audit --data-dir ./data --explain r_77:8f3a1c
  roundhouse audit --engine cluster --brokers kafka:9092 --store-nodes scylla:9042 --journal ./wallets

Exit codes:
  0  every invariant holds
  1  at least one is violated
  2  the audit could not run";

/// Checks every invariant over the whole log, the store and the wallets' journals.
///
/// Works out what each bet must be worth from the log alone, by definition and with arithmetic of its
/// own, and compares it with what was decided, stored, confirmed and moved. Writes nothing and joins no
/// group. The server of a data directory must be stopped; on the cluster engine it may be run beside the
/// processes, and is exact while nothing is in flight.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The directory that `serve` was given [default: ./data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The configuration file of the server: where its data or its servers are
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A reference wallet's journal, or a directory of `*.jsonl` journals; may be repeated.
    /// Without it the journals of the sandbox are read, if there are any.
    #[arg(long, value_name = "PATH")]
    journal: Vec<PathBuf>,
    /// Demand that everything is over: nothing undecided, nothing owed but what is parked.
    #[arg(long)]
    at_rest: bool,
    /// Print one JSON document instead of the table.
    #[arg(long)]
    json: bool,
    /// Tell one bet's story instead: what was written, decided, sent and moved, in order.
    #[arg(long, value_name = "BET")]
    explain: Option<String>,
    #[command(flatten)]
    engine: EngineFlags,
}

pub(super) async fn run(args: Args) -> anyhow::Result<u8> {
    let flags = Overrides { data_dir: args.data_dir, engine: args.engine, ..Overrides::default() };
    let config = Config::load(args.config.as_deref(), std::env::vars(), flags)?;
    let mut books = books(&config).await?;
    let mut journals = args.journal;
    let sandbox = config.storage.data_dir.join(crate::engine::JOURNALS);
    let is_local = config.engine.kind == EngineKind::Embedded;
    if journals.is_empty() && is_local && sandbox.is_dir() {
        journals.push(sandbox);
    }
    if !journals.is_empty() {
        books.journals = Some(journal::read_all(&journals)?);
    }
    if let Some(bet) = args.explain {
        for line in explain(&books, &bet).map_err(|why| anyhow!(why))? {
            println!("{}", plain(&line));
        }
        return Ok(EXIT_OK);
    }
    let report = audit(&books, args.at_rest).map_err(|why| anyhow!(why))?;
    lines::report(&report, args.json)?;
    Ok(if report.clean { EXIT_OK } else { EXIT_FINDING })
}

async fn books(config: &Config) -> anyhow::Result<Books> {
    match config.engine.kind {
        EngineKind::Embedded => load::from_directory(&config.storage.data_dir).await,
        EngineKind::Cluster => read(open::cluster_reader(config).await?).await,
    }
}

async fn read<E: Opened>(engine: E) -> anyhow::Result<Books> {
    let books = load::read(&engine, E::PARTITIONS).await;
    engine.close().await;
    books
}
