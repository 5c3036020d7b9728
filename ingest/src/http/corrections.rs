//! Corrections in two steps: one operator proposes and is shown what would change, another approves that.
//!
//! What is said here stands in `rounds.v1` like everything about a round, and the herald judges it: that
//! proposer and approver are two, that the proposal is open, that the version is the one named. The API
//! refuses the same before anything is written, and alone knows whether what was shown still holds.

use super::ApiState;
use super::body::{Id, Json, invalid};
use super::credentials::Operator;
use super::round_bodies::{AdmittedBody, ProposalBody};
use super::rounds::{because, outcome, unknown};
use crate::auth::Duty;
use crate::corrections::{Correction, NotShown, Shown};
use crate::line::Judged;
use crate::problem::{Kind, Problem};
use crate::rounds_view::{Proposal, ProposalEnd, RoundInfo};
use axum::extract::{FromRequestParts, Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;
use runtime::Engine;
use schemas::proposal::Step;
use schemas::rounds::{Outcome, RoundEvent, RoundSaid};
use schemas::{ContentHash, RoundId, Selection};
use serde::{Deserialize, Serialize};
use serde_json::Value;

type Answer = Result<Response, Problem>;

/// `POST /v1/rounds/{id}/corrections`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProposeBody {
    replaces: u32,
    #[serde(default)]
    kind: VersionKind,
    outcome: Option<String>,
    won: Option<Vec<Selection>>,
    void: Option<Vec<Selection>>,
    reason: String,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum VersionKind {
    #[default]
    Result,
    Withdrawn,
    Voided,
}

/// `.../approve`: what was shown to whoever approves.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ApproveBody {
    hash: String,
}

/// `.../reject`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RejectBody {
    reason: String,
}

/// A proposal with what it would change, or how far it has come.
#[derive(Debug, Serialize)]
struct OneBody {
    #[serde(flatten)]
    proposal: ProposalBody,
    /// Open: the hash of the preview made now. It is that of the proposal, unless what would happen is no
    /// longer what was shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    preview: Option<Value>,
    /// Approved: how many of the bets that change have their settlement, and how many are confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<Value>,
}

/// A round and a proposal, by their ids in the path.
pub(super) struct Of(RoundId, ContentHash);

impl<S: Send + Sync> FromRequestParts<S> for Of {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let none = |detail: String| Problem::new(Kind::PROPOSAL_UNKNOWN, detail);
        let path = Path::<(String, String)>::from_request_parts(parts, state).await;
        let Path((round, proposal)) = path.map_err(|rejection| none(rejection.to_string()))?;
        let round = round.parse().map_err(|error: schemas::IdError| {
            Problem::new(Kind::ROUND_UNKNOWN, error.to_string())
        })?;
        let proposal =
            proposal.parse().map_err(|error: schemas::IdError| none(error.to_string()))?;
        Ok(Self(round, proposal))
    }
}

pub(super) async fn propose<E: Engine>(
    State(api): State<ApiState<E>>,
    operator: Operator,
    Id(round): Id<RoundId>,
    Json(body): Json<ProposeBody>,
) -> Answer {
    let actor = operator.on(Duty::Propose)?;
    if body.replaces == 0 {
        return Err(invalid("replaces", "a correction replaces 1 or above"));
    }
    because(Some(&body.reason))?;
    let outcome = match (body.kind, body.outcome, body.won, body.void) {
        (VersionKind::Result, named, won, void) => outcome(named, won, void)?,
        (VersionKind::Withdrawn, None, None, None) => Outcome::Withdrawn,
        (VersionKind::Voided, None, None, None) => Outcome::Voided,
        (VersionKind::Withdrawn | VersionKind::Voided, ..) => {
            return Err(invalid("outcome", "a withdrawal or void has none"));
        }
    };
    let (replaces, reason) = (body.replaces, body.reason);
    let correction = Correction { round, replaces, outcome, reason };
    let info = api.any_round(&correction.round).await?;
    let info = info.ok_or_else(|| unknown(&correction.round))?;
    stands(&info, replaces)?;
    let shown = api.preview(&correction).await?;
    let Correction { round, outcome, reason, .. } = correction;
    let said = RoundSaid::Proposed { replaces, outcome, reason };
    api.say_step(&round, actor, Step::Proposed, shown.hash, said).await?;
    let (_, proposal) = api.proposal(&round, shown.hash).await?;
    open(&proposal)?;
    let body = OneBody {
        proposal: ProposalBody::of(&proposal),
        hash: Some(shown.hash.to_string()),
        preview: Some(shown.body),
        progress: None,
    };
    Ok((StatusCode::CREATED, axum::Json(body)).into_response())
}

