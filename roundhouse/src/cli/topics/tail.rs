//! `roundhouse topics tail`.

use super::Where;
use crate::cli::EXIT_OK;
use crate::config::EngineKind;
use crate::serve::{Opened, open};
use crate::topics::{self, Begin, Filter, Tail, chosen, find, short};
use anyhow::bail;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use runtime::Topic;
use schemas::catalogue::{TOPICS, TopicSpec};
use std::io::{BufWriter, stdout};

const EXAMPLES: &str = "\
Examples:
  Everything said about a round, in its order:
    roundhouse topics tail rounds --data-dir ./data --round r-1

  What is set aside for a human, with the reason in its headers:
    roundhouse topics tail parked --config roundhouse.toml

  Settlements of a partner as they come in:
    roundhouse topics tail settlements --config roundhouse.toml --partner acme --follow

A line is {\"topic\", \"partition\", \"offset\", \"time\", \"key\", \"headers\", \"value\"}. Times are RFC 3339, UTC;
money stands in minor units, as in the record; fields that a record leaves away are not there. A record that
cannot be read has \"unreadable\" (why) and \"value_base64\" in place of \"value\". Partitions come one after the
other, each in its order; with --follow as they come in.

Exit codes:
  0  printed to the end, to --limit, or until nobody read any more
  2  the engine could not be opened or read";

/// Print the records of a topic as lines of JSON
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The topic
    #[arg(value_name = "TOPIC", value_parser = topic())]
    topic: &'static TopicSpec,
    /// A partition; may be repeated [default: all]
    #[arg(long, value_name = "NUMBER")]
    partition: Vec<u32>,
    /// Where to begin: beginning, end, or an offset of the one --partition [default: beginning; with
    /// --follow end]
    #[arg(long, value_name = "WHERE")]
    from: Option<Begin>,
    /// Go on with what comes in, until stopped; needs the cluster engine
    #[arg(long)]
    follow: bool,
    /// End after so many lines
    #[arg(long, value_name = "LINES")]
    limit: Option<u64>,
    /// Only what is about this partner
    #[arg(long, value_name = "PARTNER")]
    partner: Option<String>,
    /// Only what is about this round
    #[arg(long, value_name = "ROUND")]
    round: Option<String>,
    /// Only what is about this bet
    #[arg(long, value_name = "BET")]
    bet: Option<String>,
    #[command(flatten)]
    at: Where,
}

fn topic() -> impl TypedValueParser<Value = &'static TopicSpec> {
    let names = TOPICS
        .iter()
        .map(|spec| PossibleValue::new(short(spec.name)).alias(spec.name).help(spec.what));
    PossibleValuesParser::new(names).try_map(|name| find(&name).map_err(|error| error.to_string()))
}

pub(super) async fn run(args: Args) -> anyhow::Result<u8> {
    if matches!(args.from, Some(Begin::Offset(_))) && args.partition.len() != 1 {
        bail!(
            "--from OFFSET needs one --partition: offsets of different partitions are not the same"
        );
    }
    let config = args.at.load()?;
    let from = args.from.unwrap_or(if args.follow { Begin::End } else { Begin::Beginning });
    let plan = Tail {
        topic: Topic(args.topic.name),
        partitions: args.partition,
        from,
        follow: args.follow,
        limit: args.limit,
        filter: Filter { partner: args.partner, round: args.round, bet: args.bet },
    };
    match config.engine.kind {
        EngineKind::Embedded if plan.follow => {
            bail!(
                "--follow needs the cluster engine: a data directory is read while its server is stopped"
            )
        }
        EngineKind::Embedded => print(open::at_rest(&config.storage.data_dir).await?, plan).await,
        EngineKind::Cluster => print(open::cluster_reader(&config).await?, plan).await,
    }
}

async fn print<E: Opened>(engine: E, plan: Tail) -> anyhow::Result<u8> {
    let printed = match chosen(&plan.partitions, engine.partitions(plan.topic)) {
        Ok(partitions) => {
            topics::tail(&engine, &Tail { partitions, ..plan }, BufWriter::new(stdout())).await
        }
        Err(error) => Err(error),
    };
    engine.close().await;
    printed.map(|()| EXIT_OK)
}
