//! How a round stands with a partner: what its close says at the newest result, and the rows behind it.
//!
//! Which bets there are, what is frozen and what was closed comes from facts, the revisions of each bet from its
//! story. Stories may be behind. What shows it is `agreed`: the hash of all that is said here is that of a close
//! which the partner confirmed.

use super::signed::PartnerCaller;
use crate::history::story::{Outcome, Story};
use crate::http::ApiState;
use crate::http::body::{Id, Params};
use crate::http::histories::{limit, unavailable, wrong};
use crate::problem::{Kind, Problem};
use axum::extract::State;
use futures_util::{StreamExt, stream};
use runtime::{Engine, Fact, Scope, Topic};
use schemas::bets::{BetEvent, BetSaid, MarkerBody};
use schemas::catalogue::BETS;
use schemas::contract::{
    CLOSE_LISTED_MAX, CloseRequest, CloseSums, CloseTotal, MoneyBody, RowStatus,
};
use schemas::decisions::Verdict;
use schemas::facts::{ACCEPTED, CANCELLED, CLOSE, FREEZE, MARKER, REJECTED, UNREADABLE};
use schemas::frame;
use schemas::settlements::{REVISION_HELD, REVISION_VOID, Target};
use schemas::wire::{CloseRecord, FreezeRecord};
use schemas::{BetId, Currency, Lane, Money, PartnerId, RoundId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use utoipa::{IntoParams, ToSchema};

/// Rows on a page where the caller names no number, and at most.
const ROWS: usize = 100;
const ROWS_MAX: usize = 500;
/// Stories read at once.
const STORIES_AT_ONCE: usize = 16;

/// `?after=&limit=`.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct RowParams {
    /// `next` of the page before: its last bet.
    after: Option<String>,
    /// Rows on a page, 100 if it is left out.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
}

/// The statement of a round, or a further page of its rows.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RoundStatement)]
pub(super) struct RoundBody {
    /// The round.
    round_id: RoundId,
    /// What the round came to; on the first page.
    #[serde(skip_serializing_if = "Option::is_none")]
    whole: Option<WholeBody>,
    /// Every bet of yours in the round, ordered by id.
    rows: Vec<RowBody>,
    /// The `after` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// What `POST /wallet/v1/rounds/close` says of the round, or will say.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RoundTotals)]
pub(super) struct WholeBody {
    /// The newest result; 0 while there is none.
    result_version: u32,
    /// A total for each currency, ordered, over rows at revision 3 and above that are final.
    totals: Vec<CloseTotal>,
    /// Rows at revision 1.
    open_holds: u64,
    /// SHA-256 in hexadecimal over a line `bet_id|revision|status|stake|payout` for each row in `totals`.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    digest: String,
    /// Bets that are parked or frozen, which totals and digest leave out; the first 2,000 of them.
    #[schema(value_type = Vec<BetId>, max_items = 2000)]
    parked: Vec<String>,
    /// By currency, ordered: what you could not take back from players, as you answered when you applied the newest
    /// revision. What you took since stands in your rows alone.
    shortfalls: Vec<MoneyBody>,
    /// Bets whose newest revision that is read here you have not confirmed and that are not parked, or that have
    /// none yet although there is a result.
    not_final: u64,
    /// Whether you have confirmed a close that says exactly this. While betting or corrections go on, or `not_final`
    /// is above 0, it is false.
    agreed: bool,
}

/// A bet as your row should have it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Row)]
pub(super) struct RowBody {
    /// The bet.
    #[schema(value_type = BetId)]
    bet_id: String,
    /// Its newest revision.
    revision: u32,
    /// `held`, `settled` or `voided`.
    status: &'static str,
    /// The stake; absent while `unread`.
    #[serde(skip_serializing_if = "Option::is_none")]
    stake: Option<MoneyBody>,
    /// settled: what it is worth, stake included.
    #[serde(skip_serializing_if = "Option::is_none")]
    payout: Option<MoneyBody>,
    /// `approved`, `declined` or `unanswered` for the hold; else `applied`, `superseded`, `parked`, `owed` or
    /// `frozen`; `unread` where it is not told here yet what was said of the bet.
    delivery: &'static str,
}

/// The statement of a round
///
/// On the first page also totals and digest, as the close of the round says them at the newest result.
#[utoipa::path(
    get, path = "/rounds/{round_id}/statement", operation_id = "round_statement", tag = "partner",
    params(("round_id" = RoundId, Path, description = "The round."), RowParams),
    responses((status = 200, description = "A page of it.", body = RoundBody)),
)]
pub(super) async fn statement<E: Engine>(
    State(api): State<ApiState<E>>,
    PartnerCaller(partner): PartnerCaller,
    Id(round): Id<RoundId>,
    Params(params): Params<RowParams>,
) -> Result<axum::Json<RoundBody>, Problem> {
    let limit = limit(params.limit, ROWS, ROWS_MAX)?;
    let after: Option<BetId> =
        params.after.as_deref().map(str::parse).transpose().map_err(
            |error: schemas::IdError| wrong(format!("`after` is the id of a bet: {error}")),
        )?;
    let partition = api.partitions.of_partner(&partner);
    let scope = Scope { group: round.to_string(), topic: Topic(BETS), partition };
    let facts = api.engine.scan(scope).await.map_err(unavailable)?;
    let known = Known::of(&partner, &facts)?;
    if known.bets.is_empty() {
        let detail = format!("no round {round} with bets of yours is known here");
        return Err(Problem::new(Kind::ROUND_UNKNOWN, detail));
    }
    let begin = after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
    let page = known.bets.range((begin, Bound::Unbounded));
    // The whole round counts on the first page.
    let read = if after.is_none() { usize::MAX } else { limit };
    let told = page.clone().take(read).cloned().map(|bet| {
        let api = &api;
        async move {
            let story = api.story(&bet).await?;
            Ok::<_, Problem>((bet, story))
        }
    });
    let mut told = stream::iter(told).buffered(STORIES_AT_ONCE);
    let (mut rows, mut book) = (Vec::new(), Book::default());
    let (mut last, mut seen) = (None, 0_usize);
    while let Some(told) = told.next().await {
        let (bet, story) = told?;
        book.take(&known, &bet, &story);
        if seen < limit {
            rows.push(RowBody::of(&known, &bet, &story));
            last = Some(bet);
        }
        seen = seen.saturating_add(1);
    }
    let next = last.filter(|_| limit < page.count()).map(|last| last.to_string());
    let whole = after.is_none().then(|| book.body(&partner, &round, &known));
    Ok(axum::Json(RoundBody { round_id: round, whole, rows, next }))
}

