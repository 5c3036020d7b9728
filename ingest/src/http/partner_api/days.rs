//! What a day came to: the movements whose cause was said on it, by currency.
//!
//! A day may have millions of them, so an answer adds up a part, newest first, and says where to go on. Parts
//! add up: every number is a sum or a count.

use super::signed::PartnerCaller;
use crate::history::lists::{List, Place, Step, Walk};
use crate::history::story::{Hold, Outcome, Story};
use crate::http::ApiState;
use crate::http::body::Params;
use crate::http::histories::{cursor, cursor_read, unavailable, wrong};
use crate::problem::Problem;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use futures_util::{StreamExt, stream};
use runtime::Engine;
use schemas::contract::{parse_timestamp, timestamp};
use schemas::settlements::{REVISION_HELD, REVISION_VOID, Settlement, Target};
use schemas::{Currency, Money, PartnerId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use utoipa::{IntoParams, ToSchema};

/// Movements of one answer.
const MOVEMENTS_MAX: usize = 2_000;
/// Stories read at once.
const STORIES_AT_ONCE: usize = 16;
/// The revision of a first result.
const FIRST: u32 = REVISION_VOID + 1;
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// `?after=`.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct DayParams {
    /// `next` of the part before.
    after: Option<String>,
}

/// A part of a day. Add all parts up.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DayStatement)]
pub(super) struct DayBody {
    /// The day, UTC.
    #[schema(format = Date, example = "2026-11-29")]
    day: String,
    /// By currency, ordered.
    totals: Vec<DayTotalBody>,
    /// Where the next part begins; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// What was said on the day in one currency. Amounts are minor units as text.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DayTotal)]
pub(super) struct DayTotalBody {
    /// The currency.
    #[schema(value_type = Currency)]
    currency: String,
    /// Decimals between minor and major unit.
    exponent: u8,
    /// Stakes that you hold or held, by the day of the bet.
    held: SumBody,
    /// Bets that a first result settled.
    settled: SumBody,
    /// What they are worth, stakes included.
    #[schema(pattern = "^[0-9]+$", example = "5000")]
    payout: String,
    /// Stakes that went back: bets that were cancelled or came too late, and first results that void.
    voided: SumBody,
    /// Corrections booked on this day, by the day of the first result.
    corrections: Vec<CorrectionBody>,
    /// Corrections, whenever they were booked, of bets whose first result was said on this day, by the day of
    /// the correction. They are told for the day that was corrected, and are no part of this day's money.
    corrected: Vec<CorrectionBody>,
    /// What all of it but `corrected` changes for the players: minus `held`, plus `payout`, `voided` and
    /// `corrections`.
    #[schema(pattern = "^-?[0-9]+$", example = "-2500")]
    change: String,
    /// How much of it you could not take back from players, as you answered, in minor units; below zero where
    /// corrections of this day made up for more than was missing before. Of all days together: what is missing.
    #[schema(pattern = "^-?[0-9]+$", example = "0")]
    shortfall: String,
    /// Movements of these that you have not confirmed, or that are parked.
    not_final: u64,
}

/// A number of bets, and the sum of their stakes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DaySum)]
pub(super) struct SumBody {
    /// Bets.
    bets: u64,
    /// Their stakes, in minor units.
    #[schema(pattern = "^[0-9]+$", example = "4000")]
    stake: String,
}

/// Corrections of bets of one day.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Correction)]
pub(super) struct CorrectionBody {
    /// The other day, UTC.
    #[schema(format = Date, example = "2026-11-22")]
    day: String,
    /// Revisions.
    revisions: u64,
    /// What they change for the players, in minor units; below zero from the player.
    #[schema(pattern = "^-?[0-9]+$", example = "-2500")]
    change: String,
}

/// The statement of a day
///
/// What was asked of you on a UTC day, by the time of what caused it: the bet, or the result. An answer adds up
/// at most some 2,000 movements; where `next` is there, ask for the next part and add it. A correction stands
/// with the day it was booked on, and again with the day it corrects. A day is whole once its rounds are closed.
#[utoipa::path(
    get, path = "/statements/{day}", operation_id = "day_statement", tag = "partner",
    params(
        ("day" = String, Path, format = Date, description = "The day, UTC, such as 2026-11-29."),
        DayParams,
    ),
    responses((status = 200, description = "A part of the statement.", body = DayBody)),
)]
pub(super) async fn statement<E: Engine>(
    State(api): State<ApiState<E>>,
    PartnerCaller(partner): PartnerCaller,
    day: Result<Path<String>, PathRejection>,
    Params(params): Params<DayParams>,
) -> Result<axum::Json<DayBody>, Problem> {
    let Path(day) = day.map_err(|rejection| wrong(rejection.to_string()))?;
    let from = begin(&day)?;
    let (begin, end) = (Place::before(from), Place::before(from.saturating_add(DAY_MS)));
    let below = match params.after.as_deref() {
        Some(after) => Some(cursor_read("after", after)?).filter(|at| begin <= *at && *at < end),
        None => Some(end),
    };
    let below = below.ok_or_else(|| wrong("`after` is of another day"))?;
    let mut totals: BTreeMap<(Currency, u8), DayTotal> = BTreeMap::new();
    let (places, next) = places(&api, &partner, (from, below), MOVEMENTS_MAX).await?;
    let told = places.iter().filter_map(Place::names).map(|(bet, revision)| {
        let api = &api;
        async move { Ok::<_, Problem>((api.story(&bet).await?, revision)) }
    });
    let mut told = stream::iter(told).buffered(STORIES_AT_ONCE);
    while let Some(told) = told.next().await {
        let (story, revision) = told?;
        add(&mut totals, &story, revision.unwrap_or(REVISION_HELD));
    }
    let totals = totals.into_iter().map(DayTotal::body).collect();
    Ok(axum::Json(DayBody { day, totals, next: next.as_ref().map(cursor) }))
}

