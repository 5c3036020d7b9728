//! `roundhouse config`.

use super::EXIT_OK;
use crate::config::{Config, Overrides};
use clap::Subcommand;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  Everything that is wrong with a file, before a server meets it:
    roundhouse config check --config roundhouse.toml

  What a server would run with here, and where each value comes from; secrets are not shown:
    roundhouse config show --config roundhouse.toml

Variables of the environment (ROUNDHOUSE__SECTION__KEY) count as they do for a server. `check` reads the files of
certificates that are named; nothing is connected to or written.

Exit codes:
  0  a server would take it
  2  a server would refuse it, for the reasons given";

/// Check a configuration, or show the one in force.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say everything that is wrong, each with the path of its key
    #[command(after_help = EXAMPLES)]
    Check(Which),
    /// Print the configuration in force as TOML, each value with where it comes from
    #[command(after_help = EXAMPLES)]
    Show(Which),
}

#[derive(Debug, clap::Args)]
struct Which {
    /// The configuration file; without it, defaults and environment alone
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(super) fn run(args: Args) -> anyhow::Result<u8> {
    let environment = std::env::vars();
    match args.command {
        Command::Check(which) => {
            let config = Config::load(which.config.as_deref(), environment, Overrides::default())?;
            config.check_files()?;
            let (operators, partners) = (config.operators.len(), config.partners.len());
            println!("a server would take it: {operators} operators, {partners} partners");
            if operators == 0 {
                println!("note  operators: nobody may open rounds or enter results");
            }
            if partners == 0 {
                println!("note  partners: nobody's players may bet");
            }
        }
        Command::Show(which) => print!("{}", Config::shown(which.config.as_deref(), environment)?),
    }
    Ok(EXIT_OK)
}