/// What facts say of a round and a partner.
#[derive(Debug, Default)]
struct Known {
    bets: BTreeSet<BetId>,
    version: u32,
    /// The whole round, in this lane.
    is_frozen: bool,
    /// With the stake where the freeze says what was asked for.
    frozen: BTreeMap<BetId, Option<Money>>,
    /// Hashes of the closes that the partner confirmed.
    agreed: BTreeSet<String>,
}

impl Known {
    fn of(partner: &PartnerId, facts: &[Fact]) -> Result<Self, Problem> {
        let lane = Lane::of(partner);
        let mut known = Self::default();
        // The newest of each counts, and without any what could not be read freezes what it named.
        let mut freezes: BTreeMap<&str, (u64, FreezeRecord)> = BTreeMap::new();
        let unreadable = |fact: &Fact, error: &dyn std::fmt::Display| {
            let detail = format!("a fact of kind {} cannot be read: {error}", fact.key.kind);
            Problem::new(Kind::STORAGE_UNAVAILABLE, detail)
        };
        for fact in facts {
            let is_ours = fact.key.lane == lane.as_str();
            match fact.key.kind {
                ACCEPTED | REJECTED | CANCELLED if is_ours => {
                    known.bets.extend(fact.key.subject.parse::<BetId>());
                }
                MARKER => {
                    let event = BetEvent::decode(&fact.body).map_err(|e| unreadable(fact, &e))?;
                    if let BetSaid::Marker(marker) = event.said
                        && let MarkerBody::Version { version, .. } = marker.body
                    {
                        known.version = known.version.max(version);
                    }
                }
                FREEZE if is_ours || fact.key.lane.is_empty() => {
                    let record: FreezeRecord =
                        frame::decode(&fact.body).map_err(|e| unreadable(fact, &e))?;
                    let newest = freezes.get(fact.key.subject.as_str()).map(|(at, _)| *at);
                    if newest.is_none_or(|at| at <= fact.key.at) {
                        freezes.insert(&fact.key.subject, (fact.key.at, record));
                    }
                }
                UNREADABLE if is_ours || fact.key.lane.is_empty() => {
                    let frozen = FreezeRecord { frozen: true, ..FreezeRecord::default() };
                    freezes.entry(&fact.key.subject).or_insert((0, frozen));
                }
                CLOSE if is_ours => {
                    let record: CloseRecord =
                        frame::decode(&fact.body).map_err(|e| unreadable(fact, &e))?;
                    known.agreed.extend(record.case_id.is_none().then_some(record.said));
                }
                _ => {}
            }
        }
        for (subject, (_, record)) in freezes.into_iter().filter(|(_, (_, said))| said.frozen) {
            let Ok(bet) = subject.parse::<BetId>() else {
                known.is_frozen |= subject.is_empty();
                continue;
            };
            // One that was never decided stands in no other fact.
            let stake = match BetEvent::decode(&record.known) {
                Ok(BetEvent { said: BetSaid::Intent(intent), .. }) => {
                    known.bets.extend((intent.bet.partner == *partner).then(|| bet.clone()));
                    Some(intent.bet.stake)
                }
                Ok(_) | Err(_) => None,
            };
            known.frozen.insert(bet, stake);
        }
        Ok(known)
    }

