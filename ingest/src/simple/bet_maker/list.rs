//! Bets are shown.

use super::book::{Ask, PAGE_BETS_MAX, Told};
use super::{BetLine, BetMaker, PREFIX, Standing, gone};
use crate::http::body::{Id, Params};
use crate::problem::{Kind, Problem};
use crate::simple::bodies::Refusals;
use crate::simple::pages::{Page, array};
use crate::simple::values::amount_text;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{HeaderMap, HeaderValue, LINK};
use schemas::contract::timestamp;
use schemas::{BetId, Odds, RoundId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Bets written at once where the whole list is asked for.
const STREAMED_BETS: usize = 500;

/// A bet.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Bet)]
pub(super) struct BetBody {
    /// The bet.
    #[schema(value_type = String, example = "match-1:Xb6kKJm0mF2b8p6dYwq0fXn2u4M")]
    bet_id: BetId,
    /// The event.
    #[schema(value_type = String, example = "match-1")]
    event_id: RoundId,
    /// The stake, with exactly two decimals.
    #[schema(pattern = r"^[0-9]+\.[0-9]{2}$", example = "10.00")]
    amount: String,
    /// `pending`, `won`, `lost`; `void` if the stake went back.
    #[schema(example = "pending")]
    status: &'static str,
    /// The odds it was placed at, with exactly two decimals.
    #[schema(value_type = String, pattern = r"^[0-9]+\.[0-9]{2}$", example = "1.50")]
    coefficient: Odds,
    /// When it was placed, UTC.
    #[schema(format = DateTime)]
    placed_at: String,
}

impl From<&BetLine> for BetBody {
    fn from(line: &BetLine) -> Self {
        Self {
            bet_id: line.bet.clone(),
            event_id: line.bet.round(),
            amount: amount_text(line.units),
            status: line.standing.name(),
            coefficient: line.odds,
            placed_at: timestamp(line.placed_at),
        }
    }
}

/// `?limit=&cursor=`.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ListParams {
    /// Bets on a page; without it every bet is streamed.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// Where to go on: from the `Link` header of the page before.
    #[param(minimum = 0)]
    cursor: Option<i64>,
}

/// List bets
///
/// The newest 1,000,000 bets that were not rejected, newest first. With `limit` a page; if there are more, the `Link`
/// header names the next one (`rel="next"`).
#[utoipa::path(
    get, path = "/bets", tag = "bets", params(ListParams),
    responses(
        (status = 200, description = "The bets", body = Vec<BetBody>,
         headers(("Link" = String, description = "The next page, if there is one"))),
        Refusals,
    ),
)]
pub(super) async fn list(
    State(state): State<BetMaker>,
    Params(params): Params<ListParams>,
) -> Result<Response, Problem> {
    let unknown = |_| Problem::new(Kind::INVALID_QUERY, "`cursor` is none that was given out");
    let cursor = params.cursor.map(u64::try_from).transpose().map_err(unknown)?;
    let Some(limit) = params.limit else {
        let first = page(&state, cursor, STREAMED_BETS).await?;
        return Ok(array(first, move |after| {
            let state = state.clone();
            async move { page(&state, Some(after), STREAMED_BETS).await }
        }));
    };
    if !(1..=PAGE_BETS_MAX).contains(&limit) {
        return Err(Problem::new(Kind::INVALID_QUERY, format!("`limit` is 1 to {PAGE_BETS_MAX}")));
    }
    let Page { items, next } = page(&state, cursor, limit).await?;
    let mut headers = HeaderMap::new();
    // A full page may be the last one.
    if let Some(next) = next
        && !page(&state, Some(next), 1).await?.items.is_empty()
    {
        let link = format!("<{PREFIX}/bets?limit={limit}&cursor={next}>; rel=\"next\"");
        headers.extend(HeaderValue::try_from(link).ok().map(|link| (LINK, link)));
    }
    Ok((headers, axum::Json(items)).into_response())
}

/// Show a bet
#[utoipa::path(
    get, path = "/bets/{bet_id}", tag = "bets",
    params(("bet_id" = String, Path, description = "The bet")),
    responses(
        (status = 200, description = "The bet", body = BetBody),
        (status = 404, description = "There is none", body = crate::simple::bodies::Problem,
         content_type = "application/problem+json"),
        Refusals,
    ),
)]
pub(super) async fn show(
    State(state): State<BetMaker>,
    Id(bet): Id<BetId>,
) -> Result<axum::Json<BetBody>, Problem> {
    let Told::Bet(line) = state.ask(Ask::Bet(bet.clone())).await? else { return Err(gone()) };
    let line = line.filter(|line| !matches!(line.standing, Standing::Rejected(_)));
    let unknown = || Problem::new(Kind::BET_UNKNOWN, format!("there is no bet {bet}"));
    line.map(|line| axum::Json(BetBody::from(&*line))).ok_or_else(unknown)
}

/// A page, and the place of its last bet if there may be more.
async fn page(
    state: &BetMaker,
    after: Option<u64>,
    limit: usize,
) -> Result<Page<u64, BetBody>, Problem> {
    let Told::Bets(bets) = state.ask(Ask::Bets { after, limit }).await? else {
        return Err(gone());
    };
    let next = bets.last().filter(|_| bets.len() == limit).map(|(place, _)| *place);
    Ok(Page { items: bets.iter().map(|(_, line)| BetBody::from(line)).collect(), next })
}
