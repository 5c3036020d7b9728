//! Histories in JSON, and their columns in CSV.

use super::bet_bodies::DecidedBody;
use super::csv::Column;
use crate::history::story::{Delivery, Logged, Outcome, Standing, Story};
use schemas::attempts::{Attempt, Attempts};
use schemas::contract::{MoneyBody, timestamp};
use schemas::settlements::{REVISION_HELD, Settlement, Target};
use schemas::{BetId, RoundId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `?limit=&cursor=&status=&from=&to=&round=&format=`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HistoryParams {
    pub(super) limit: Option<usize>,
    pub(super) cursor: Option<String>,
    pub(super) status: Option<String>,
    /// The first moment.
    pub(super) from: Option<String>,
    /// The first moment that does not count any more.
    pub(super) to: Option<String>,
    pub(super) round: Option<RoundId>,
    pub(super) format: Option<Format>,
}

/// How a list is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Format {
    Json,
    Csv,
}

/// A line of a list.
pub(super) trait Line: Serialize + Sized + Send + 'static {
    /// What the list is called in JSON.
    const NAME: &'static str;
    /// Every status.
    const STATUSES: &'static [&'static str];
    /// Its columns.
    const COLUMNS: &'static [Column];
    /// The days that are shown where the caller names none.
    const DAYS: i64;

    /// The line about a bet, or about one movement of it; `None` if its story does not tell it.
    fn of(story: &Story, revision: Option<u32>) -> Option<Self>;

    fn status(&self) -> &'static str;
}

/// A page.
#[derive(Debug, Serialize)]
pub(super) struct PageBody<'a, T> {
    #[serde(flatten)]
    pub(super) lines: std::collections::BTreeMap<&'static str, &'a [T]>,
    /// The cursor of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next: Option<String>,
}

/// A bet of a player.
#[derive(Debug, Serialize)]
pub(super) struct BetLine {
    bet_id: BetId,
    status: &'static str,
    #[serde(flatten)]
    decided: DecidedBody,
    /// What it is worth, stake included; absent while no result stands, and where the stake went back.
    #[serde(skip_serializing_if = "Option::is_none")]
    payout: Option<MoneyBody>,
    /// What each result of its round made of it: two and more if it was corrected.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    results: Vec<ResultBody>,
}

#[derive(Debug, Serialize)]
struct ResultBody {
    /// The result version.
    version: u32,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    payout: Option<MoneyBody>,
    reason: &'static str,
    said_at: String,
}

impl From<&Logged<Settlement>> for ResultBody {
    fn from(Logged { said, .. }: &Logged<Settlement>) -> Self {
        Self {
            version: said.result_version(),
            status: Standing::of(said.target).name(),
            payout: payout(said),
            reason: said.reason.code(),
            said_at: timestamp(said.caused_at),
        }
    }
}

fn payout(settlement: &Settlement) -> Option<MoneyBody> {
    match settlement.target {
        Target::Settled(units) => Some(settlement.stake.with_units(units).into()),
        Target::Held | Target::Voided => None,
    }
}

impl Line for BetLine {
    const NAME: &'static str = "bets";
    const STATUSES: &'static [&'static str] = Standing::NAMES;
    const DAYS: i64 = 366;
    const COLUMNS: &'static [Column] = &[
        Column::text("placed_at", "/placed_at"),
        Column::text("bet_id", "/bet_id"),
        Column::text("round_id", "/round_id"),
        Column::text("client_ref", "/client_ref"),
        Column::text("selection", "/selection"),
        Column::number("odds", "/odds"),
        Column::number("stake_units", "/stake/units"),
        Column::number("payout_units", "/payout/units"),
        Column::text("currency", "/stake/currency"),
        Column::number("exponent", "/stake/exponent"),
        Column::text("status", "/status"),
        Column::text("decided_at", "/decided_at"),
        Column::text("reason", "/reason"),
        Column::text("decline_code", "/decline_code"),
        Column::text("cancelled_by", "/cancelled_by"),
        Column::text("results", "/results"),
    ];

    fn of(story: &Story, _revision: Option<u32>) -> Option<Self> {
        let (decision, standing) = (story.decision()?, story.standing()?);
        let in_the_round = !matches!(standing, Standing::Rejected | Standing::Cancelled);
        let results: Vec<ResultBody> =
            story.results().filter(|_| in_the_round).map(ResultBody::from).collect();
        Some(Self {
            bet_id: decision.bet.id.clone(),
            status: standing.name(),
            decided: DecidedBody::from(decision),
            payout: results.last().and_then(|last| last.payout.clone()),
            results,
        })
    }

    fn status(&self) -> &'static str {
        self.status
    }
}

