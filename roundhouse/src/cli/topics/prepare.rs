//! `roundhouse topics plan`, `apply` and `check`.

use crate::cli::servers::Servers;
use crate::cli::{EXIT_FINDING, EXIT_OK};
use crate::config::Cluster;
use crate::engine::catalogue_cluster;
use crate::serve::open;
use anyhow::{Context, anyhow};
use clap::Subcommand;
use runtime::Catalogue;
use runtime::cluster::topics::{self, Finding, Plan, Severity, Wanted};
use serde_json::json;

const EXAMPLES: &str = "\
Examples:
  What would be done, and what a person must do:
    roundhouse topics plan --brokers localhost:9092 --profile single

  The same, for services with this configuration:
    roundhouse topics plan --config roundhouse.toml

  Create what is missing, alter what could lose money; can be run again at any time:
    roundhouse topics apply --brokers kafka-1:9092,kafka-2:9092,kafka-3:9092 --profile cluster

  What every service checks when it starts:
    roundhouse topics check --brokers kafka-1:9092 --profile cluster

`apply` never deletes a topic, changes a partition count, moves a replica or shortens a retention.

Exit codes:
  0  plan: printed; apply, check: services may start
  1  apply, check: services would refuse to start
  2  no broker answered, or it could not be asked or changed";

/// Make Kafka's topics what they must be, or say what is wrong with them.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print what `apply` would do and what a person must do; change nothing
    #[command(after_help = EXAMPLES)]
    Plan(Where),
    /// Create missing topics and alter settings that could lose money
    #[command(after_help = EXAMPLES)]
    Apply(Where),
    /// Print what differs; change nothing
    #[command(after_help = EXAMPLES)]
    Check(Where),
}

#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Where {
    #[command(flatten)]
    servers: Servers,
    /// Brokers to begin with, separated by commas [default: 127.0.0.1:9092]
    #[arg(long, value_name = "HOST:PORT,...")]
    brokers: Option<String>,
    /// A property of librdkafka, such as security.protocol=sasl_plaintext; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = property)]
    property: Vec<(String, String)>,
    /// Print one JSON document instead of text
    #[arg(long)]
    json: bool,
}