pub(super) async fn show<E: Engine>(
    State(api): State<ApiState<E>>,
    operator: Operator,
    Of(round, id): Of,
) -> Answer {
    operator.on(Duty::Read)?;
    let (info, proposal) = api.proposal(&round, id).await?;
    let mut body = OneBody {
        proposal: ProposalBody::of(&proposal),
        hash: None,
        preview: None,
        progress: None,
    };
    let correction = correction_of(round, &proposal);
    match &proposal.end {
        None if info.version == proposal.replaces => {
            let shown = api.preview(&correction).await?;
            body.hash = Some(shown.hash.to_string());
            body.preview = Some(shown.body);
        }
        Some(ProposalEnd::Approved { .. }) => {
            body.progress = Some(api.corrections.progress(correction).await.map_err(not_shown)?);
        }
        None | Some(ProposalEnd::Rejected { .. }) => {}
    }
    Ok(axum::Json(body).into_response())
}

pub(super) async fn approve<E: Engine>(
    State(api): State<ApiState<E>>,
    operator: Operator,
    Of(round, id): Of,
    Json(body): Json<ApproveBody>,
) -> Answer {
    let actor = operator.on(Duty::Approve)?;
    let (info, proposal) = api.proposal(&round, id).await?;
    if proposal.by == actor {
        let detail = format!("{actor} proposed it; somebody else must approve");
        return Err(Problem::new(Kind::SAME_OPERATOR, detail));
    }
    if body.hash != id.to_string() {
        let detail = "`hash` is not the one of the proposal: look at it again";
        return Err(Problem::new(Kind::PROPOSAL_DIFFERS, detail));
    }
    // What was approved before gets the same verdict again, whatever stands now.
    if !matches!(proposal.end, Some(ProposalEnd::Approved { .. })) {
        open(&proposal)?;
        stands(&info, proposal.replaces)?;
        let shown = api.preview(&correction_of(round.clone(), &proposal)).await?;
        if shown.hash != id {
            let detail = "what would happen is no longer what was proposed: propose it anew";
            return Err(Problem::new(Kind::PROPOSAL_STALE, detail).preview(shown.body));
        }
    }
    let Proposal { replaces, outcome, reason, .. } = proposal;
    let said = RoundSaid::Version { replaces, outcome, reason };
    let judged = api.say_step(&round, actor, Step::Approved, id, said).await?;
    Ok(axum::Json(AdmittedBody::from(judged)).into_response())
}

pub(super) async fn reject<E: Engine>(
    State(api): State<ApiState<E>>,
    operator: Operator,
    Of(round, id): Of,
    Json(body): Json<RejectBody>,
) -> Answer {
    operator.may(&[Duty::Propose, Duty::Approve])?;
    let actor = operator.name;
    because(Some(&body.reason))?;
    let (_, proposal) = api.proposal(&round, id).await?;
    if let Some(ProposalEnd::Approved { .. }) = proposal.end {
        open(&proposal)?;
    }
    let said = RoundSaid::Rejected { reason: body.reason };
    let judged = api.say_step(&round, actor, Step::Rejected, id, said).await?;
    Ok(axum::Json(AdmittedBody::from(judged)).into_response())
}

impl<E: Engine> ApiState<E> {
    async fn preview(&self, correction: &Correction) -> Result<Shown, Problem> {
        self.corrections.preview(correction.clone()).await.map_err(not_shown)
    }

    async fn proposal(
        &self,
        round: &RoundId,
        id: ContentHash,
    ) -> Result<(RoundInfo, Proposal), Problem> {
        let info = self.any_round(round).await?.ok_or_else(|| unknown(round))?;
        let found = info.proposal(id).cloned();
        let detail = || format!("no proposal {id} of {round} was admitted");
        let proposal = found.ok_or_else(|| Problem::new(Kind::PROPOSAL_UNKNOWN, detail()))?;
        Ok((info, proposal))
    }

    async fn say_step(
        &self,
        round: &RoundId,
        actor: String,
        step: Step,
        proposal: ContentHash,
        said: RoundSaid,
    ) -> Result<Judged, Problem> {
        let (round, request) = (round.clone(), step.request(proposal));
        let event = RoundEvent { round, request, actor, said_at: (self.now)(), said };
        self.say_any(event, false).await
    }
}

fn correction_of(round: RoundId, proposal: &Proposal) -> Correction {
    let Proposal { replaces, outcome, reason, .. } = proposal.clone();
    Correction { round, replaces, outcome, reason }
}

fn not_shown(why: NotShown) -> Problem {
    Problem::new(Kind::PREVIEW_UNAVAILABLE, why.to_string())
}

fn stands(info: &RoundInfo, replaces: u32) -> Result<(), Problem> {
    if info.version == replaces {
        return Ok(());
    }
    let detail = format!("version {} of {} stands, not {replaces}", info.version, info.round);
    Err(Problem::new(Kind::VERSION_CONFLICT, detail))
}

/// Refuses a proposal that was approved or rejected.
fn open(proposal: &Proposal) -> Result<(), Problem> {
    let detail = match &proposal.end {
        None => return Ok(()),
        Some(ProposalEnd::Approved { by, version, .. }) => {
            format!("{by} approved it: it is version {version}")
        }
        Some(ProposalEnd::Rejected { by, reason, .. }) => {
            format!("{by} rejected it ({reason}); propose it with another reason")
        }
    };
    Err(Problem::new(Kind::PROPOSAL_CLOSED, detail))
}