/// A try of a call to a partner.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Attempt)]
pub(super) struct AttemptBody {
    /// 1 for the first; counted anew where it was sent again by command.
    number: u32,
    /// When it was sent, UTC.
    #[schema(format = DateTime)]
    at: String,
    /// From then to its answer, or to the certainty that none would come, in ms.
    latency_ms: u32,
    /// The HTTP status; absent where there was no answer that counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// What became of it. A 200 that says something of the bet: `approved`, `declined`, `applied`, `superseded`, `pending`, or why
    /// it was parked; else `nonsense`. Other statuses: `busy`, `refused`, `server_error`, `no_answer`. No answer that counts:
    /// `timeout`, `no_connection`, `tls`, `forbidden`, `broken`, `too_large`, `signature`, `wallet_unknown`, `not_sent`. More words may
    /// come.
    outcome: String,
}

impl AttemptBody {
    /// Those that are shown of many: the first and the last.
    pub(super) fn all(attempts: &Attempts) -> Vec<Self> {
        let mut shown = attempts.clone();
        shown.cut();
        shown.iter().map(Self::from).collect()
    }
}

impl From<&Attempt> for AttemptBody {
    fn from(attempt: &Attempt) -> Self {
        Self {
            number: attempt.number,
            at: timestamp(attempt.at),
            latency_ms: attempt.latency_ms,
            status: attempt.status,
            outcome: attempt.outcome.to_string(),
        }
    }
}

/// A movement that a partner was asked for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Movement)]
pub(super) struct TransactionLine {
    /// The bet.
    bet_id: BetId,
    /// 1 is the hold.
    revision: u32,
    /// The round.
    round_id: RoundId,
    /// The player, byte for byte.
    partner_player_id: String,
    /// The state that the bet was to be in.
    target: &'static str,
    /// The stake.
    stake: MoneyBody,
    /// settled: what it is worth, stake included.
    #[serde(skip_serializing_if = "Option::is_none")]
    payout: Option<MoneyBody>,
    /// Why it was said; absent for the hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// `approved`, `declined`, `unanswered`, `applied`, `superseded`, `parked` or `owed`.
    status: &'static str,
    /// What it moved, below zero from the player; absent where no answer tells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    moved: Option<MoneyBody>,
    /// How often it was sent; absent where it was not, or nobody wrote it down.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<i64>,
    /// These attempts, as far as they are known: the first, and the last nine of the rest.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attempt_log: Vec<AttemptBody>,
    /// superseded: the revision that the partner's row is at.
    #[serde(skip_serializing_if = "Option::is_none")]
    superseded_by: Option<u32>,
    /// Why it was declined or parked.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    /// When what caused it was said, UTC: by this the list is ordered.
    #[schema(format = DateTime)]
    caused_at: String,
    /// When it was written down, UTC.
    #[schema(format = DateTime)]
    asked_at: String,
    /// When its final answer was, UTC.
    #[schema(format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    answered_at: Option<String>,
}

