//! Chores: the steps of the test command, and writing generated files anew.

mod stack;
mod tools;

use anyhow::{Context, bail};
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

/// Chores of the repository.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Run every step of the test command, or those named.
    Test {
        /// Names of steps; all of them where none is given.
        #[arg(value_parser = step_names())]
        steps: Vec<String>,
    },
    /// Write the schema files and the documents of both partner APIs from the Rust types, for review.
    Bless,
    /// Run the demo with faults for ten seeds; every audit must be clean.
    Demos {
        /// Bets a round.
        #[arg(long, default_value_t = 10_000)]
        bets: u32,
        /// How many seeds.
        #[arg(long, default_value_t = 10)]
        seeds: u32,
    },
    /// Kill, stop and shake processes, brokers and nodes under load; not a cent may be amiss.
    Chaos {
        /// For how long.
        #[arg(long, default_value_t = 5)]
        minutes: u64,
        /// Seed of what happens.
        #[arg(long, default_value_t = 4)]
        seed: u64,
        /// Brokers and nodes: one of each, or three with every record and row on all three.
        #[arg(long, value_enum, default_value = "one")]
        servers: Servers,
    },
    /// Kafka and Cassandra for tests, as plain processes.
    Stack {
        #[command(subcommand)]
        command: stack::StackCommand,
    },
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Servers {
    One,
    Three,
}

struct Step {
    name: &'static str,
    what: &'static str,
    how: How,
}

/// How a step is run.
enum How {
    /// A command of cargo.
    Cargo(&'static [&'static str]),
    /// The same, with Kafka and a store beside it.
    Servers(&'static [&'static str]),
    /// A function; it names what it could not check.
    Tools(fn() -> anyhow::Result<Option<&'static str>>),
}

const STEPS: &[Step] = &[
    Step { name: "format", what: "formatting", how: How::Cargo(&["fmt", "--all", "--check"]) },
    Step {
        name: "python",
        what: "lints, formatting and types of what is in Python",
        how: How::Tools(tools::python),
    },
    Step {
        name: "deny",
        what: "licences, sources and known vulnerabilities of dependencies",
        how: How::Tools(tools::deny),
    },
    Step { name: "lint", what: "lints, warnings denied", how: How::Cargo(&["lint"]) },
    Step {
        name: "lint-default",
        what: "the same for the build without the cluster engine",
        how: How::Cargo(&[
            "clippy",
            "--package",
            "roundhouse",
            "--profile",
            "sim",
            "--",
            "--deny",
            "warnings",
        ]),
    },
    Step {
        name: "tests",
        what: "tests of every crate and of whole processes",
        how: How::Servers(&[
            "test",
            "--workspace",
            "--features",
            "runtime/cluster,roundhouse/cluster",
            "--profile",
            "sim",
        ]),
    },
    Step {
        name: "rules",
        what: "alerts, their tests, and what a server exposes, by promtool",
        how: How::Tools(tools::rules),
    },
    Step {
        name: "isolation",
        what: "partners that are ill are not noticed by the others",
        how: How::Tools(isolation),
    },
    Step {
        name: "seeds",
        what: "20,000 seeds of the simulation",
        how: How::Cargo(&["sim", "--seeds", "20000", "--threads", "2"]),
    },
    Step {
        name: "planted",
        what: "every planted bug is caught within 2,000 seeds",
        how: How::Cargo(&["sim", "--planted", "all", "--seeds", "2000"]),
    },
];

fn step_names() -> clap::builder::PossibleValuesParser {
    STEPS.iter().map(|step| step.name).collect::<Vec<_>>().into()
}

fn main() -> anyhow::Result<()> {
    match Args::parse().chore {
        Chore::Test { steps } => test(&steps),
        Chore::Bless => bless(),
        Chore::Demos { bets, seeds } => demos(bets, seeds),
        Chore::Chaos { minutes, seed, servers } => chaos(minutes, seed, servers),
        Chore::Stack { command } => stack::run(&command),
    }
}

fn test(named: &[String]) -> anyhow::Result<()> {
    let wanted = |step: &&Step| named.is_empty() || named.iter().any(|name| name == step.name);
    let mut done = Vec::new();
    for step in STEPS.iter().filter(wanted) {
        eprintln!("== {}: {}", step.name, step.what);
        let started = Instant::now();
        let unchecked = step.how.run().with_context(|| {
            format!("step `{0}` failed; run it alone with `scripts/test {0}`", step.name)
        })?;
        let but = unchecked.map(|what| format!(" ({what} NOT CHECKED)")).unwrap_or_default();
        done.push(format!("{} {} s{but}", step.name, started.elapsed().as_secs()));
    }
    eprintln!("== all passed: {}", done.join(", "));
    Ok(())
}

impl How {
    /// Runs it, and names what could not be checked.
    fn run(&self) -> anyhow::Result<Option<&'static str>> {
        match self {
            Self::Cargo(arguments) => run(Command::new("cargo").args(*arguments))?,
            Self::Servers(arguments) => {
                let mut command = Command::new("cargo");
                stack::with_servers(command.args(*arguments).args(stack::features()), run)?;
            }
            Self::Tools(check) => return check(),
        }
        Ok(None)
    }
}

/// Runs what the tests built: another choice of packages would build all anew.
fn isolation() -> anyhow::Result<Option<&'static str>> {
    let server = target().join("sim/roundhouse");
    if !server.exists() {
        bail!("there is no {}: the step `tests` builds it", server.display());
    }
    run(Command::new(server).args(["bench", "isolation", "--seconds", "3"]))?;
    Ok(None)
}

/// Where cargo builds.
fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()).into()
}

fn bless() -> anyhow::Result<()> {
    // The examples first: the documents have them in them.
    let steps: [&[&str]; 4] = [
        &["--package", "partner-kit", "--test", "it", "recorded"],
        &["--package", "schemas"],
        &["--package", "ingest", "--lib", "recorded"],
        &["--package", "ingest", "--lib", "the_file_of_the_partner_api"],
    ];
    for what in steps {
        run(Command::new("cargo").args(["test", "--quiet"]).args(what).env("BLESS", "1"))?;
    }
    Ok(())
}

fn demos(bets: u32, seeds: u32) -> anyhow::Result<()> {
    run(Command::new("cargo").args(["build", "--release", "--package", "roundhouse"]))?;
    for seed in 1..=seeds {
        eprintln!("== seed {seed}");
        let mut demo = Command::new("target/release/roundhouse");
        demo.args(["demo", "--rounds", "3", "--partners", "20", "--faults"]);
        run(demo.args(["--bets", &bets.to_string(), "--seed", &seed.to_string()]))
            .with_context(|| format!("the demo failed with seed {seed}"))?;
    }
    eprintln!("== {seeds} seeds, every audit clean");
    Ok(())
}

fn chaos(minutes: u64, seed: u64, servers: Servers) -> anyhow::Result<()> {
    let mut test = Command::new("cargo");
    // Of the whole workspace, as the other tests are built: another choice of features builds all anew.
    test.args(["test", "--workspace", "--features", "runtime/cluster,roundhouse/cluster"]);
    let named = match servers {
        Servers::One => "on_one_of_each",
        Servers::Three => "on_three_of_each",
    };
    test.args(["--profile", "sim", "--test", "chaos", "--", "--nocapture", named]);
    test.env("ROUNDHOUSE_TEST_CHAOS_SECONDS", (minutes * 60).to_string());
    run(test.env("ROUNDHOUSE_TEST_SEED", seed.to_string()))
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("{command:?} cannot be started"))?;
    if !status.success() {
        bail!("{command:?} ended with {status}");
    }
    Ok(())
}
