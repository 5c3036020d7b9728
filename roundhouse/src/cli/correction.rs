//! `roundhouse correction`.

mod shown;

use super::EXIT_OK;
use super::lines::{json, report};
use super::operator::Operator;
use anyhow::Context;
use clap::{ArgGroup, Subcommand};
use feeds::api::RoundsApi;
use http::Method;
use schemas::{ContentHash, RoundId, Selection};
use serde_json::{Value, json};
use shown::{Proposal, Proposals};
use std::time::Duration;
use tokio::time::sleep;

const EXAMPLES: &str = "\
Examples:
  roundhouse correction propose r_77 --replaces 1 --outcome 5 --reason 'the feed swapped the sides'
  roundhouse correction list r_77
  roundhouse correction show r_77 PROPOSAL
  roundhouse correction approve r_77 PROPOSAL
  roundhouse correction reject r_77 PROPOSAL --reason 'the first result was right'

Nobody is paid by a proposal. Whoever approves is somebody else than whoever proposed, and approves what
`show` shows: PROPOSAL is its hash. Once approved, `show` says how far it has come with each partner.

Exit codes:
  0  done
  2  refused, or the API did not answer";

/// Time between two looks at how far an approved correction has come.
const LOOK_PERIOD: Duration = Duration::from_secs(1);

/// Correct a wrong result, in two steps and by two people.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Propose another result, and show what it would change
    Propose(Propose),
    /// List what was proposed for a round, and what became of it
    List(List),
    /// Show what a proposal would change, or how far it has come
    Show(Show),
    /// Make the result version that somebody else proposed, and follow it until all is confirmed
    Approve(Approve),
    /// Take a proposal off the table
    Reject(Reject),
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
#[command(group = ArgGroup::new("what").required(true).args(["outcome", "won", "withdrawn", "voided"]))]
struct Propose {
    /// The round
    #[arg(value_name = "ROUND")]
    round: RoundId,
    /// The result version that stands and would be replaced
    #[arg(long, value_name = "N")]
    replaces: u32,
    /// The right outcome of the game
    #[arg(long, value_name = "TEXT")]
    outcome: Option<String>,
    /// The selections that won, for a game without outcomes; those not named have lost
    #[arg(long, value_name = "SELECTION", value_delimiter = ',')]
    won: Option<Vec<Selection>>,
    /// The selections whose stakes are given back
    #[arg(long, value_name = "SELECTION", value_delimiter = ',', requires = "won")]
    void: Option<Vec<Selection>>,
    /// No result any more: bets are held again until another one comes
    #[arg(long)]
    withdrawn: bool,
    /// Give all stakes back
    #[arg(long)]
    voided: bool,
    /// Why; it stands in the log with your name
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    ask: Ask,
}

#[derive(Debug, clap::Args)]
struct List {
    /// The round
    #[arg(value_name = "ROUND")]
    round: RoundId,
    #[command(flatten)]
    ask: Ask,
}

#[derive(Debug, clap::Args)]
struct Show {
    /// The round
    #[arg(value_name = "ROUND")]
    round: RoundId,
    /// The proposal, by the hash of what it shows
    #[arg(value_name = "PROPOSAL")]
    proposal: ContentHash,
    #[command(flatten)]
    ask: Ask,
}

#[derive(Debug, clap::Args)]
struct Approve {
    #[command(flatten)]
    show: Show,
    /// Do not wait until every partner has confirmed
    #[arg(long)]
    no_wait: bool,
}

#[derive(Debug, clap::Args)]
struct Reject {
    #[command(flatten)]
    show: Show,
    /// Why; it stands in the log with your name
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

pub(super) async fn run(args: Args) -> anyhow::Result<u8> {
    match args.what {
        What::Propose(propose) => {
            let body = body(&propose);
            let (path, api) = (at(&propose.round, None), propose.ask.operator.api()?);
            let answer = ask(&api, Method::POST, &path, Some(&body)).await?;
            print(answer, propose.ask.json)?;
        }
        What::List(List { round, ask: flags }) => {
            let api = flags.operator.api()?;
            let answer = ask(&api, Method::GET, &format!("/v1/rounds/{round}"), None).await?;
            let proposals: Proposals = serde_json::from_value(answer).context(NONSENSE)?;
            report(&proposals, flags.json)?;
        }
        What::Show(show) => {
            let api = show.ask.operator.api()?;
            print(look(&api, &show).await?, show.ask.json)?;
        }
        What::Approve(Approve { show, no_wait }) => {
            let api = show.ask.operator.api()?;
            let path = format!("{}/approve", at(&show.round, Some(show.proposal)));
            let body = json!({"hash": show.proposal.to_string()});
            ask(&api, Method::POST, &path, Some(&body)).await?;
            let answer =
                if no_wait { look(&api, &show).await? } else { follow(&api, &show).await? };
            print(answer, show.ask.json)?;
        }
        What::Reject(Reject { show, reason }) => {
            let api = show.ask.operator.api()?;
            let path = format!("{}/reject", at(&show.round, Some(show.proposal)));
            ask(&api, Method::POST, &path, Some(&json!({"reason": reason}))).await?;
            print(look(&api, &show).await?, show.ask.json)?;
        }
    }
    Ok(EXIT_OK)
}

const NONSENSE: &str = "the API answered nonsense";

fn at(round: &RoundId, proposal: Option<ContentHash>) -> String {
    let proposal = proposal.map(|proposal| format!("/{proposal}")).unwrap_or_default();
    format!("/v1/rounds/{round}/corrections{proposal}")
}

fn body(propose: &Propose) -> Value {
    let kind = match (propose.withdrawn, propose.voided) {
        (true, _) => "withdrawn",
        (_, true) => "voided",
        (false, false) => "result",
    };
    let mut body = json!({"replaces": propose.replaces, "kind": kind, "reason": propose.reason});
    if let Some(outcome) = &propose.outcome {
        body["outcome"] = json!(outcome);
    }
    if let Some(won) = &propose.won {
        body["won"] = json!(won);
        body["void"] = json!(propose.void.as_deref().unwrap_or_default());
    }
    body
}

async fn ask(
    api: &RoundsApi,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> anyhow::Result<Value> {
    api.ask(method, path, body).await.map_err(anyhow::Error::msg)
}

async fn look(api: &RoundsApi, show: &Show) -> anyhow::Result<Value> {
    ask(api, Method::GET, &at(&show.round, Some(show.proposal)), None).await
}

/// Says how far it has come until every bet that moves is confirmed.
async fn follow(api: &RoundsApi, show: &Show) -> anyhow::Result<Value> {
    let mut told = None;
    loop {
        let answer = look(api, show).await?;
        let proposal: Proposal = serde_json::from_value(answer.clone()).context(NONSENSE)?;
        let progress = proposal.total();
        if told.as_ref() != Some(&progress) {
            eprintln!("correction: {progress}");
        }
        if progress.is_done() {
            return Ok(answer);
        }
        told = Some(progress);
        sleep(LOOK_PERIOD).await;
    }
}

fn print(answer: Value, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        return json(&answer);
    }
    let proposal: Proposal = serde_json::from_value(answer).context(NONSENSE)?;
    print!("{proposal}");
    Ok(())
}