    fn stake(&self, bet: &BetId, story: &Story) -> Option<Money> {
        story.bet().map(|bet| bet.stake).or_else(|| self.frozen.get(bet).copied().flatten())
    }

    /// A round that is frozen grades nothing; a bet that was rejected or cancelled is void all the same.
    fn is_aside(&self, bet: &BetId, story: &Story) -> bool {
        let is_in = || story.decision().is_none_or(|said| said.verdict == Verdict::Accepted);
        self.frozen.contains_key(bet) || (self.is_frozen && is_in())
    }
}

impl RowBody {
    /// The row of a bet, whose story may not be read yet.
    fn of(known: &Known, bet: &BetId, story: &Story) -> Self {
        let newest = story.settlements.last_key_value().map(|(_, told)| &told.said);
        let (revision, target) =
            newest.map_or((REVISION_HELD, Target::Held), |said| (said.revision, said.target));
        let stake = newest.map(|said| said.stake).or_else(|| known.stake(bet, story));
        let (status, _) = target.row();
        let payout = match target {
            Target::Settled(units) => stake.map(|stake| stake.with_units(units).into()),
            Target::Held | Target::Voided => None,
        };
        let delivery = story.outcome(revision).map_or("unread", |delivery| delivery.name());
        Self {
            bet_id: bet.to_string(),
            revision,
            status: status.as_str(),
            stake: stake.map(MoneyBody::from),
            payout,
            delivery: if known.is_aside(bet, story) { "frozen" } else { delivery },
        }
    }
}

/// What a close says, as it is added up.
#[derive(Default)]
struct Book {
    sums: CloseSums,
    open_holds: u64,
    aside: Vec<String>,
    shortfalls: BTreeMap<(Currency, u8), i64>,
    not_final: u64,
}

impl Book {
    /// Adds a bet; bets come in the order of their ids.
    fn take(&mut self, known: &Known, bet: &BetId, story: &Story) {
        let newest = story.settlements.last_key_value().map(|(_, told)| &told.said);
        let outcome = newest.and_then(|said| story.outcome(said.revision));
        let is_parked = matches!(outcome, Some(Outcome::Parked(_)));
        if is_parked || known.is_aside(bet, story) {
            self.aside.push(bet.to_string());
            self.open_holds += u64::from(story.confirmed().is_none());
            if let Some(stake) = known.stake(bet, story) {
                self.sums.aside(stake.currency, stake.exponent, 1);
            }
            return;
        }
        if let Some(said) = newest.filter(|said| 0 < story.shortfall(said.revision)) {
            let Money { currency, exponent, .. } = said.stake;
            let sum = self.shortfalls.entry((currency, exponent)).or_default();
            *sum = sum.saturating_add(story.shortfall(said.revision));
        }
        let is_in = story.decision().is_some_and(|said| said.verdict == Verdict::Accepted);
        match (newest, outcome) {
            (Some(said), Some(Outcome::Applied | Outcome::Superseded(_))) => {
                if REVISION_VOID < said.revision {
                    let row: (RowStatus, i64) = said.target.row();
                    self.sums.row(bet.as_str(), said.revision, said.stake, row);
                }
            }
            (None, _) if is_in && known.version == 0 => self.open_holds += 1,
            _ => self.not_final += 1,
        }
    }

    fn body(self, partner: &PartnerId, round: &RoundId, known: &Known) -> WholeBody {
        let (totals, digest) = self.sums.finish();
        let said = CloseRequest {
            partner_id: partner.to_string(),
            round_id: round.to_string(),
            result_version: known.version,
            totals,
            open_holds: self.open_holds,
            digest,
            listed: self.aside.into_iter().take(CLOSE_LISTED_MAX).collect(),
        };
        let hash = said.hash().map(|hash| hash.to_string());
        let is_said = hash.is_some_and(|hash| known.agreed.contains(&hash));
        WholeBody {
            result_version: said.result_version,
            totals: said.totals,
            open_holds: said.open_holds,
            digest: said.digest,
            parked: said.listed,
            shortfalls: self
                .shortfalls
                .into_iter()
                .map(|((currency, exponent), units)| Money { units, currency, exponent }.into())
                .collect(),
            not_final: self.not_final,
            agreed: is_said && self.not_final == 0,
        }
    }
}
