//! `roundhouse topics list`.

use super::Where;
use crate::cli::EXIT_OK;
use crate::cli::lines::ends_well;
use crate::config::{Config, EngineKind};
use crate::serve::{Opened, open};
use crate::topics::{TopicInfo, infos, offsets};
use anyhow::Context;
use runtime::Topic;
use std::fmt::Write as _;
use std::io::Write as _;

const EXAMPLES: &str = "\
Examples:
  roundhouse topics list
  roundhouse topics list --engine cluster --json
  roundhouse topics list --offsets --data-dir ./data
  roundhouse topics list --offsets --engine cluster --brokers kafka:9092 --store-nodes scylla:9042

Exit codes:
  0  printed
  2  the engine could not be opened or read";

/// Print every topic: what stands there, its key, partitions and retention; with --offsets what is in it
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Look into the data directory of a stopped server, or at the cluster: lowest and next offset
    #[arg(long)]
    offsets: bool,
    /// Print one JSON document instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    at: Where,
}

pub(super) async fn run(args: Args) -> anyhow::Result<u8> {
    let config = args.at.load()?;
    let mut infos = match config.engine.kind {
        EngineKind::Embedded => {
            infos(|spec| spec.partitions_embedded, config.storage.retention_days)
        }
        // Kafka's topics are made with the shortest retention that loses no money.
        EngineKind::Cluster => infos(|spec| spec.partitions_cluster, crate::engine::RETENTION_DAYS),
    };
    if args.offsets {
        look(&config, &mut infos).await?;
    }
    let text = match args.json {
        true => serde_json::to_string(&infos).context("the topics are not JSON")? + "\n",
        false => text(&infos),
    };
    ends_well(std::io::stdout().lock().write_all(text.as_bytes()))?;
    Ok(EXIT_OK)
}

async fn look(config: &Config, infos: &mut [TopicInfo]) -> anyhow::Result<()> {
    match config.engine.kind {
        EngineKind::Embedded => {
            look_into(open::at_rest(&config.storage.data_dir).await?, infos).await
        }
        EngineKind::Cluster => look_into(open::cluster_reader(config).await?, infos).await,
    }
}

async fn look_into<E: Opened>(engine: E, infos: &mut [TopicInfo]) -> anyhow::Result<()> {
    let mut looked = Ok(());
    for info in infos {
        match offsets(&engine, Topic(info.topic)).await {
            Ok(found) => info.offsets = Some(found),
            Err(error) => {
                looked = Err(error);
                break;
            }
        }
    }
    engine.close().await;
    looked
}

/// Not a table: what a topic is does not fit into a column.
fn text(infos: &[TopicInfo]) -> String {
    let mut text = String::new();
    for info in infos {
        let retention = match info.retention_days {
            Some(days) => format!("{days} days"),
            None => "for ever".to_owned(),
        };
        let compacted = if info.compacted { ", only the newest of each key" } else { "" };
        // Writing into a text does not fail.
        let _written = write!(
            text,
            "{}\n    {}\n    key         {}\n    partitions  {} by {}\n    kept        {retention}{compacted}\n",
            info.topic, info.what, info.key, info.partitions, info.partitioned_by
        );
        for found in info.offsets.iter().flatten() {
            let count = found.end - found.begin;
            let _written = writeln!(
                text,
                "    {:>10}  {count} records, from {} to below {}",
                found.partition, found.begin, found.end
            );
        }
    }
    text
}
