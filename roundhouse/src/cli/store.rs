//! `roundhouse store`.

use super::servers::Servers;
use super::{EXIT_FINDING, EXIT_OK};
use crate::config::Cluster;
use crate::serve::open;
use anyhow::Context;
use runtime::cluster::store::{StoreOpenError, StoreStatus, carried, migrate, status};
use std::fmt::Write;

const EXAMPLES: &str = "\
Examples:
  roundhouse store migrate --config roundhouse.toml
  roundhouse store migrate --profile single --nodes localhost:9042
  roundhouse store migrate --profile cluster --nodes db1:9042,db2:9042,db3:9042
  roundhouse store status --profile cluster --nodes db1:9042,db2:9042,db3:9042";

const EXAMPLES_MIGRATE: &str = "\
Examples:
  roundhouse store migrate --config roundhouse.toml
  roundhouse store migrate --profile single --nodes localhost:9042
  roundhouse store migrate --profile cluster --nodes db1:9042,db2:9042,db3:9042

Exit codes:
  0  the store has every migration of this binary, and services start on it
  1  services would refuse it for a reason that no migration removes; it is said
  2  the store could not be read or changed";

const EXAMPLES_STATUS: &str = "\
Examples:
  roundhouse store status --config roundhouse.toml
  roundhouse store status --profile cluster --nodes db1:9042,db2:9042,db3:9042

Exit codes:
  0  services of this binary start on the store
  1  they would refuse it; the reason is said
  2  the store could not be read";

/// Prepare and check the fact store of the cluster engine: ScyllaDB or Apache Cassandra.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Create the keyspace if it is missing, and apply the migrations that the store does not have.
    ///
    /// May run any number of times, also at once from several machines. Never drops anything.
    #[command(after_help = EXAMPLES_MIGRATE)]
    Migrate(Store),
    /// Say which migrations the store has, and whether services would start on it. Changes nothing.
    #[command(after_help = EXAMPLES_STATUS)]
    Status(Store),
}

#[derive(Clone, Debug, Default, clap::Args)]
struct Store {
    #[command(flatten)]
    servers: Servers,
    /// Nodes to begin with, separated by commas; the others are learned from them [default:
    /// 127.0.0.1:9042]
    #[arg(
        long,
        visible_alias = "store-nodes",
        value_name = "HOST:PORT,...",
        value_delimiter = ','
    )]
    nodes: Vec<String>,
    /// The keyspace [default: roundhouse]
    #[arg(long, value_name = "NAME")]
    keyspace: Option<String>,
    /// Connect to the nodes given and to no other address, whatever the nodes say of themselves: for
    /// nodes behind a port mapping, as in containers
    #[arg(long)]
    given_addresses_only: bool,
}

