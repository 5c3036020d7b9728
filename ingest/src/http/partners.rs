//! Partners: who they are, and whether their players may bet. An operator creates and changes them, pauses and
//! resumes. What was said is durable before it is answered; every process follows it within a second.

use super::ApiState;
use super::body::{Id, Json, invalid};
use super::credentials::Operator;
use super::partner_bodies::{CheckBody, PartnerBody, PartnersBody, ReasonBody, SetBody};
use crate::auth::Duty;
use crate::partners::{Partner, ProfileError};
use crate::problem::{Kind, Problem};
use crate::wallet_check::{Asked, adopted};
use axum::extract::State;
use http::StatusCode;
use runtime::{Append, Batch, Clock, Engine, EngineError, Fact, Millis, Topic};
use schemas::catalogue::PARTNERS;
use schemas::partners::{PartnerSaid, PartnerWord, Pauser, Said};
use schemas::{PartnerId, acts, outgoing};
use std::sync::Arc;

/// Characters a reason may have.
const REASON_CHARS_MAX: usize = 500;

type Answer = Result<axum::Json<PartnerBody>, Problem>;

pub(super) async fn list<E: Engine>(
    State(api): State<ApiState<E>>,
    operator: Operator,
) -> Result<axum::Json<PartnersBody>, Problem> {
    operator.on(Duty::Read)?;
    let partners = api.partners.all().into_iter().map(PartnerBody::from).collect();
    Ok(axum::Json(PartnersBody { partners }))
}

pub(super) async fn show<E: Engine>(
    State(api): State<ApiState<E>>,
    operator: Operator,
    Id(partner): Id<PartnerId>,
) -> Answer {
    operator.on(Duty::Read)?;
    api.known_partner(&partner).map(|partner| axum::Json(partner.into()))
}

/// Asks the partner's wallet what it can do, and says what is not as it should be.
pub(super) async fn check<E: Engine>(
    State(api): State<ApiState<E>>,
    operator: Operator,
    Id(partner): Id<PartnerId>,
) -> Result<axum::Json<CheckBody>, Problem> {
    operator.on(Duty::Partners)?;
    let asked = api.asked(&partner).await?;
    Ok(axum::Json(api.checked(partner, asked, false)?))
}

/// The same, and from now on its profile says what its wallet says that it takes: the size of state calls, whether they
/// may be packed, and their rate where it is above that. A wallet that does not say it, or says what nobody could keep
/// to, changes nothing.
pub(super) async fn adopt<E: Engine>(
    State(api): State<ApiState<E>>,
    operator: Operator,
    Id(partner): Id<PartnerId>,
    Json(body): Json<ReasonBody>,
) -> Result<axum::Json<CheckBody>, Problem> {
    let actor = operator.on(Duty::Partners)?;
    let asked = api.asked(&partner).await?;
    // As this process knows it by now, since the wallet took its time.
    let before = api.known_partner(&partner)?.profile;
    let after = asked.capabilities.as_ref().ok().and_then(|said| adopted(&partner, &before, said));
    let is_said = after.is_some();
    if let Some(after) = after.filter(|after| *after != before) {
        let what = PartnerWord::Profile(after);
        drop(api.say_of_partner(partner.clone(), what, body.reason, actor).await?);
    }
    Ok(axum::Json(api.checked(partner, asked, is_said)?))
}

/// The clock of the API.
#[derive(Clone)]
struct ApiClock(Arc<dyn Fn() -> Millis + Send + Sync>);

impl Clock for ApiClock {
    fn now(&self) -> Millis {
        (self.0)()
    }
}

pub(super) async fn create<E: Engine>(
    State(api): State<ApiState<E>>,
    operator: Operator,
    Json(body): Json<SetBody>,
) -> Result<(StatusCode, axum::Json<PartnerBody>), Problem> {
    let actor = operator.on(Duty::Partners)?;
    let partner = body.partner_id.clone().ok_or_else(|| invalid("partner_id", "is missing"))?;
    if api.partners.get(&partner).is_some() {
        let detail = format!("there is a partner {partner}: change it with PUT");
        return Err(Problem::new(Kind::PARTNER_EXISTS, detail));
    }
    let (profile, reason) = body.read(None)?;
    let created = api.say_of_partner(partner, PartnerWord::Profile(profile), reason, actor).await?;
    Ok((StatusCode::CREATED, created))
}

pub(super) async fn set<E: Engine>(
    State(api): State<ApiState<E>>,
    operator: Operator,
    Id(partner): Id<PartnerId>,
    Json(body): Json<SetBody>,
) -> Answer {
    let actor = operator.on(Duty::Partners)?;
    let known = api.known_partner(&partner)?.profile;
    if body.partner_id.as_ref().is_some_and(|id| *id != partner) {
        return Err(invalid("partner_id", "is not the partner of the path"));
    }
    let (profile, reason) = body.read(Some(&known))?;
    api.say_of_partner(partner, PartnerWord::Profile(profile), reason, actor).await
}