fn property(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("it must be NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

pub(super) async fn run(command: Command) -> anyhow::Result<u8> {
    match command {
        Command::Plan(at) => plan(at).await,
        Command::Apply(at) => apply(at).await,
        Command::Check(at) => check(at).await,
    }
}

impl Where {
    fn cluster(
        self,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> anyhow::Result<Cluster> {
        let mut cluster = self.servers.load(environment, self.brokers, Vec::new())?;
        cluster.properties.extend(self.property);
        Ok(cluster)
    }
}

/// The topics under the names that they have at these brokers.
fn catalogue(cluster: &Cluster) -> Catalogue {
    catalogue_cluster().in_namespace(&cluster.namespace)
}

async fn plan(at: Where) -> anyhow::Result<u8> {
    let json = at.json;
    let cluster = at.cluster(std::env::vars())?;
    let catalogue = catalogue(&cluster);
    let found = topics::read(&open::kafka(&cluster), &catalogue).await?;
    let plan = topics::plan(&Wanted::new(open::profile(&cluster), &catalogue), &found);
    if json {
        print_json(&json!(plan))?;
    } else {
        print_plan(&plan, "would");
    }
    Ok(EXIT_OK)
}

async fn apply(at: Where) -> anyhow::Result<u8> {
    let json = at.json;
    let cluster = at.cluster(std::env::vars())?;
    let (kafka, profile) = (open::kafka(&cluster), open::profile(&cluster));
    let done = topics::apply(&kafka, profile, &catalogue(&cluster)).await?;
    let refuses = refuses(&done.findings);
    if json {
        let (create, alter) = (&done.plan.create, &done.plan.alter);
        let left = &done.findings;
        print_json(
            &json!({ "created": create, "altered": alter, "findings": left, "refuses": refuses }),
        )?;
    } else {
        print_plan(&Plan { findings: done.findings, ..done.plan }, "did");
    }
    Ok(if refuses { EXIT_FINDING } else { EXIT_OK })
}

async fn check(at: Where) -> anyhow::Result<u8> {
    let json = at.json;
    let cluster = at.cluster(std::env::vars())?;
    let catalogue = catalogue(&cluster);
    let found = topics::read(&open::kafka(&cluster), &catalogue).await?;
    let findings = topics::check(&Wanted::new(open::profile(&cluster), &catalogue), &found);
    let refuses = refuses(&findings);
    if json {
        print_json(&json!({ "findings": findings, "refuses": refuses }))?;
    } else {
        for finding in &findings {
            let word = match finding.severity {
                Severity::Refuse => "refuse",
                Severity::Note => "note",
            };
            println!("{word}  {finding}");
        }
        println!(
            "{}",
            if refuses { "services would refuse to start" } else { "services may start" }
        );
    }
    Ok(if refuses { EXIT_FINDING } else { EXIT_OK })
}

fn refuses(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.severity == Severity::Refuse)
}

fn print_json(document: &serde_json::Value) -> anyhow::Result<()> {
    let text = serde_json::to_string(document).map_err(|error| anyhow!(error));
    println!("{}", text.context("the plan is not JSON")?);
    Ok(())
}

fn print_plan(plan: &Plan, would: &str) {
    for made in &plan.create {
        let settings: Vec<String> =
            made.settings.iter().map(|(name, value)| format!("{name}={value}")).collect();
        println!(
            "create  {}: {} partitions, {} replicas, {}",
            made.topic,
            made.partitions,
            made.replication,
            settings.join(" ")
        );
    }
    for alter in &plan.alter {
        for change in &alter.changes {
            println!(
                "alter   {}: {} {} -> {}",
                alter.topic, change.setting, change.from, change.to
            );
        }
        if !alter.hidden.is_empty() {
            println!(
                "person  {}: Kafka does not tell {}, which altering would reset; use kafka-configs.sh",
                alter.topic,
                alter.hidden.join(", ")
            );
        }
    }
    for finding in plan.for_a_person() {
        println!("person  {finding}");
    }
    for finding in plan.notes() {
        println!("note    {finding}");
    }
    println!(
        "apply {would} create {} topics and alter {}; {} findings are left to a person",
        plan.create.len(),
        plan.alter.len(),
        plan.for_a_person().count()
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Profile;
    use clap::FromArgMatches;

    /// Flags over the environment over the file over the defaults, as for `serve`.
    #[test]
    fn the_file_of_the_services_says_where_kafka_is_and_what_topics_are_called() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("roundhouse.toml");
        let file = "[cluster]\nprofile = \"single\"\nbrokers = \"f:1\"\nnamespace = \"of_file.\"\n\
                    properties = { \"linger.ms\" = \"1\", \"security.protocol\" = \"ssl\" }";
        std::fs::write(&path, file).unwrap();
        let of = |arguments: &[&str], environment: &[(&str, &str)]| {
            let path = path.to_str().unwrap();
            let all = ["topics", "plan", "--config", path].into_iter();
            let all = all.chain(arguments.iter().copied());
            let cli = Command::augment_subcommands(clap::Command::new("topics"));
            let found = Command::from_arg_matches(&cli.get_matches_from(all)).unwrap();
            let Command::Plan(at) = found else { panic!() };
            let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
            at.cluster(environment).unwrap()
        };
        let cluster = of(&[], &[]);
        assert_eq!((cluster.brokers.as_str(), cluster.profile), ("f:1", Profile::Single));
        assert_eq!(cluster.namespace, "of_file.");
        let environment = [
            ("ROUNDHOUSE__CLUSTER__BROKERS", "e:1"),
            ("ROUNDHOUSE__CLUSTER__NAMESPACE", "of_environment."),
        ];
        let cluster = of(&[], &environment);
        assert_eq!(
            (cluster.brokers.as_str(), cluster.namespace.as_str()),
            ("e:1", environment[1].1)
        );
        let flags = ["--brokers", "a:1,b:2", "--profile", "cluster", "--property", "linger.ms=7"];
        let cluster = of(&flags, &environment);
        assert_eq!((cluster.brokers.as_str(), cluster.profile), ("a:1,b:2", Profile::Cluster));
        assert_eq!(cluster.properties["linger.ms"], "7");
        assert_eq!(cluster.properties["security.protocol"], "ssl", "others stay");
    }
}
