//! `roundhouse partner`.

use super::EXIT_OK;
use super::lines::report;
use super::operator::Operator;
use anyhow::Context;
use clap::Subcommand;
use http::Method;
use schemas::PartnerId;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::fmt;

const EXAMPLES: &str = "\
Examples:
  roundhouse partner list
  roundhouse partner pause acme --reason 'their wallet is down, ticket 4711'
  roundhouse partner resume acme --reason 'it answers again'

The key is that of an operator with the role `partners`, to list `read`.

Exit codes:
  0  done
  2  refused, or the API did not answer";

/// Whether partners' players may bet.
///
/// Every process that takes bets follows a pause within a second, also after a restart. What was bet
/// before is settled as ever.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List the partners, and who paused or resumed each last, and why
    List(Ask),
    /// Take no more bets of this partner's players
    Pause(Say),
    /// Take bets of this partner's players again
    Resume(Say),
}

#[derive(Debug, clap::Args)]
struct Ask {
    #[command(flatten)]
    operator: Operator,
    /// Print one JSON document instead of the table
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct Say {
    /// The partner
    #[arg(value_name = "PARTNER")]
    partner: PartnerId,
    /// Why; it is told to players and stands in the log with your name
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    ask: Ask,
}

#[derive(Debug, Deserialize, Serialize)]
struct Partners {
    partners: Vec<Partner>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Partner {
    partner_id: String,
    betting: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
}

impl fmt::Display for Partners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<24} {:<8} {:<24} {:<16} REASON", "PARTNER", "BETTING", "SINCE", "BY")?;
        for Partner { partner_id, betting, reason, actor, since } in &self.partners {
            let [since, actor, reason] =
                [since, actor, reason].map(|text| text.as_deref().unwrap_or("-"));
            writeln!(f, "{partner_id:<24} {betting:<8} {since:<24} {actor:<16} {reason}")?;
        }
        if self.partners.is_empty() {
            writeln!(f, "no partner is configured")?;
        }
        Ok(())
    }
}

pub(super) async fn run(args: Args) -> anyhow::Result<u8> {
    let (ask, word) = match args.what {
        What::List(ask) => (ask, None),
        What::Pause(Say { partner, reason, ask }) => (ask, Some((partner, "pause", reason))),
        What::Resume(Say { partner, reason, ask }) => (ask, Some((partner, "resume", reason))),
    };
    let api = ask.operator.api()?;
    let answer = match word {
        None => api.ask(Method::GET, "/v1/partners", None).await,
        Some((partner, word, reason)) => {
            let path = format!("/v1/partners/{partner}/{word}");
            let said = api.ask(Method::POST, &path, Some(&json!({"reason": reason}))).await;
            said.map(|partner| json!({"partners": [partner]}))
        }
    };
    let answer = answer.map_err(anyhow::Error::msg)?;
    let partners: Partners = serde_json::from_value(answer).context("the API answered nonsense")?;
    report(&partners, ask.json)?;
    Ok(EXIT_OK)
}
