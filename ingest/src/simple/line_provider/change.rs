//! An event is changed: its odds, its deadline, its result.

use super::create::unnameable;
use super::{Actor, LineProvider};
use crate::http::body::{Id, Json, invalid};
use crate::http::rounds::{derived, gone};
use crate::problem::{Kind, Problem};
use crate::rounds_view::RoundInfo;
use crate::simple::bodies::{EventBody, Refusals};
use crate::simple::event::{Ending, FIRST, SECOND, odds_of, offer};
use crate::simple::values::{Coefficient, Deadline, EventId, State as EventState};
use axum::extract::State;
use runtime::Engine;
use schemas::rounds::{Outcome, RoundEvent, RoundSaid};
use schemas::{Odds, RoundId};
use serde::Deserialize;
use utoipa::ToSchema;

type Answer = Result<axum::Json<EventBody>, Problem>;

/// `PATCH /events/{event_id}` and `PATCH /events/update`. What is left out stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = EventChange, example = json!({"event_id": "match-1", "state": 2}))]
pub(super) struct ChangeBody {
    /// The event; needed where the path does not name it.
    event_id: Option<EventId>,
    /// New odds, while betting is open.
    coefficient: Option<Coefficient>,
    /// A new deadline, while betting is open.
    deadline: Option<Deadline>,
    /// The result: 2 the first team won, 3 the second team won; 1 takes a result back.
    state: Option<EventState>,
}

/// What is to be changed.
#[derive(Clone, Copy)]
pub(super) struct Change {
    pub(super) odds: Option<Odds>,
    /// Ms since the Unix epoch, UTC.
    pub(super) deadline: Option<i64>,
    pub(super) state: Option<EventState>,
}

impl ChangeBody {
    fn change(&self) -> Change {
        Change {
            odds: self.coefficient.map(|odds| odds.0),
            deadline: self.deadline.map(|deadline| deadline.0),
            state: self.state,
        }
    }
}

/// Change an event
///
/// Odds and deadline may change while betting is open. A state of 2 or 3 is a result: it ends betting, and
/// the answer comes once every bet before the end is known. From 2 to 3 and back is a correction, and back
/// to 1 a withdrawal, after which bets are pending again. Fields that are equal to what stands change
/// nothing. Odds and deadline are changed first; if the result is refused then, they stay changed.
#[utoipa::path(
    patch, path = "/events/{event_id}", tag = "events", request_body = ChangeBody,
    params(("event_id" = String, Path, description = "The event", example = "match-1")),
    responses(
        (status = 200, description = "The event as it is now", body = EventBody),
        Refusals,
    ),
)]
pub(super) async fn patch<E: Engine>(
    State(state): State<LineProvider<E>>,
    Actor(actor): Actor,
    Id(EventId(event)): Id<EventId>,
    Json(body): Json<ChangeBody>,
) -> Answer {
    if body.event_id.as_ref().is_some_and(|EventId(named)| *named != event) {
        return Err(invalid("event_id", "the path names another event"));
    }
    state.answer(actor, event, body.change()).await
}

/// Change the event that the body names
#[utoipa::path(
    patch, path = "/events/update/", tag = "events", request_body = ChangeBody,
    responses(
        (status = 200, description = "The event as it is now", body = EventBody),
        Refusals,
    ),
)]
pub(super) async fn update<E: Engine>(
    State(state): State<LineProvider<E>>,
    Actor(actor): Actor,
    Json(body): Json<ChangeBody>,
) -> Answer {
    let change = body.change();
    let EventId(event) = body.event_id.ok_or_else(|| invalid("event_id", "name the event"))?;
    state.answer(actor, event, change).await
}

impl<E: Engine> LineProvider<E> {
    async fn answer(&self, actor: String, event: RoundId, change: Change) -> Answer {
        let info = self.event(&event).await?;
        let info = self.change(actor, info, change).await?;
        EventBody::of(&info).map(axum::Json).ok_or_else(gone)
    }

    /// The event, in memory or not.
    pub(super) async fn event(&self, event: &RoundId) -> Result<RoundInfo, Problem> {
        let info = self.api.any_round(event).await?.filter(|info| odds_of(info).is_some());
        info.ok_or_else(|| unknown(event))
    }

    /// Changes what differs, and shows the event as it is then.
    pub(super) async fn change(
        &self,
        actor: String,
        info: RoundInfo,
        change: Change,
    ) -> Result<RoundInfo, Problem> {
        let odds = change.odds.filter(|odds| odds_of(&info) != Some(*odds));
        let deadline = change.deadline.filter(|deadline| info.closes_at != *deadline);
        let state = change.state.filter(|state| Ending::of(&info).state() != *state);
        if odds.is_none() && deadline.is_none() && state.is_none() {
            return Ok(info);
        }
        if odds.is_some() || deadline.is_some() {
            self.amend(&actor, &info, odds, deadline).await?;
        }
        if let Some(state) = state {
            self.finish(actor, &info, state).await?;
        }
        self.event(&info.round).await
    }

    async fn amend(
        &self,
        actor: &str,
        info: &RoundInfo,
        odds: Option<Odds>,
        deadline: Option<i64>,
    ) -> Result<(), Problem> {
        let said_at = (self.api.now)();
        if deadline.is_some_and(|deadline| deadline <= said_at) {
            return Err(invalid("deadline", "it has passed; give a time that is still to come"));
        }
        let offers = odds.map(offer).transpose().map_err(unnameable)?.unwrap_or_default();
        let said = RoundSaid::Amended { offers, closes_at: deadline };
        let event = |request| RoundEvent {
            round: info.round.clone(),
            request,
            actor: actor.to_owned(),
            said_at,
            said: said.clone(),
        };
        self.api.amend_derived(info, event).await.map(|_| ())
    }

    /// Says a result, a correction or a withdrawal in place of the version that `info` shows. The line holds
    /// it until the round is sealed; the herald ends betting for it.
    async fn finish(
        &self,
        actor: String,
        info: &RoundInfo,
        state: EventState,
    ) -> Result<(), Problem> {
        let outcome = match state {
            EventState::Unfinished => Outcome::Withdrawn,
            EventState::FirstWon => Outcome::Game(FIRST.to_owned()),
            EventState::SecondWon => Outcome::Game(SECOND.to_owned()),
        };
        let reason = format!("state {}", state.number());
        let said = RoundSaid::Version { replaces: info.version, outcome, reason };
        let request = derived(&info.round, said.clone(), &[])?;
        let (round, said_at) = (info.round.clone(), (self.api.now)());
        let event = RoundEvent { round, request, actor, said_at, said };
        self.api.say(event, true).await.map(|_| ())
    }
}

pub(super) fn unknown(event: &RoundId) -> Problem {
    Problem::new(Kind::EVENT_UNKNOWN, format!("there is no event {event}"))
}
