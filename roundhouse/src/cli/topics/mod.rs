//! `roundhouse topics`.

mod list;
#[cfg(feature = "cluster")]
mod prepare;
mod tail;

use crate::config::{Config, EngineFlags, Overrides};
use clap::Subcommand;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  Which topics there are, and what stands in each:
    roundhouse topics list
    roundhouse topics list --offsets --config roundhouse.toml

  The records of a topic as lines of JSON, of a data directory whose server is stopped or of a cluster:
    roundhouse topics tail bets --data-dir ./data --round r-1 | jq .value
    roundhouse topics tail settlements --engine cluster --brokers kafka:9092 --store-nodes scylla:9042 --follow

  Make Kafka's topics what they must be (on the cluster engine):
    roundhouse topics plan  --config roundhouse.toml
    roundhouse topics apply --config roundhouse.toml

Each has a --help of its own.";

/// List topics, read their records, and make Kafka's topics what they must be.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(list::Args),
    Tail(tail::Args),
    #[cfg(feature = "cluster")]
    #[command(flatten)]
    Prepare(prepare::Command),
}

/// Where the records are.
#[derive(Clone, Debug, clap::Args)]
struct Where {
    /// The configuration file of the server: where its data or its servers are
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The directory that `serve` was given [default: ./data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    engine: EngineFlags,
}

impl Where {
    fn load(self) -> anyhow::Result<Config> {
        let flags =
            Overrides { data_dir: self.data_dir, engine: self.engine, ..Overrides::default() };
        Config::load(self.config.as_deref(), std::env::vars(), flags)
    }
}

pub(super) async fn run(args: Args) -> anyhow::Result<u8> {
    match args.command {
        Command::List(args) => list::run(args).await,
        Command::Tail(args) => tail::run(args).await,
        #[cfg(feature = "cluster")]
        Command::Prepare(command) => prepare::run(command).await,
    }
}