impl Store {
    fn cluster(
        self,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> anyhow::Result<Cluster> {
        let mut cluster = self.servers.load(environment, None, self.nodes)?;
        cluster.keyspace = self.keyspace.unwrap_or(cluster.keyspace);
        cluster.given_addresses_only |= self.given_addresses_only;
        Ok(cluster)
    }
}

pub(super) async fn run(args: Args) -> anyhow::Result<u8> {
    match args.command {
        Command::Migrate(store) => {
            let cluster = store.cluster(std::env::vars())?;
            let applied = match migrate(&open::store(&cluster), open::profile(&cluster)).await {
                Ok(applied) => applied,
                Err(refused) if refused.is_refusal() => return Ok(refuse(&refused)),
                Err(error) => return Err(error).context("store not migrated"),
            };
            for migration in &applied {
                println!("applied {:04} {}", migration.number, migration.name);
            }
            println!("keyspace {} is up to date", cluster.keyspace);
            Ok(EXIT_OK)
        }
        Command::Status(store) => {
            let cluster = store.cluster(std::env::vars())?;
            let found = status(&open::store(&cluster), open::profile(&cluster)).await;
            let found = found.context("store not read")?;
            print!("{}", table(&found)?);
            match &found.refused {
                None => {
                    println!("services start on keyspace {}", cluster.keyspace);
                    Ok(EXIT_OK)
                }
                Some(refused) => Ok(refuse(refused)),
            }
        }
    }
}

/// A line for each migration, whether this binary or the store has it.
fn table(status: &StoreStatus) -> Result<String, std::fmt::Error> {
    let mut lines = String::new();
    for ours in carried() {
        let found = status.applied.iter().filter(|found| found.number == ours.number);
        let checksums: Vec<_> = found.map(|found| found.checksum.as_str()).collect();
        let state = match checksums.as_slice() {
            [] => "missing",
            [one] if *one == ours.checksum() => "applied",
            _ => "differs",
        };
        writeln!(lines, "{:04} {:<24} {state}", ours.number, ours.name)?;
    }
    let ours = |number| carried().iter().any(|ours| ours.number == number);
    for found in status.applied.iter().filter(|found| !ours(found.number)) {
        writeln!(lines, "{:04} {:<24} not known to this binary", found.number, found.name)?;
    }
    Ok(lines)
}

fn refuse(refused: &StoreOpenError) -> u8 {
    println!("services refuse to start: {refused}");
    EXIT_FINDING
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Profile;
    use clap::{Args as _, FromArgMatches};
    use runtime::cluster::store::Applied;

    #[test]
    fn the_table_names_what_is_missing_what_differs_and_what_is_newer() {
        let of = |applied: Vec<Applied>| table(&StoreStatus { applied, refused: None }).unwrap();
        let applied = |number, name: &str, checksum: &str| {
            let (name, checksum) = (name.to_owned(), checksum.to_owned());
            Applied { number, name, checksum }
        };
        let right = carried()[0].checksum();
        assert!(of(vec![]).ends_with(" missing\n"));
        assert!(of(vec![applied(1, "facts", &right)]).ends_with(" applied\n"));
        assert!(of(vec![applied(1, "facts", "c")]).ends_with(" differs\n"));
        let both = of(vec![applied(1, "facts", &right), applied(1, "facts", "c")]);
        assert!(both.ends_with(" differs\n"), "{both}");
        let newer = of(vec![applied(1, "facts", &right), applied(9, "later", "c")]);
        assert!(
            newer.ends_with("0009 later                    not known to this binary\n"),
            "{newer}"
        );
    }

    /// Flags over the environment over the file over the defaults, as for `serve`.
    #[test]
    fn the_file_of_the_services_says_where_the_store_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("roundhouse.toml");
        let file =
            "[cluster]\nprofile = \"single\"\nstore_nodes = [\"f:1\"]\nkeyspace = \"of_file\"";
        std::fs::write(&path, file).unwrap();
        let of = |arguments: &[&str], environment: &[(&str, &str)]| {
            let path = path.to_str().unwrap();
            let all = ["migrate", "--config", path].into_iter().chain(arguments.iter().copied());
            let Command::Migrate(store) = parsed(all) else { panic!() };
            let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
            let cluster = store.cluster(environment).unwrap();
            (cluster.store_nodes.join(","), cluster.keyspace, cluster.profile)
        };
        let keyspace = ("ROUNDHOUSE__CLUSTER__KEYSPACE", "of_environment");
        let told =
            |nodes: &str, keyspace: &str, profile| (nodes.to_owned(), keyspace.to_owned(), profile);
        assert_eq!(of(&[], &[]), told("f:1", "of_file", Profile::Single));
        assert_eq!(of(&[], &[keyspace]), told("f:1", "of_environment", Profile::Single));
        let flags = ["--nodes", "a:1,b:2", "--keyspace", "of_flag", "--profile", "cluster"];
        assert_eq!(of(&flags, &[keyspace]), told("a:1,b:2", "of_flag", Profile::Cluster));
        let Command::Status(store) = parsed(["status"]) else { panic!() };
        let defaults = store.cluster([]).unwrap();
        assert_eq!(defaults.store_nodes, ["127.0.0.1:9042"]);
    }

    fn parsed<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let cli = Args::augment_args(clap::Command::new("store"));
        let found = cli.get_matches_from(std::iter::once("store").chain(arguments));
        Args::from_arg_matches(&found).unwrap().command
    }
}
