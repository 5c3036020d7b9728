//! `roundhouse audit`.

use super::{EXIT_FINDING, EXIT_OK};
use crate::audit::{audit, explain, journal, load};
use anyhow::{Context, anyhow};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  roundhouse audit --data-dir ./data
  roundhouse audit --data-dir ./data --journal ./wallets --at-rest
  roundhouse audit --data-dir ./data --explain r_77:8f3a1c

Exit codes:
  0  every invariant holds
  1  at least one is violated
  2  the audit could not run";

/// Checks every invariant over the whole log, the store and the wallets' journals.
///
/// Works out what each bet must be worth from the log alone, by definition and with arithmetic of its
/// own, and compares it with what was decided, stored, confirmed and moved. Writes nothing. The server
/// must be stopped.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The directory that `serve` was given.
    #[arg(long, value_name = "DIR", default_value = "./data")]
    data_dir: PathBuf,
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
}

pub(super) async fn run(args: Args) -> anyhow::Result<u8> {
    let mut books = load::from_directory(&args.data_dir).await?;
    let mut journals = args.journal;
    let sandbox = args.data_dir.join(crate::engine::JOURNALS);
    if journals.is_empty() && sandbox.is_dir() {
        journals.push(sandbox);
    }
    if !journals.is_empty() {
        books.journals = Some(journal::read_all(&journals)?);
    }
    if let Some(bet) = args.explain {
        for line in explain(&books, &bet).map_err(|why| anyhow!(why))? {
            println!("{line}");
        }
        return Ok(EXIT_OK);
    }
    let report = audit(&books, args.at_rest).map_err(|why| anyhow!(why))?;
    if args.json {
        println!("{}", serde_json::to_string(&report).context("the report is not JSON")?);
    } else {
        print!("{report}");
    }
    Ok(if report.clean { EXIT_OK } else { EXIT_FINDING })
}