/// The movements of a part, newest first, from below the place down to the time, and where the next part begins.
pub(super) async fn places<E: Engine>(
    api: &ApiState<E>,
    partner: &PartnerId,
    span: (u64, Place),
    movements_max: usize,
) -> Result<(Vec<Place>, Option<Place>), Problem> {
    let store = (&api.engine, api.partitions);
    let mut walk = Walk::new(store, List::Partner(partner), span, BTreeSet::new());
    let mut places = Vec::new();
    while places.len() < movements_max {
        match walk.next().await.map_err(unavailable)? {
            Step::Place(place) => places.push(place),
            Step::Tired(place) => return Ok((places, Some(place))),
            Step::End => return Ok((places, None)),
        }
    }
    let last = places.last().cloned();
    Ok((places, last))
}

/// The first ms of a day.
fn begin(day: &str) -> Result<u64, Problem> {
    let begin = parse_timestamp(&format!("{day}T00:00:00Z")).filter(|at| date(*at) == day);
    begin
        .and_then(|begin| u64::try_from(begin).ok())
        .ok_or_else(|| wrong("the day is not of the form 2026-11-29"))
}

fn date(at: i64) -> String {
    timestamp(at).split('T').next().unwrap_or_default().to_owned()
}

#[derive(Debug, Default)]
struct DayTotal {
    held: Sum,
    settled: Sum,
    payout: i128,
    voided: Sum,
    corrections: BTreeMap<String, (u64, i128)>,
    corrected: BTreeMap<String, (u64, i128)>,
    shortfall: i128,
    not_final: u64,
}

#[derive(Debug, Default)]
struct Sum {
    bets: u64,
    stake: i128,
}

impl Sum {
    fn add(&mut self, stake: Money) {
        self.bets += 1;
        self.stake = self.stake.saturating_add(i128::from(stake.units));
    }

    fn body(&self) -> SumBody {
        SumBody { bets: self.bets, stake: self.stake.to_string() }
    }
}

/// Adds one movement.
fn add(totals: &mut BTreeMap<(Currency, u8), DayTotal>, story: &Story, revision: u32) {
    let of = |stake: Money| (stake.currency, stake.exponent);
    let is_held = matches!(story.hold(), Some((_, Hold::Approved)));
    if revision == REVISION_HELD {
        if let Some(bet) = story.bet().filter(|_| is_held) {
            totals.entry(of(bet.stake)).or_default().held.add(bet.stake);
        }
        return;
    }
    let Some(said) = story.settlements.get(&revision).map(|told| &told.said) else { return };
    let total = totals.entry(of(said.stake)).or_default();
    if matches!(story.outcome(revision), Some(Outcome::Owed | Outcome::Parked(_))) {
        total.not_final += 1;
    }
    let shortfall = i128::from(story.shortfall_rise(revision));
    total.shortfall = total.shortfall.saturating_add(shortfall);
    match (revision, said.target) {
        (REVISION_VOID, _) if !is_held => {}
        (..=FIRST, Target::Voided) => total.voided.add(said.stake),
        (..=FIRST, Target::Settled(payout)) => {
            total.settled.add(said.stake);
            total.payout = total.payout.saturating_add(i128::from(payout));
        }
        (..=FIRST, Target::Held) => {}
        _ => {
            let first = story.results().next().map_or(said, |first| &first.said);
            correct(&mut total.corrections, date(first.caused_at), said);
        }
    }
    if revision == FIRST {
        for later in story.results().skip(1) {
            correct(&mut total.corrected, date(later.said.caused_at), &later.said);
        }
    }
}

fn correct(by_day: &mut BTreeMap<String, (u64, i128)>, day: String, said: &Settlement) {
    let (revisions, change) = by_day.entry(day).or_default();
    *revisions += 1;
    let units = said.stake.units;
    *change = change.saturating_add(said.target.net(units) - said.previous.net(units));
}

impl DayTotal {
    fn body(((currency, exponent), total): ((Currency, u8), Self)) -> DayTotalBody {
        let corrections = |by_day: &BTreeMap<String, (u64, i128)>| {
            let body = |(day, (revisions, change)): (&String, &(u64, i128))| CorrectionBody {
                day: day.clone(),
                revisions: *revisions,
                change: change.to_string(),
            };
            by_day.iter().map(body).collect()
        };
        let corrected: i128 = total.corrections.values().map(|(_, change)| change).sum();
        let change = total.payout + total.voided.stake + corrected - total.held.stake;
        DayTotalBody {
            currency: currency.to_string(),
            exponent,
            held: total.held.body(),
            settled: total.settled.body(),
            payout: total.payout.to_string(),
            voided: total.voided.body(),
            corrections: corrections(&total.corrections),
            corrected: corrections(&total.corrected),
            change: change.to_string(),
            shortfall: total.shortfall.to_string(),
            not_final: total.not_final,
        }
    }
}
