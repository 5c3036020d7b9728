//! `roundhouse operator`.

use super::EXIT_OK;
use super::lines::report;
use super::operator;
use super::place::Place;
use crate::acts::{self, Acts};
use crate::config::{self, EngineKind};
use crate::rig::keys::secret;
use crate::serve::{Opened, open};
use anyhow::Context;
use clap::Subcommand;
use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser};
use http::Method;
use ingest::auth::Duty;
use runtime::telemetry::plain;
use runtime::{Clock, SystemClock};
use schemas::contract::timestamp;
use schemas::wire::ActRecord;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  roundhouse operator list --config roundhouse.toml
  roundhouse operator acts --data-dir ./data --hours 48
  roundhouse operator acts --engine cluster --config roundhouse.toml --actor night --json
  roundhouse operator acts --target http://127.0.0.1:8080 --of r_77

  A key that nobody can guess, as it stands in the configuration:
    roundhouse operator key night --role propose --role approve --role read

Exit codes:
  0  done
  2  could not be done";

const HOUR_MS: i64 = 3_600_000;
/// Acts that a server is asked for at once.
const PAGE_ACTS: usize = 1_000;

/// Who may enter results, with which key, and what was said under each name.
///
/// Operators and their roles stand in the configuration; what they said stands beside the log, for ever after.
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
    /// List what operators and feeds said of rounds and partners, what commands did, and what became of it
    ///
    /// With --target a server is asked, with the key of an operator who has the role `read`. Else the server of a data
    /// directory must be stopped; on the cluster engine the command runs beside the processes.
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
    /// A role; may be repeated [default: every role but `correct`]
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
    /// Base URL of the API of a server that is to be asked
    #[arg(long, value_name = "URL")]
    target: Option<String>,
    /// A file with the operator's key alone, for --target; or set ROUNDHOUSE_OPERATOR_KEY
    #[arg(long, value_name = "FILE", requires = "target")]
    key_file: Option<PathBuf>,
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
    /// Facts that cannot be read.
    unreadable: u64,
}

/// A page of a server's answer.
#[derive(Debug, Deserialize)]
struct Page {
    acts: Vec<Line>,
    next: Option<String>,
}

/// An act, as it is printed.
#[derive(Debug, Deserialize, Serialize)]
struct Line {
    at: String,
    actor: String,
    what: String,
    of: String,
    reason: Option<String>,
    request_id: Option<String>,
    refused: Option<String>,
}

impl From<ActRecord> for Line {
    fn from(act: ActRecord) -> Self {
        let ActRecord { said_at, actor, what, of, reason, request_id, refused } = act;
        Self { at: timestamp(said_at), actor, what, of, reason, request_id, refused }
    }
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<24} {:<16} {:<20} {:<24} {:<20} WHY", "AT", "WHO", "WHAT", "OF", "BECAME")?;
        for line in &self.acts {
            let Line { at, actor, what, of, reason, refused, .. } = line;
            let became = refused.as_deref().unwrap_or("admitted");
            let (actor, of) = (plain(actor), plain(of));
            let why = plain(reason.as_deref().unwrap_or("-"));
            writeln!(f, "{at:<24} {actor:<16} {what:<20} {of:<24} {became:<20} {why}")?;
        }
        if 0 < self.unreadable {
            writeln!(f, "{} facts cannot be read", self.unreadable)?;
        }
        Ok(())
    }
}

pub(super) async fn run(args: Args) -> anyhow::Result<u8> {
    match args.what {
        What::List(ask) => {
            let operators = ask.place.config()?.operators.into_iter().map(|operator| {
                let usual = || Duty::USUAL.iter().map(|duty| duty.name().to_owned()).collect();
                Operator { name: operator.name, roles: operator.roles.unwrap_or_else(usual) }
            });
            report(&Operators { operators: operators.collect() }, ask.json)?;
        }
        What::Acts(said) => {
            let listed = match said.target.clone() {
                Some(target) => asked(&said, target).await?,
                None => read(&said).await?,
            };
            report(&listed, said.ask.json)?;
        }
        What::Key(Key { name, roles, json }) => {
            let roles = (!roles.is_empty()).then_some(roles);
            let operator = config::Operator { name, key: secret()?, roles };
            report(&Made { operators: [operator] }, json)?;
        }
    }
    Ok(EXIT_OK)
}

impl Said {
    fn since(&self) -> i64 {
        SystemClock.now() - i64::from(self.hours) * HOUR_MS
    }
}

/// What the engine of the configuration keeps.
async fn read(said: &Said) -> anyhow::Result<Listed> {
    let config = said.ask.place.config()?;
    let Acts { acts, unreadable } = match config.engine.kind {
        EngineKind::Embedded => {
            on(open::at_rest(&config.storage.data_dir).await?, said.since()).await?
        }
        EngineKind::Cluster => on(open::cluster_reader(&config).await?, said.since()).await?,
    };
    let meant = |act: &ActRecord| {
        said.actor.as_ref().is_none_or(|actor| *actor == act.actor)
            && said.of.as_ref().is_none_or(|of| *of == act.of)
    };
    Ok(Listed { acts: acts.into_iter().filter(meant).map(Line::from).collect(), unreadable })
}

async fn on<E: Opened>(engine: E, since: i64) -> anyhow::Result<Acts> {
    let found = acts::since(&engine, since, SystemClock.now()).await;
    engine.close().await;
    found
}

/// What a server answers, page by page.
async fn asked(said: &Said, target: String) -> anyhow::Result<Listed> {
    let api = operator::Operator::at(target, said.key_file.clone()).api()?;
    let mut path = format!("/v1/acts?limit={PAGE_ACTS}&from={}", timestamp(said.since()));
    for (name, value) in [("actor", &said.actor), ("of", &said.of)] {
        path.extend(value.iter().map(|value| format!("&{name}={}", escaped(value))));
    }
    let (mut acts, mut cursor) = (Vec::new(), String::new());
    loop {
        let answer = api.ask(Method::GET, &format!("{path}{cursor}"), None).await;
        let answer = answer.map_err(anyhow::Error::msg)?;
        let page: Page = serde_json::from_value(answer).context("the API answered nonsense")?;
        acts.extend(page.acts);
        match page.next {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    acts.reverse();
    Ok(Listed { acts, unreadable: 0 })
}

/// A value as it stands in a query.
fn escaped(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'_' | b'.' | b'~' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}
