//! What each misbehaviour does.

use super::answers::{edited, page, with_body};
use super::call::Call;
use super::{OtherVersion, RowsLost, on_wire, reset};
use crate::connection::Wire;
use crate::misbehaviours::{Misbehaviour, garble};
use crate::problem::Problem;
use crate::signed::Missigned;
use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use schemas::contract::{AUTHORIZE_PATH, CLOSE_PATH, QUERY_PATH, STATE_PATH};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

/// A date of the contract that nobody agreed on.
const VERSION: &str = "2031-01-01";
/// How far a clock is off, in s.
const CLOCK_OFF_S: i64 = -5 * 3_600;
/// `Retry-After` of a 429, in ms.
const RETRY_AFTER_MS: u64 = 1_000;

/// The answer of a call that was misbehaved about, or else the honest one.
pub(super) type Acted = Result<Response, Response>;

impl Call<'_> {
    /// Misbehaves; `face` says which way where there are several, in turn.
    pub(super) async fn act(&self, which: Misbehaviour, face: u64) -> Acted {
        use Misbehaviour as M;
        let settings = self.mischief.settings();
        match which {
            // The answer is lost once it is there.
            M::ReplyDropped | M::ErrorAfterApply => Ok(self.honest().await),
            M::GatewayError => Ok(gateway(face)),
            M::TooManyRequests => {
                let wait = face.is_multiple_of(2).then_some(RETRY_AFTER_MS);
                Ok(Problem::too_many(wait).into_response())
            }
            M::LateApply => {
                let wait = Duration::from_millis(settings.misbehave.late_ms);
                self.later(wait, self.request(), |_| {});
                // Now: the caller goes away in the silence, and this with it.
                self.mischief.count_misbehaved(which);
                Err(self.silence().await)
            }
            M::ErrorInside => {
                let error = json!({"code": "internal", "message": "try again later"});
                Ok(Json(json!({"status": "error", "error": error})).into_response())
            }
            M::EmptyAnswer => with_body(self.honest().await, |_| Vec::new()).await,
            M::HtmlPage => Ok(missigned(page(), Missigned::Unsigned)),
            M::TruncatedJson => {
                with_body(self.honest().await, |body| body[..body.len().div_ceil(2)].to_vec()).await
            }
            M::EndlessChunks => Ok(on_wire(self.honest().await, Wire::Endless)),
            M::ByteASecond => {
                let pause = Duration::from_millis(settings.misbehave.byte_ms);
                Ok(on_wire(self.honest().await, Wire::ByteByByte(pause)))
            }
            M::HugeAnswer => {
                let wire = if face.is_multiple_of(2) { Wire::HugeBody } else { Wire::HugeHeaders };
                Ok(on_wire(self.honest().await, wire))
            }
            M::Redirect => Ok(redirect()),
            M::TlsAlert => Ok(on_wire(StatusCode::OK.into_response(), Wire::TlsAlert)),
            M::ResetMidBody => Ok(on_wire(self.honest().await, Wire::ResetMidBody)),
            M::ClosedKeepAlive => Ok(on_wire(self.honest().await, Wire::CloseLater)),
            M::DoubleApply => self.double().await,
            M::ShortMemory => self.forget().await,
            M::OtherAnswer => self.contradict().await,
            M::ConflictFirst => self.conflict_first().await,
            M::HoldAfterVoid => self.hold_after_void().await,
            M::UnknownThenKnown => self.unknown().await,
            M::DebitRefused => self.refuse_debits().await,
            M::WrongAmount => self.round_up().await,
            M::OddNumbers | M::WrongBet | M::IdsFolded => self.garbled(which, face).await,
            M::ClockOff if face.is_multiple_of(2) => Ok(Problem::clock_skew().into_response()),
            M::ClockOff => Ok(missigned(self.honest().await, Missigned::At(CLOCK_OFF_S))),
            M::KeyUnknown => Ok(missigned(self.honest().await, Missigned::OtherKey)),
            M::Maintenance => Ok(self.maintenance(settings.misbehave.maintenance_ms)),
            M::WrongStatement => self.misstate(face).await,
            M::OtherVersion if face.is_multiple_of(2) => {
                self.garbled(which, face).await.map(of_version)
            }
            M::OtherVersion => Ok(of_version(Problem::version_unsupported().into_response())),
        }
    }

    async fn garbled(&self, which: Misbehaviour, face: u64) -> Acted {
        edited(self.honest().await, |answer| garble(which, face, answer)).await
    }

    /// Says nothing, and then nothing more.
    pub(super) async fn silence(&self) -> Response {
        let wait = Duration::from_millis(self.mischief.settings().timeout_ms);
        self.mischief.sleep(wait).await;
        reset()
    }

    /// A message that says it is the first of its kind, or says nothing of that.
    async fn conflict_first(&self) -> Acted {
        let of_money = self.is(AUTHORIZE_PATH) || self.is(STATE_PATH);
        let again = self.parts.headers.get("attempt").is_some_and(|attempt| attempt != "1");
        if of_money && !again {
            return Ok(Problem::in_progress().into_response());
        }
        Err(self.honest().await)
    }

    /// Answers 503 until the maintenance is over, and has what comes applied then.
    fn maintenance(&self, lasts_ms: u64) -> Response {
        let now = Instant::now();
        let until = {
            let mut memory = self.mischief.memory();
            let lasting = memory.maintenance.filter(|until| now < *until);
            let until = lasting.or_else(|| now.checked_add(Duration::from_millis(lasts_ms)));
            memory.maintenance = until;
            until.unwrap_or(now)
        };
        let left = until.saturating_duration_since(now);
        self.later(left, self.request(), |_| {});
        Problem::maintenance(u64::try_from(left.as_millis()).unwrap_or(u64::MAX)).into_response()
    }

    async fn unknown(&self) -> Acted {
        if self.is(QUERY_PATH) {
            return edited(self.honest().await, |answer| {
                let rows = answer["rows"].as_array_mut().map(Vec::as_mut_slice);
                rows.unwrap_or_default().iter_mut().fold(false, |_, row| {
                    *row = json!({"bet_id": row["bet_id"], "revision": 0, "status": "absent"});
                    true
                })
            })
            .await;
        }
        if self.is(AUTHORIZE_PATH) || self.is(STATE_PATH) {
            return Err(self.honest().await);
        }
        let mut request = self.request();
        request.extensions_mut().insert(RowsLost(1));
        Ok(self.honest_to(request).await)
    }

    async fn misstate(&self, face: u64) -> Acted {
        if self.is(AUTHORIZE_PATH) || self.is(STATE_PATH) || self.is(QUERY_PATH) {
            return Err(self.honest().await);
        }
        if self.is(CLOSE_PATH) && !face.is_multiple_of(2) {
            return Ok(self.silence().await);
        }
        edited(self.honest().await, |answer| {
            if let Some(digest) = answer.get_mut("digest") {
                *digest = Value::from("0".repeat(64));
                return true;
            }
            let stake = answer.pointer_mut("/rows/0/stake/units");
            stake.is_some_and(|stake| {
                *stake = Value::from("1");
                true
            })
        })
        .await
    }
}

fn gateway(face: u64) -> Response {
    let status = match face % 3 {
        0 => StatusCode::BAD_GATEWAY,
        1 => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::GATEWAY_TIMEOUT,
    };
    missigned((status, page()).into_response(), Missigned::Unsigned)
}

fn redirect() -> Response {
    let elsewhere = HeaderValue::from_static("http://wallet.invalid/wallet/v1/elsewhere");
    (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, elsewhere)]).into_response()
}

fn missigned(mut response: Response, how: Missigned) -> Response {
    response.extensions_mut().insert(how);
    response
}

fn of_version(mut response: Response) -> Response {
    response.extensions_mut().insert(OtherVersion(VERSION));
    response
}
