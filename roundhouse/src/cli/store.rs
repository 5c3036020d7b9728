//! `roundhouse store`.

use super::{EXIT_FINDING, EXIT_OK};
use anyhow::Context;
use runtime::cluster::store::{StoreOpenError, StoreStatus, carried, migrate, status};
use runtime::cluster::{Profile, StoreOptions};
use std::fmt::Write;

const EXAMPLES: &str = "\
Examples:
  roundhouse store migrate --profile single --nodes localhost:9042
  roundhouse store migrate --profile cluster --nodes db1:9042,db2:9042,db3:9042
  roundhouse store status --profile cluster --nodes db1:9042,db2:9042,db3:9042";

const EXAMPLES_MIGRATE: &str = "\
Examples:
  roundhouse store migrate --profile single --nodes localhost:9042
  roundhouse store migrate --profile cluster --nodes db1:9042,db2:9042,db3:9042

Exit codes:
  0  the store has every migration of this binary, and services start on it
  1  services would refuse it for a reason that no migration removes; it is said
  2  the store could not be read or changed";

const EXAMPLES_STATUS: &str = "\
Examples:
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

#[derive(Debug, clap::Args)]
struct Store {
    /// Nodes to begin with, separated by commas; the others are learned from them
    #[arg(
        long,
        value_name = "HOST:PORT,...",
        value_delimiter = ',',
        env = "ROUNDHOUSE__CLUSTER__STORE_NODES",
        required = true
    )]
    nodes: Vec<String>,
    /// The keyspace
    #[arg(
        long,
        value_name = "NAME",
        env = "ROUNDHOUSE__CLUSTER__KEYSPACE",
        default_value = "roundhouse"
    )]
    keyspace: String,
    /// What the servers must promise
    #[arg(long, value_enum, env = "ROUNDHOUSE__CLUSTER__PROFILE")]
    profile: ProfileName,
    /// Connect to the nodes given and to no other address, whatever the nodes say of themselves: for
    /// nodes behind a port mapping, as in containers
    #[arg(long, env = "ROUNDHOUSE__CLUSTER__GIVEN_ADDRESSES_ONLY")]
    given_addresses_only: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum ProfileName {
    /// One node, one replica: survives a crash of the process, not the loss of the machine
    Single,
    /// Three nodes or more, three replicas
    Cluster,
}

impl Store {
    fn options(&self) -> (StoreOptions, Profile) {
        let profile = match self.profile {
            ProfileName::Single => Profile::Single,
            ProfileName::Cluster => Profile::Cluster,
        };
        let (nodes, keyspace) = (self.nodes.clone(), self.keyspace.clone());
        let given_addresses_only = self.given_addresses_only;
        (StoreOptions { nodes, keyspace, given_addresses_only }, profile)
    }
}

pub(super) async fn run(args: Args) -> anyhow::Result<u8> {
    match args.command {
        Command::Migrate(store) => {
            let (options, profile) = store.options();
            let applied = match migrate(&options, profile).await {
                Ok(applied) => applied,
                Err(refused) if refused.is_refusal() => return Ok(refuse(&refused)),
                Err(error) => return Err(error).context("store not migrated"),
            };
            for migration in &applied {
                println!("applied {:04} {}", migration.number, migration.name);
            }
            println!("keyspace {} is up to date", options.keyspace);
            Ok(EXIT_OK)
        }
        Command::Status(store) => {
            let (options, profile) = store.options();
            let status = status(&options, profile).await.context("store not read")?;
            print!("{}", table(&status)?);
            match &status.refused {
                None => {
                    println!("services start on keyspace {}", options.keyspace);
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
}
