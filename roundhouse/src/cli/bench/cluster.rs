//! The benches of the cluster engine alone, and where its servers are.

use super::{Outcome, hand_over, print};
use crate::bench::cluster::{
    Servers, SettlePlan, TopicPlan, correct_old, events, post_at_rate, result_to_confirmed,
    result_to_topic, settle,
};
use crate::bench::{EventsPlan, PostBetPlan, ResultPlan};
use crate::cli::EXIT_OK;
use crate::config;
use anyhow::{Context, bail};
use clap::Subcommand;
use runtime::cluster::Profile;
use std::path::Path;

/// The engine, and its servers.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Engine")]
pub(super) struct Flags {
    /// What carries the log and the facts
    #[arg(long, global = true, value_enum, value_name = "ENGINE", default_value = "embedded")]
    engine: config::EngineKind,
    /// Kafka brokers to begin with, host:port separated by commas
    #[arg(long, global = true, value_name = "BROKERS", default_value = "127.0.0.1:9092")]
    brokers: String,
    /// Nodes of the store to begin with, host:port separated by commas
    #[arg(
        long,
        global = true,
        value_name = "NODES",
        value_delimiter = ',',
        default_value = "127.0.0.1:9042"
    )]
    store_nodes: Vec<String>,
    /// What the servers promise
    #[arg(long, global = true, value_enum, value_name = "PROFILE", default_value = "cluster")]
    profile: config::Profile,
    /// A setting of librdkafka in place of ours; may be given again
    #[arg(long, global = true, value_name = "NAME=VALUE", value_parser = property)]
    property: Vec<(String, String)>,
    /// Connect to the nodes given and to no other address, whatever the nodes say of themselves
    #[arg(long, global = true)]
    given_addresses_only: bool,
}

impl Flags {
    /// The servers; `None` for the embedded engine.
    pub(super) fn servers(self) -> Option<Servers> {
        let Self { engine, brokers, store_nodes, profile, property, given_addresses_only } = self;
        let properties = property.into_iter().collect();
        let profile = match profile {
            config::Profile::Cluster => Profile::Cluster,
            config::Profile::Single => Profile::Single,
        };
        match engine {
            config::EngineKind::Embedded => None,
            config::EngineKind::Cluster => {
                Some(Servers { profile, brokers, properties, store_nodes, given_addresses_only })
            }
        }
    }
}

fn property(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[derive(Debug, Subcommand)]
pub(super) enum What {
    /// From a round's result to the last of its settlements in the topic
    ResultToTopic {
        /// Bets of each round
        #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
        bets: u32,
        /// Rounds, each followed by the plain program
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..))]
        rounds: u16,
    },
    /// From a correction of a round that the settlers have forgotten to its last confirmation
    CorrectOld {
        /// Bets of each round
        #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
        bets: u32,
        /// Rounds; all but the newest are corrected
        #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(2..))]
        rounds: u16,
    },
    /// Everything that has a floor on this engine, one report after the other
    All {
        /// Bets of the run of `settle`
        #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..))]
        bets: u32,
    },
    HandOver(hand_over::Flags),
    /// What a core-second of a settler can do with bets that wait in the log
    Settle {
        /// Bets of a run
        #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..))]
        bets: u32,
        /// Runs, each followed by the plain program
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
        pairs: u16,
    },
}

/// Partners of every bench here.
const PARTNERS: usize = 20;
/// Bets of a round of `settle`.
const ROUND_BETS: usize = 10_000;
const SEED: u64 = 1;

pub(super) async fn measure(
    what: What,
    servers: Option<Servers>,
    data_dir: &Path,
    json: bool,
) -> anyhow::Result<Outcome> {
    let Some(servers) = servers else {
        bail!(
            "this is measured on Kafka and a CQL store: add --engine cluster, --brokers, --store-nodes"
        );
    };
    let data_dir = data_dir.to_owned();
    let confirmed = |bets: u32, rounds: u16| -> anyhow::Result<ResultPlan> {
        Ok(ResultPlan {
            bets: usize::try_from(bets).context("too many bets")?,
            partners: PARTNERS,
            wallet_latency_ms: 20,
            rounds: usize::from(rounds),
            seed: SEED,
            data_dir: data_dir.clone(),
            exe: std::env::current_exe().context("this binary is not to be found")?,
        })
    };
    match what {
        What::All { bets } => {
            let again = |what| Box::pin(measure(what, Some(servers.clone()), &data_dir, json));
            again(What::ResultToTopic { bets: 10_000, rounds: 20 }).await?;
            print(&result_to_confirmed(&confirmed(10_000, 10)?, &servers).await?, json)?;
            again(What::CorrectOld { bets: 10_000, rounds: 4 }).await?;
            let plan = PostBetPlan {
                connections: 64,
                seconds: 10,
                pairs: 3,
                data_dir: data_dir.clone(),
                exe: std::env::current_exe().context("this binary is not to be found")?,
            };
            print(&post_at_rate(&plan, 1_000, &servers).await?, json)?;
            let PostBetPlan { seconds, pairs, data_dir, exe, .. } = plan;
            let plan = EventsPlan { events: 20, connections: 32, seconds, pairs, data_dir, exe };
            print(&events(&plan, &servers).await?, json)?;
            again(What::Settle { bets, pairs: 1 }).await?;
        }
        What::CorrectOld { bets, rounds } => {
            print(&correct_old(&confirmed(bets, rounds)?, &servers).await?, json)?;
        }
        What::HandOver(flags) => return hand_over::measure(flags, servers, &data_dir, json).await,
        What::ResultToTopic { bets, rounds } => {
            let bets = usize::try_from(bets).context("too many bets")?;
            let rounds = usize::from(rounds);
            let plan =
                TopicPlan { servers, bets, partners: PARTNERS, rounds, seed: SEED, data_dir };
            print(&result_to_topic(&plan).await?, json)?;
        }
        What::Settle { bets, pairs } => {
            let plan = SettlePlan {
                servers,
                bets: usize::try_from(bets).context("too many bets")?,
                round_bets: ROUND_BETS,
                partners: PARTNERS,
                pairs: usize::from(pairs),
                seed: SEED,
                data_dir,
            };
            print(&settle(&plan).await?, json)?;
        }
    }
    Ok(Outcome { code: EXIT_OK, keeps: false })
}
