//! The engine that a bench runs on, and where its servers are.

use crate::bench::cluster::Servers;
use crate::config;
use runtime::cluster::Profile;

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
