//! Partners: whether their players may bet. An operator pauses and resumes; what was said is durable before
//! it is answered, and every process that places bets follows it within a second.

use super::ApiState;
use super::body::{Id, Json, invalid};
use super::credentials::Operator;
use crate::auth::Duty;
use crate::problem::{Kind, Problem};
use axum::extract::State;
use runtime::{Append, Engine, EngineError, Topic};
use schemas::PartnerId;
use schemas::catalogue::PARTNERS;
use schemas::contract::timestamp;
use schemas::outgoing;
use schemas::partners::Pause;
use serde::{Deserialize, Serialize};

/// Characters a reason may have.
const REASON_CHARS_MAX: usize = 500;

type Answer = Result<axum::Json<PartnerBody>, Problem>;

/// A partner, as operators see it.
#[derive(Debug, Serialize)]
pub(super) struct PartnerBody {
    partner_id: PartnerId,
    /// `open` or `paused`.
    betting: &'static str,
    /// Why it was paused or resumed the last time.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Who said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<String>,
    /// When, RFC 3339 in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
}

impl PartnerBody {
    fn of(partner_id: PartnerId, said: Option<Pause>) -> Self {
        let paused = said.as_ref().is_some_and(|pause| pause.paused);
        let since = said.as_ref().map(|pause| timestamp(pause.said_at));
        let (reason, actor) = said.map(|pause| (pause.reason, pause.actor)).unzip();
        let betting = if paused { "paused" } else { "open" };
        Self { partner_id, betting, reason, actor, since }
    }
}

/// All partners, ordered by id.
#[derive(Debug, Serialize)]
pub(super) struct PartnersBody {
    partners: Vec<PartnerBody>,
}

/// Why betting is paused or resumed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PauseBody {
    reason: String,
}

pub(super) async fn list<E: Engine>(
    State(api): State<ApiState<E>>,
    operator: Operator,
) -> Result<axum::Json<PartnersBody>, Problem> {
    operator.on(Duty::Read)?;
    let partners = api.pauses.all().into_iter();
    Ok(axum::Json(PartnersBody {
        partners: partners.map(|(partner, said)| PartnerBody::of(partner, said)).collect(),
    }))
}

pub(super) async fn pause<E: Engine>(
    State(api): State<ApiState<E>>,
    operator: Operator,
    Id(partner): Id<PartnerId>,
    Json(body): Json<PauseBody>,
) -> Answer {
    api.say_pause(partner, true, body.reason, operator.on(Duty::Partners)?).await
}

pub(super) async fn resume<E: Engine>(
    State(api): State<ApiState<E>>,
    operator: Operator,
    Id(partner): Id<PartnerId>,
    Json(body): Json<PauseBody>,
) -> Answer {
    api.say_pause(partner, false, body.reason, operator.on(Duty::Partners)?).await
}

impl<E: Engine> ApiState<E> {
    async fn say_pause(
        &self,
        partner: PartnerId,
        paused: bool,
        reason: String,
        actor: String,
    ) -> Answer {
        if !self.pauses.knows(&partner) {
            let detail = format!("there is no partner {partner}");
            return Err(Problem::new(Kind::NOT_FOUND, detail));
        }
        let reason = reason.trim().to_owned();
        if reason.is_empty() || REASON_CHARS_MAX < reason.chars().count() {
            let why = format!("say why, in 1 to {REASON_CHARS_MAX} characters");
            return Err(invalid("reason", why));
        }
        let said = Pause { partner: partner.clone(), paused, reason, actor, said_at: (self.now)() };
        let record = outgoing::pause(&said, self.engine.partitions(Topic(PARTNERS)));
        let record = record.map_err(|error| Problem::new(Kind::UNENCODABLE, error.to_string()))?;
        let appended = self.engine.append(vec![Append::from(record.into_parts())]).await;
        appended.map_err(|error| {
            let kind = match error {
                EngineError::Full(_) => Kind::STORAGE_FULL,
                EngineError::Unavailable(_)
                | EngineError::Fenced(_)
                | EngineError::OutOfRange { .. }
                | EngineError::Closed => Kind::STORAGE_UNAVAILABLE,
            };
            Problem::new(kind, "what was said may or may not be kept: ask, and say it again")
        })?;
        Ok(axum::Json(PartnerBody::of(partner, Some(said))))
    }
}
