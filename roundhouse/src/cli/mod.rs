//! The command line.

mod audit;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Nothing to report.
pub const EXIT_OK: u8 = 0;
/// The command ran and found something wrong.
pub const EXIT_FINDING: u8 = 1;
/// The command could not run: usage, configuration, or something in its way.
pub const EXIT_UNABLE: u8 = 2;

const EXAMPLES: &str = "\
Exit codes:
  0    done, nothing wrong
  1    ran and found something wrong (an audit with violations, a demo a cent off)
  2    could not run: usage, configuration, a port or directory in use
  130  interrupted twice";

/// Settles short bets on game rounds for many bookmakers at once.
#[derive(Debug, Parser)]
#[command(name = "roundhouse", version, about, after_help = EXAMPLES, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Audit(audit::Args),
}

impl Cli {
    /// Runs the command and gives the exit code.
    pub async fn run(self) -> ExitCode {
        let done = match self.command {
            Command::Audit(args) => audit::run(args).await,
        };
        match done {
            Ok(code) => ExitCode::from(code),
            Err(error) => {
                eprintln!("roundhouse: {error:#}");
                ExitCode::from(EXIT_UNABLE)
            }
        }
    }
}