impl TransactionLine {
    fn hold(story: &Story) -> Option<Self> {
        let bet = story.bet()?;
        let (answered_at, _) = story.hold()?;
        let placed_at = timestamp(bet.placed_at);
        Some(Self {
            bet_id: bet.id.clone(),
            revision: REVISION_HELD,
            round_id: bet.id.round(),
            partner_player_id: bet.player.to_string(),
            target: Target::Held.name(),
            stake: bet.stake.into(),
            payout: None,
            reason: None,
            status: "",
            moved: None,
            attempts: None,
            attempt_log: Vec::new(),
            superseded_by: None,
            code: None,
            caused_at: placed_at.clone(),
            asked_at: placed_at,
            answered_at: answered_at.map(timestamp),
        })
    }

    fn settlement(story: &Story, revision: u32) -> Option<Self> {
        let Logged { at, said } = story.settlements.get(&revision)?;
        let ended = story.ended(revision);
        Some(Self {
            bet_id: said.bet.clone(),
            revision,
            round_id: said.bet.round(),
            partner_player_id: said.player.to_string(),
            target: said.target.name(),
            stake: said.stake.into(),
            payout: payout(said),
            reason: Some(said.reason.code()),
            status: "",
            moved: None,
            attempts: ended.and_then(|Logged { said: Delivery { attempts, .. }, .. }| *attempts),
            attempt_log: Vec::new(),
            superseded_by: None,
            code: None,
            caused_at: timestamp(said.caused_at),
            asked_at: timestamp(*at),
            answered_at: ended.map(|ended| timestamp(ended.at)),
        })
    }
}

impl Line for TransactionLine {
    const NAME: &'static str = "transactions";
    const STATUSES: &'static [&'static str] = Outcome::NAMES;
    const DAYS: i64 = 31;
    const COLUMNS: &'static [Column] = &[
        Column::text("caused_at", "/caused_at"),
        Column::text("bet_id", "/bet_id"),
        Column::number("revision", "/revision"),
        Column::text("round_id", "/round_id"),
        Column::text("partner_player_id", "/partner_player_id"),
        Column::text("target", "/target"),
        Column::number("stake_units", "/stake/units"),
        Column::number("payout_units", "/payout/units"),
        Column::number("moved_units", "/moved/units"),
        Column::text("currency", "/stake/currency"),
        Column::number("exponent", "/stake/exponent"),
        Column::text("reason", "/reason"),
        Column::text("status", "/status"),
        Column::number("attempts", "/attempts"),
        Column::number("superseded_by", "/superseded_by"),
        Column::text("code", "/code"),
        Column::text("asked_at", "/asked_at"),
        Column::text("answered_at", "/answered_at"),
        Column::text("attempt_log", "/attempt_log"),
    ];

    fn of(story: &Story, revision: Option<u32>) -> Option<Self> {
        use crate::history::story::Hold;
        let revision = revision?;
        let line = match revision {
            REVISION_HELD => Self::hold(story)?,
            _ => Self::settlement(story, revision)?,
        };
        let outcome = story.outcome(revision)?;
        let money = |units| {
            story.settlements.get(&revision).map_or_else(
                || story.bet().map(|bet| bet.stake.with_units(units)),
                |settlement| Some(settlement.said.stake.with_units(units)),
            )
        };
        let (superseded_by, code) = match &outcome {
            Outcome::Superseded(by) => (Some(*by), None),
            Outcome::Parked(code) | Outcome::Hold(Hold::Declined(code)) => {
                (None, Some(code.clone()))
            }
            Outcome::Hold(Hold::Approved | Hold::Unanswered) | Outcome::Applied | Outcome::Owed => {
                (None, None)
            }
        };
        let tried = story.tried.get(&revision);
        let count = tried.map(|tried| tried.count).filter(|count| 0 < *count);
        Some(Self {
            status: outcome.name(),
            attempts: line.attempts.or(count),
            attempt_log: tried.map(|tried| AttemptBody::all(&tried.log)).unwrap_or_default(),
            moved: story.moved(revision).and_then(money).map(MoneyBody::from),
            superseded_by,
            code,
            ..line
        })
    }

    fn status(&self) -> &'static str {
        self.status
    }
}
