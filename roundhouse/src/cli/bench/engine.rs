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

/// The flags that name these servers.
pub(super) fn arguments(servers: &Servers) -> Vec<String> {
    let Servers { profile, brokers, properties, store_nodes, given_addresses_only } = servers;
    let profile = match profile {
        Profile::Cluster => "cluster",
        Profile::Single => "single",
    };
    let nodes = store_nodes.join(",");
    let known = ["--engine", "cluster", "--profile", profile];
    let places = ["--brokers", brokers.as_str(), "--store-nodes", &nodes];
    let mut arguments: Vec<String> =
        known.into_iter().chain(places).map(ToOwned::to_owned).collect();
    for (name, value) in properties {
        arguments.extend(["--property".to_owned(), format!("{name}={value}")]);
    }
    if *given_addresses_only {
        arguments.push("--given-addresses-only".to_owned());
    }
    arguments
}

fn property(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    #[command(no_binary_name = true)]
    struct Line {
        #[command(flatten)]
        flags: Flags,
    }

    #[test]
    fn servers_are_named_as_they_were() {
        let given = [
            "--engine=cluster",
            "--profile=single",
            "--brokers=a:1,b:2",
            "--store-nodes=c:3,d:4",
            "--property=linger.ms=3",
            "--property=acks=all",
            "--given-addresses-only",
        ];
        let servers = Line::try_parse_from(given).unwrap().flags.servers().unwrap();
        let again = Line::try_parse_from(arguments(&servers)).unwrap().flags.servers().unwrap();
        assert_eq!(format!("{again:?}"), format!("{servers:?}"));
        assert_eq!(servers.properties.len(), 2);
        assert!(Line::try_parse_from(["--engine=embedded"]).unwrap().flags.servers().is_none());
    }
}
