//! `roundhouse operator`.

use super::EXIT_OK;
use super::lines::report;
use super::place::Place;
use crate::acts::{self, Act, Acts};
use crate::config::{self, EngineKind};
use crate::rig::keys::secret;
use crate::serve::{Opened, open};
use clap::Subcommand;
use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser};
use ingest::auth::Duty;
use runtime::{Clock, SystemClock};
use schemas::contract::timestamp;
use serde::Serialize;
use std::fmt;

const EXAMPLES: &str = "\
Examples:
  roundhouse operator list --config roundhouse.toml
  roundhouse operator acts --data-dir ./data --hours 48
  roundhouse operator acts --engine cluster --config roundhouse.toml --actor night --json

  A key that nobody can guess, as it stands in the configuration:
    roundhouse operator key night --role propose --role approve --role read

Exit codes:
  0  done
  2  could not be done";

const HOUR_MS: i64 = 3_600_000;

/// Who may enter results, with which key, and what was said under each name.
///
/// Operators and their roles stand in the configuration; what they said stands in the log, for ever after.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List the operators of the configuration with their roles
    List(Ask),
    /// List what operators and feeds said of rounds and partners, and what became of it
    ///
    /// The server of a data directory must be stopped; on the cluster engine the command runs beside the
    /// processes.
    Acts(Said),
    /// Make a key for an operator, and print what to put into the configuration
    ///
    /// Nothing is changed: a server reads its configuration at the start, and its operators again at a SIGHUP.
    Key(Key),
}

#[derive(Debug, clap::Args)]
struct Key {
    /// The operator's name, which stands in the log with what is said
    #[arg(value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    name: String,
    /// A role; may be repeated [default: every role]
    #[arg(long = "role", value_name = "ROLE", value_parser = roles())]
    roles: Vec<String>,
    /// Print one JSON document instead
    #[arg(long)]
    json: bool,
}

fn roles() -> PossibleValuesParser {
    PossibleValuesParser::new(Duty::ALL.iter().map(|duty| duty.name()))
}

#[derive(Debug, clap::Args)]
struct Ask {
    #[command(flatten)]
    place: Place,
    /// Print one JSON document instead of the table
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct Said {
    #[command(flatten)]
    ask: Ask,
    /// Only what stands under this name
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,
    /// Only what was said of this round or partner
    #[arg(long, value_name = "ID")]
    of: Option<String>,
    /// What was said in the last N hours
    #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=24 * 366))]
    hours: u32,
}

#[derive(Debug, Serialize)]
struct Operators {
    operators: Vec<Operator>,
}

#[derive(Debug, Serialize)]
struct Operator {
    name: String,
    roles: Vec<String>,
}

impl fmt::Display for Operators {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<24} ROLES", "OPERATOR")?;
        for Operator { name, roles } in &self.operators {
            writeln!(f, "{name:<24} {}", roles.join(" "))?;
        }
        if self.operators.is_empty() {
            writeln!(f, "nobody may open rounds or enter results")?;
        }
        Ok(())
    }
}

/// An operator with a key, as the configuration has it. No `Debug`: it has the key.
#[derive(Serialize)]
struct Made {
    operators: [config::Operator; 1],
}

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&toml::to_string(self).map_err(|_| fmt::Error)?)
    }
}

#[derive(Debug, Serialize)]
struct Listed {
    acts: Vec<Line>,
    /// Records of the log that cannot be read.
    unreadable: u64,
}

/// An act, as it is printed.
#[derive(Debug, Serialize)]
struct Line {
    at: String,
    actor: String,
    what: &'static str,
    of: String,
    reason: Option<String>,
    request_id: Option<String>,
    refused: Option<String>,
}

impl From<Act> for Line {
    fn from(act: Act) -> Self {
        let Act { at, actor, what, of, reason, request, refused } = act;
        let request_id = request.map(|request| request.to_string());
        Self { at: timestamp(at), actor, what, of, reason, request_id, refused }
    }
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<24} {:<16} {:<20} {:<24} {:<20} WHY", "AT", "WHO", "WHAT", "OF", "BECAME")?;
        for line in &self.acts {
            let Line { at, actor, what, of, reason, refused, .. } = line;
            let became = refused.as_deref().unwrap_or("admitted");
            let why = reason.as_deref().unwrap_or("-");
            writeln!(f, "{at:<24} {actor:<16} {what:<20} {of:<24} {became:<20} {why}")?;
        }
        if 0 < self.unreadable {
            writeln!(f, "{} records of the log cannot be read", self.unreadable)?;
        }
        Ok(())
    }
}

pub(super) async fn run(args: Args) -> anyhow::Result<u8> {
    match args.what {
        What::List(ask) => {
            let operators = ask.place.config()?.operators.into_iter().map(|operator| {
                let all = || Duty::ALL.iter().map(|duty| duty.name().to_owned()).collect();
                Operator { name: operator.name, roles: operator.roles.unwrap_or_else(all) }
            });
            report(&Operators { operators: operators.collect() }, ask.json)?;
        }
        What::Acts(said) => {
            let config = said.ask.place.config()?;
            let since = SystemClock.now() - i64::from(said.hours) * HOUR_MS;
            let Acts { acts, unreadable } = match config.engine.kind {
                EngineKind::Embedded => {
                    on(open::at_rest(&config.storage.data_dir).await?, since).await?
                }
                EngineKind::Cluster => on(open::cluster_reader(&config).await?, since).await?,
            };
            let meant = |act: &Act| {
                said.actor.as_ref().is_none_or(|actor| *actor == act.actor)
                    && said.of.as_ref().is_none_or(|of| *of == act.of)
            };
            let acts = acts.into_iter().filter(meant).map(Line::from).collect();
            report(&Listed { acts, unreadable }, said.ask.json)?;
        }
        What::Key(Key { name, roles, json }) => {
            let roles = (!roles.is_empty()).then_some(roles);
            let operator = config::Operator { name, key: secret()?, roles };
            report(&Made { operators: [operator] }, json)?;
        }
    }
    Ok(EXIT_OK)
}

async fn on<E: Opened>(engine: E, since: i64) -> anyhow::Result<Acts> {
    let found = acts::since(&engine, since).await;
    engine.close().await;
    found
}
