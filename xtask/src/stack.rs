//! Servers for tests, by hand and around the test command.

use clap::Subcommand;
use std::process::Command;

#[derive(Subcommand)]
pub(crate) enum StackCommand {
    /// Start them where they do not run; they stay up. Prints what to export for the tests.
    Up {
        /// Brokers of a new cluster; an existing one must have as many.
        #[arg(long, value_parser = clap::value_parser!(u16).range(1..=9))]
        brokers: Option<u16>,
    },
    /// Stop them, and containers that tests left running.
    Down {
        /// Remove their data too. The jars stay.
        #[arg(long)]
        purge: bool,
    },
    /// Processes, ports, versions, and whether each answers.
    Status,
}

pub(crate) fn run(command: &StackCommand) -> anyhow::Result<()> {
    match command {
        StackCommand::Up { brokers } => {
            let servers = ::stack::up(*brokers)?;
            eprintln!("{servers}");
            println!("export ROUNDHOUSE_TEST_KAFKA={}", servers.kafka);
            println!("export ROUNDHOUSE_TEST_STORE={}", servers.store);
        }
        StackCommand::Down { purge } => ::stack::down(*purge)?,
        StackCommand::Status => status(),
    }
    Ok(())
}

fn status() {
    let servers = ::stack::status();
    if servers.is_empty() {
        println!("no servers; `cargo xtask stack up` starts them");
    }
    for server in servers {
        let pid = server.pid.map_or("not running".to_owned(), |pid| format!("pid {pid}"));
        let answers = match server.answers {
            Ok(()) => "answers".to_owned(),
            Err(reason) => format!("does not answer: {reason}"),
        };
        let (name, version, port) = (server.product.name(), server.version, server.port);
        println!("{name} {version}, port {port}, {pid}, {answers}");
    }
}

/// Containers cost minutes to build a client for: only where an engine answers.
pub(crate) fn features() -> &'static [&'static str] {
    match ::stack::docker_answers() {
        Ok(()) => &["--features", "stack/containers"],
        Err(reason) => {
            eprintln!("{reason}: tests without containers");
            &[]
        }
    }
}

/// Runs the tests, and stops the servers they started. Those that ran before stay.
pub(crate) fn with_servers(
    command: &mut Command,
    run: impl FnOnce(&mut Command) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let ran_before = ::stack::is_up();
    let ran = run(command);
    if !ran_before {
        ::stack::down(false)?;
    }
    ran
}
