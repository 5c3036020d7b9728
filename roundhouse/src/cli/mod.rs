//! The command line.

mod audit;
mod bench;
mod completions;
mod config;
mod correction;
mod demo;
mod feed;
mod frozen;
mod health;
mod key;
mod lines;
mod operator;
mod operators;
mod parent;
mod parked;
mod partner;
mod place;
mod planted;
mod process;
mod restored;
mod serve;
#[cfg(feature = "cluster")]
mod servers;
#[cfg(feature = "cluster")]
mod store;
mod table;
mod token;
mod topics;
mod wallet;

use clap::{Parser, Subcommand, ValueEnum};
use runtime::telemetry;
use std::io::IsTerminal;
use std::process::ExitCode;

/// Nothing to report.
pub const EXIT_OK: u8 = 0;
/// The command ran and found something wrong.
pub const EXIT_FINDING: u8 = 1;
/// The command could not run: usage, configuration, or something in its way.
pub const EXIT_UNABLE: u8 = 2;

const EXAMPLES: &str = "\
Examples:
  roundhouse demo                     settle rounds for 20 wallets, and check every cent
  roundhouse serve --sandbox          a server with a wallet, keys, and curl lines to paste
  roundhouse audit --data-dir ./data  check every invariant over the whole log

Exit codes:
  0    done, nothing wrong
  1    ran and found something wrong (an audit with violations, a demo a cent off)
  2    could not run: usage, configuration (`config check` says all that is wrong), a port or directory in use
  130  stopped by a second signal";

/// Runs the command that the process was started with. Here and not in the binary, which would otherwise compile
/// every future a second time.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime.block_on(cli.run()),
        Err(error) => {
            eprintln!("roundhouse: cannot start its threads: {error}");
            ExitCode::from(EXIT_UNABLE)
        }
    }
}

/// Settles short bets on game rounds for many bookmakers at once.
#[derive(Debug, Parser)]
#[command(name = "roundhouse", version, about, after_help = EXAMPLES, max_term_width = 100)]
pub struct Cli {
    /// What is logged to stderr: a level (error, warn, info, debug, trace) or directives such as
    /// info,settler=debug
    #[arg(long, global = true, value_name = "FILTER")]
    log: Option<String>,
    /// How a line of the log looks [default: text on a terminal, else json]
    #[arg(long, global = true, value_name = "FORMAT", value_enum)]
    log_format: Option<LogFormat>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Args),
    Serve(serve::Args),
    Ingest(process::Ingest),
    Settler(process::Settler),
    Dispatcher(process::Dispatcher),
    #[cfg(feature = "cluster")]
    Store(store::Args),
    Audit(audit::Args),
    Parked(parked::Args),
    Restored(restored::Args),
    Frozen(frozen::Args),
    Correction(correction::Args),
    Partner(partner::Args),
    Operator(operators::Args),
    /// Run reference wallets: the bookmaker's side of the partner contract.
    Wallet(Box<wallet::Wallets>),
    /// Run wallets that misbehave: those of `wallet`, with what goes wrong in the field.
    Misbehave(Box<wallet::Misbehaving>),
    Table(Box<table::Args>),
    Feed(Box<feed::Args>),
    Token(token::Args),
    Key(key::Args),
    Config(config::Args),
    Health(health::Args),
    Topics(topics::Args),
    Bench(bench::Args),
    Completions(completions::Completions),
    Man(completions::Man),
}

/// What was said about logs on the command line.
struct Logs {
    filter: Option<String>,
    format: Option<LogFormat>,
}

impl Logs {
    /// Sets logging up; `default` where no filter was given.
    fn init(&self, default: &str) -> anyhow::Result<()> {
        let format = match self.format {
            Some(LogFormat::Text) => telemetry::Format::Text,
            Some(LogFormat::Json) => telemetry::Format::Json,
            None if std::io::stderr().is_terminal() => telemetry::Format::Text,
            None => telemetry::Format::Json,
        };
        telemetry::init_as(self.filter.as_deref().unwrap_or(default), format)?;
        Ok(())
    }
}

impl Cli {
    /// Runs the command and gives the exit code.
    pub async fn run(self) -> ExitCode {
        let logs = Logs { filter: self.log, format: self.log_format };
        let done = match self.command {
            Command::Demo(args) => demo::run(args, logs).await,
            Command::Serve(args) => serve::run(args, logs).await,
            Command::Ingest(args) => process::ingest(args, logs).await,
            Command::Settler(args) => process::settler(args, logs).await,
            Command::Dispatcher(args) => process::dispatcher(args, logs).await,
            #[cfg(feature = "cluster")]
            Command::Store(args) => store::run(args).await,
            Command::Audit(args) => audit::run(args).await,
            Command::Parked(args) => parked::run(args).await,
            Command::Restored(args) => restored::run(args).await,
            Command::Frozen(args) => frozen::run(args).await,
            Command::Correction(args) => correction::run(args).await,
            Command::Partner(args) => partner::run(args).await,
            Command::Operator(args) => operators::run(args).await,
            Command::Wallet(args) => wallet::run(*args, logs).await,
            Command::Misbehave(args) => wallet::misbehave(*args, logs).await,
            Command::Table(args) => table::run(*args, logs).await,
            Command::Feed(args) => feed::run(*args, logs).await,
            Command::Token(args) => token::run(&args),
            Command::Key(args) => key::run(args),
            Command::Health(args) => health::run(args).await,
            Command::Config(args) => config::run(args),
            Command::Topics(args) => topics::run(args).await,
            Command::Bench(args) => bench::run(args, logs).await,
            Command::Completions(args) => completions::completions(&args),
            Command::Man(args) => completions::man(&args),
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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    /// Every command in a block of these pages is one that this binary takes.
    #[cfg(feature = "cluster")]
    #[test]
    fn the_commands_of_the_documents_are_taken() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut seen = 0;
        for page in ["README.md", "docs/operations.md", "docs/partner/misbehaviours.md"] {
            let text = std::fs::read_to_string(root.join(page)).unwrap();
            let blocks = text.lines().filter_map(|line| line.strip_prefix("    "));
            for line in blocks.filter(|line| line.starts_with("roundhouse ")) {
                // Behind these stand a comment and a file.
                let command = line.split(" #").next().unwrap_or(line);
                let command = command.split(" > ").next().unwrap_or(command);
                // A shell takes what stands in quotes as one word.
                let quoted = command.split('\'').enumerate().flat_map(|(at, part)| {
                    let inside = at % 2 == 1;
                    let words = part.split_whitespace();
                    if inside { vec![part] } else { words.collect() }
                });
                if let Err(error) = Cli::try_parse_from(quoted) {
                    panic!("{page}: {line}: {error}");
                }
                seen += 1;
            }
        }
        assert!(20 < seen, "only {seen} commands are there");
    }
}
