//! `roundhouse topics`.

use super::{EXIT_FINDING, EXIT_OK};
use crate::engine::catalogue_cluster;
use anyhow::{Context, anyhow};
use clap::{Subcommand, ValueEnum};
use runtime::cluster::Profile;
use runtime::cluster::topics::{self, Finding, Kafka, Plan, Severity, Wanted};
use serde_json::json;
use std::collections::BTreeMap;

const EXAMPLES: &str = "\
Examples:
  What would be done, and what a person must do:
    roundhouse topics plan --brokers localhost:9092 --profile single

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
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
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

#[derive(Debug, clap::Args)]
struct Where {
    /// Brokers to begin with, separated by commas
    #[arg(long, value_name = "HOST:PORT,...", env = "ROUNDHOUSE__CLUSTER__BROKERS")]
    brokers: String,
    /// What the brokers must promise
    #[arg(long, value_enum, env = "ROUNDHOUSE__CLUSTER__PROFILE")]
    profile: Given,
    /// A property of librdkafka, such as security.protocol=sasl_plaintext; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = property)]
    property: Vec<(String, String)>,
    /// Print one JSON document instead of text
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Given {
    /// One broker: durable against a crash of a process, not against loss of the machine
    Single,
    /// Three brokers or more: replication 3, two in-sync replicas
    Cluster,
}

impl Given {
    fn profile(self) -> Profile {
        match self {
            Self::Single => Profile::Single,
            Self::Cluster => Profile::Cluster,
        }
    }
}

fn property(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("it must be NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

pub(super) async fn run(args: Args) -> anyhow::Result<u8> {
    match args.command {
        Command::Plan(at) => plan(at).await,
        Command::Apply(at) => apply(at).await,
        Command::Check(at) => check(at).await,
    }
}

impl Where {
    fn kafka(&self) -> Kafka {
        let properties: BTreeMap<_, _> = self.property.iter().cloned().collect();
        Kafka { brokers: self.brokers.clone(), properties }
    }
}

async fn plan(at: Where) -> anyhow::Result<u8> {
    let (profile, catalogue) = (at.profile.profile(), catalogue_cluster());
    let found = topics::read(&at.kafka(), &catalogue).await?;
    let plan = topics::plan(&Wanted::new(profile, &catalogue), &found);
    if at.json {
        print_json(&json!(plan))?;
    } else {
        print_plan(&plan, "would");
    }
    Ok(EXIT_OK)
}

async fn apply(at: Where) -> anyhow::Result<u8> {
    let done = topics::apply(&at.kafka(), at.profile.profile(), &catalogue_cluster()).await?;
    let refuses = refuses(&done.findings);
    if at.json {
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
    let (profile, catalogue) = (at.profile.profile(), catalogue_cluster());
    let found = topics::read(&at.kafka(), &catalogue).await?;
    let findings = topics::check(&Wanted::new(profile, &catalogue), &found);
    let refuses = refuses(&findings);
    if at.json {
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