pub(super) async fn pause<E: Engine>(
    State(api): State<ApiState<E>>,
    operator: Operator,
    Id(partner): Id<PartnerId>,
    Json(body): Json<ReasonBody>,
) -> Answer {
    api.say_pause(partner, true, body.reason, operator.on(Duty::Partners)?).await
}

pub(super) async fn resume<E: Engine>(
    State(api): State<ApiState<E>>,
    operator: Operator,
    Id(partner): Id<PartnerId>,
    Json(body): Json<ReasonBody>,
) -> Answer {
    api.say_pause(partner, false, body.reason, operator.on(Duty::Partners)?).await
}

impl<E: Engine> ApiState<E> {
    fn known_partner(&self, partner: &PartnerId) -> Result<Partner, Problem> {
        let unknown = || Problem::new(Kind::NOT_FOUND, format!("there is no partner {partner}"));
        self.partners.get(partner).ok_or_else(unknown)
    }

    async fn asked(&self, partner: &PartnerId) -> Result<Asked, Problem> {
        self.known_partner(partner)?;
        Ok(Asked::of(&self.partners, partner, &ApiClock(Arc::clone(&self.now))).await)
    }

    /// What was found, against the partner as it is known now; with its profile if that was taken over.
    fn checked(
        &self,
        partner_id: PartnerId,
        asked: Asked,
        adopted: bool,
    ) -> Result<CheckBody, Problem> {
        let partner = self.known_partner(&partner_id)?;
        let differences = asked.differences(&partner);
        let capabilities = asked.capabilities.ok();
        let profile = adopted.then(|| (partner.profile, partner.set).into());
        Ok(CheckBody { partner_id, differences, capabilities, profile })
    }

    async fn say_pause(
        &self,
        partner: PartnerId,
        paused: bool,
        reason: String,
        actor: String,
    ) -> Answer {
        self.known_partner(&partner)?;
        self.say_of_partner(partner, PartnerWord::Paused(Pauser::Operator, paused), reason, actor)
            .await
    }

    async fn say_of_partner(
        &self,
        partner: PartnerId,
        what: PartnerWord,
        reason: String,
        actor: String,
    ) -> Answer {
        let reason = reason.trim().to_owned();
        if reason.is_empty() || REASON_CHARS_MAX < reason.chars().count() {
            let why = format!("say why, in 1 to {REASON_CHARS_MAX} characters");
            return Err(invalid("reason", why));
        }
        if let PartnerWord::Profile(profile) = &what {
            // Nothing that could not be followed may stand in the log.
            self.partners.check(&partner, profile).map_err(|error| refused(&error))?;
        }
        let by = Said { reason, actor, said_at: (self.now)() };
        let said = PartnerSaid { partner: partner.clone(), what, by };
        let before = self.partners.get(&partner);
        let record = outgoing::partner(&said, self.engine.partitions(Topic(PARTNERS)));
        let record = record.map_err(|error| Problem::new(Kind::UNENCODABLE, error.to_string()))?;
        let mut batch = Batch::of_records(vec![Append::from(record.into_parts())]);
        let act = self.act(&said)?;
        // A pause is not to wait for a store that is away.
        if matches!(said.what, PartnerWord::Paused(_, true)) {
            batch.closing = act;
        } else {
            batch.facts = vec![act];
        }
        let applied = self.engine.apply(None, batch).await;
        applied.map_err(|error| {
            let kind = match error {
                EngineError::Full(_) => Kind::STORAGE_FULL,
                EngineError::Unavailable(_)
                | EngineError::Fenced(_)
                | EngineError::OutOfRange { .. }
                | EngineError::Closed => Kind::STORAGE_UNAVAILABLE,
            };
            Problem::new(kind, "what was said may or may not be kept: ask, and say it again")
        })?;
        // Who asks here next need not wait for the log.
        self.partners.note_ahead(before.as_ref(), said).map_err(|error| refused(&error))?;
        self.known_partner(&partner).map(|partner| axum::Json(partner.into()))
    }
}

impl<E: Engine> ApiState<E> {
    /// The fact of what an operator says.
    fn act(&self, said: &PartnerSaid) -> Result<Vec<Fact>, Problem> {
        let at = u64::try_from(said.by.said_at).unwrap_or(0);
        let facts = acts::of_partner(said).map(|act| acts::fact(&act, at)).into_iter();
        facts
            .map(|fact| fact.map(|fact| Fact::from(fact.into_parts())))
            .collect::<Result<_, _>>()
            .map_err(|error| Problem::new(Kind::UNENCODABLE, error.to_string()))
    }
}

fn refused(error: &ProfileError) -> Problem {
    let field = match error {
        ProfileError::Wallet(_) => "wallet_url",
        ProfileError::Key(_) => "token_key",
        ProfileError::ReplyKey(_)
        | ProfileError::SharedSecret
        | ProfileError::OurKey
        | ProfileError::ManyKeys
        | ProfileError::NoKey => "reply_keys",
    };
    invalid(field, error)
}
