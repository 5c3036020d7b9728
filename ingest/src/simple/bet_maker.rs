//! bet-maker: bets on the first team of an event, and how they stand.
//!
//! A client of the core with one player. It asks bet placing, as every bet is asked, and says what the
//! settler decided (R13). What it lists is its [`book`], which follows three topics; so line-provider may be
//! away, and any number of instances may run.
//!
//! What a crash leaves: a bet that was begun and not answered. It is decided all the same, and listed.

pub mod book;
mod events;
mod line;
mod list;
mod open_api;
mod place;

pub use line::{Begin, Begun, BetLine, Standing};

use super::docs;
use super::routes::{Slashed, below};
use crate::http::elsewhere;
use crate::placing::{Placing, SessionToken};
use crate::problem::{Kind, Problem};
use axum::Router;
use axum::routing::{any, get, post};
use book::{Ask, Book, Told};
use http::header::{ALLOW, HeaderName};
use runtime::{Handle, Millis};
use schemas::{Currency, PartnerId, PlayerId};
use std::sync::Arc;

/// Where the API is.
pub const PREFIX: &str = "/bet-maker";
/// Names a bet, so that it can be sent again.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// What the handlers need. Cheap to clone.
#[derive(Clone)]
pub struct BetMaker {
    /// What is listed.
    pub book: Handle<Book>,
    /// Bet placing of this process.
    pub placing: Handle<Placing>,
    /// The partner whose wallet pays.
    pub partner: PartnerId,
    /// The player who bets.
    pub player: PlayerId,
    /// The player's currency, which has two decimals.
    pub currency: Currency,
    /// Signs the player's token, as the partner's server does, at a time in ms.
    pub session: Arc<dyn Fn(Millis) -> SessionToken + Send + Sync>,
    /// The time, ms since the Unix epoch, UTC.
    pub now: Arc<dyn Fn() -> Millis + Send + Sync>,
    /// The build, for the document.
    pub version: &'static str,
}

/// All routes below [`PREFIX`]; of a process that serves nothing else (`alone`) without it too.
pub fn router(state: BetMaker, alone: bool) -> Router {
    let (version, now) = (state.version, Arc::clone(&state.now));
    let routes = Router::new()
        .slashed("/events", get(events::list))
        .slashed("/events/{event_id}", get(events::show))
        .slashed("/bet", post(place::place))
        .slashed("/bets", get(list::list))
        .slashed("/bets/update", any(no_update))
        .slashed("/bets/bet/{event_id}", post(place::place_at_alias))
        .slashed("/bets/{bet_id}", get(list::show))
        .with_state(state);
    below(PREFIX, routes.merge(docs::routes(open_api::document(version), now)), alone)
}

/// The routes where nobody's bets are placed here.
pub fn absent() -> Router {
    elsewhere(PREFIX, &format!("{PREFIX}/{{*rest}}"))
}

/// Refused: a caller may not set a result
#[utoipa::path(
    patch, path = "/bets/update/", tag = "bets",
    responses((status = 405, description = "Always", body = super::bodies::Problem,
               content_type = "application/problem+json")),
)]
async fn no_update() -> ([(HeaderName, &'static str); 1], Problem) {
    let detail = "a caller may not set how a bet ended: that follows from the result of its event, \
                  which line-provider says (PATCH /line-provider/events/{event_id})";
    ([(ALLOW, "")], Problem::new(Kind::METHOD_NOT_ALLOWED, detail))
}

impl BetMaker {
    async fn ask(&self, ask: Ask) -> Result<Told, Problem> {
        match self.book.ask(ask).await {
            Ok(Told::Starting) => Err(Problem::new(Kind::STARTING, "the log is still being read")),
            Ok(told) => Ok(told),
            Err(_) => Err(gone()),
        }
    }
}

fn gone() -> Problem {
    Problem::new(Kind::UNAVAILABLE, "the book is being started again")
}
