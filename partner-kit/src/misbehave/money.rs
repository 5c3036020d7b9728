//! Misbehaviours that look at the register, or move money in it.

use super::act::Acted;
use super::answers::{edited, results};
use super::call::Call;
use super::{REMEMBERED_MAX, reset};
use crate::problem::Problem;
use axum::Json;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::header;
use schemas::contract::{
    AUTHORIZE_PATH, AuthorizeRequest, ItemOutcome, STATE_PATH, StateItem, StateRequest,
    StateResponse, StateResult, TargetBody, Traffic,
};
use schemas::settlements::REVISION_VOID;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// When a stake expires that is held late.
const NEVER: &str = "9999-01-01T00:00:00.000Z";

impl Call<'_> {
    /// 17: the money of a call moves twice.
    pub(super) async fn double(&self) -> Acted {
        let response = self.honest().await;
        if let Some(asked) = self.read::<AuthorizeRequest>(AUTHORIZE_PATH) {
            let mut fresh = false;
            let read = edited(response, |answer| {
                fresh = answer["decision"] == "approved" && answer["replayed"] == false;
                false
            });
            let response = read.await.unwrap_or_else(|response| response);
            let stake: Option<i64> = asked.stake.units.parse().ok().filter(|_| fresh);
            let Some(stake) = stake else { return Err(response) };
            return match self.mischief.wallet.misapply(&asked.bet_id, -stake).await {
                Ok(Some(_)) => Ok(response),
                Ok(None) => Err(response),
                Err(stopped) => Err(Problem::from(stopped).into_response()),
            };
        }
        self.misapplied(response, |item, result| moved(result).or_else(|| worth(item))).await
    }

    /// 18: what comes again later than the memory reaches is applied again; no call is answered.
    pub(super) async fn forget(&self) -> Acted {
        let response = self.honest().await;
        if !self.is(STATE_PATH) {
            return Err(response);
        }
        let reach = Duration::from_millis(self.mischief.settings().misbehave.forget_ms);
        let now = Instant::now();
        let doubled = self.misapplied(response, |item, result| {
            let key = (item.bet_id.clone(), item.revision);
            let mut memory = self.mischief.memory();
            if result["replayed"] == true {
                let (at, moved) = memory.applied.get_mut(&key)?;
                let forgotten = reach <= now.saturating_duration_since(*at);
                *at = if forgotten { now } else { *at };
                return forgotten.then_some(*moved);
            }
            if memory.applied.len() < REMEMBERED_MAX {
                memory.applied.insert(key, (now, moved(result)?));
            }
            None
        });
        drop(doubled.await);
        Ok(Problem::internal("what was said is forgotten").into_response())
    }

    /// 24: what a bet won is paid up to the next whole unit.
    pub(super) async fn round_up(&self) -> Acted {
        let response = self.honest().await;
        self.misapplied(response, |item, result| {
            let payout = item.payout.as_ref().filter(|_| result["replayed"] == false)?;
            let won: i64 = payout.units.parse().ok().filter(|units| 0 < *units)?;
            let whole = 10_i64.checked_pow(u32::try_from(payout.exponent).ok()?)?;
            whole.checked_sub(won.checked_rem(whole)?)
        })
        .await
    }

    /// Moves what `wrong` says besides on each bet that was applied, and has the answer say so.
    async fn misapplied(
        &self,
        response: Response,
        wrong: impl Fn(&StateItem, &Value) -> Option<i64>,
    ) -> Acted {
        let Some(request) = self.read::<StateRequest>(STATE_PATH) else { return Err(response) };
        let items: BTreeMap<&str, &StateItem> =
            request.items.iter().map(|item| (item.bet_id.as_str(), item)).collect();
        let mut moves: Vec<(String, i64)> = Vec::new();
        let read = edited(response, |answer| {
            for result in results(answer).iter().filter(|result| result["outcome"] == "applied") {
                let item = result["bet_id"].as_str().and_then(|bet| items.get(bet));
                let units = item.and_then(|item| wrong(item, result));
                if let (Some(item), Some(units)) = (item, units.filter(|units| *units != 0)) {
                    moves.push((item.bet_id.clone(), units));
                }
            }
            false
        });
        let response = read.await.unwrap_or_else(|response| response);
        let mut collected: BTreeMap<String, i64> = BTreeMap::new();
        for (bet, units) in moves {
            match self.mischief.wallet.misapply(&bet, units).await {
                Ok(Some(net)) => {
                    collected.insert(bet, net);
                }
                Ok(None) => {}
                Err(stopped) => return Err(Problem::from(stopped).into_response()),
            }
        }
        edited(response, |answer| {
            for result in results(answer) {
                let net = result["bet_id"].as_str().and_then(|bet| collected.get(bet));
                if let Some(net) = net {
                    result["collected_net"] = Value::from(net.to_string());
                }
            }
            !collected.is_empty()
        })
        .await
    }

    /// 19: the first answer is lost, the second is another one.
    pub(super) async fn contradict(&self) -> Acted {
        let response = self.honest().await;
        if !self.is(AUTHORIZE_PATH) && !self.is(STATE_PATH) {
            return Err(response);
        }
        let contradicted = edited(response, |answer| {
            if answer["decision"] == "approved" && answer["replayed"] == true {
                answer["decision"] = Value::from("declined");
                answer["status"] = Value::from("declined");
                answer["code"] = Value::from("limit_exceeded");
                return true;
            }
            let again = results(answer).iter_mut().filter(|result| result["replayed"] == true);
            again.fold(false, |_, result| {
                result["outcome"] = Value::from("rejected");
                result["code"] = Value::from("revision_conflict");
                true
            })
        });
        Ok(contradicted.await.unwrap_or_else(|_| reset()))
    }

    /// 21: a stake is held when its void was there already, which found nothing.
    pub(super) async fn hold_after_void(&self) -> Acted {
        if let Some(asked) = self.read::<AuthorizeRequest>(AUTHORIZE_PATH) {
            let bet = asked.bet_id;
            let stands = self.mischief.wallet.peek(|register| register.row(&bet).is_some());
            if stands || !self.hold_late(bet) {
                return Err(self.honest().await);
            }
            return Ok(self.silence().await);
        }
        let unknown = |item: &StateItem| {
            let stands = self.mischief.wallet.peek(|register| register.row(&item.bet_id).is_some());
            (item.revision == REVISION_VOID && !stands).then_some("unknown_bet")
        };
        self.refused(unknown).await
    }

    /// Whether the stake will be held later, from this call on or from an earlier one.
    fn hold_late(&self, bet: String) -> bool {
        let wait = Duration::from_millis(self.mischief.settings().misbehave.late_ms);
        let mut memory = self.mischief.memory();
        if memory.late.contains(&bet) || REMEMBERED_MAX <= memory.late.len() {
            return memory.late.contains(&bet);
        }
        let Ok(mut body) = serde_json::from_slice::<Value>(&self.body) else { return false };
        body["expires_at"] = Value::from(NEVER);
        memory.late.insert(bet.clone());
        // Locks are taken one at a time.
        drop(memory);
        let (request, held) = (self.with_body(&body), bet.clone());
        let comes = self.later(wait, request, move |mischief| {
            mischief.memory().late.remove(&held);
        });
        if !comes {
            self.mischief.memory().late.remove(&bet);
        }
        comes
    }

    /// 23: no correction takes money.
    pub(super) async fn refuse_debits(&self) -> Acted {
        let Some(request) = self.read::<StateRequest>(STATE_PATH) else {
            return Err(self.honest().await);
        };
        let mut trial = self.mischief.wallet.peek(Clone::clone);
        let moved =
            |item: &StateItem| trial.state(item).1.first().map_or(0, |movement| movement.moved);
        let moved: Vec<i64> = request.items.iter().map(moved).collect();
        let of = |item: &StateItem| {
            let at = request.items.iter().position(|one| one == item);
            at.and_then(|at| moved.get(at)).copied().unwrap_or(0)
        };
        let corrects = |item: &StateItem| Traffic::of(item.revision) == Traffic::Correction;
        let debit = |item: &StateItem| corrects(item) && of(item) < 0;
        self.refused(|item| debit(item).then_some("correction_refused")).await
    }

    /// Refuses the items for which `code` has one; the others are applied.
    async fn refused(&self, code: impl Fn(&StateItem) -> Option<&'static str>) -> Acted {
        let Some(mut request) = self.read::<StateRequest>(STATE_PATH) else {
            return Err(self.honest().await);
        };
        let refusal = |item: &StateItem| code(item).map(|code| rejected(item, code));
        let refusals: Vec<StateResult> = request.items.iter().filter_map(refusal).collect();
        if refusals.is_empty() {
            return Err(self.honest().await);
        }
        request.items.retain(|item| code(item).is_none());
        if request.items.is_empty() {
            let ledger_epoch = self.mischief.wallet.peek(|register| register.ledger_epoch());
            let (chunk_id, results) = (request.chunk_id, refusals);
            return Ok(Json(StateResponse { chunk_id, ledger_epoch, results }).into_response());
        }
        let response = self.honest_to(self.with_body(&json!(request))).await;
        edited(response, |answer| {
            let Some(Value::Array(results)) = answer.get_mut("results") else { return false };
            results.extend(refusals.iter().map(|refusal| json!(refusal)));
            true
        })
        .await
    }

    /// The body of a call of this path; `None` for another path or a body that is not its.
    fn read<T: serde::de::DeserializeOwned>(&self, path: &str) -> Option<T> {
        self.is(path).then(|| serde_json::from_slice(&self.body).ok()).flatten()
    }

    fn with_body(&self, body: &Value) -> Request {
        let mut request = self.request();
        request.headers_mut().remove(header::CONTENT_LENGTH);
        *request.body_mut() = Body::from(body.to_string());
        request
    }
}

/// What an item moved that was not there before.
fn moved(result: &Value) -> Option<i64> {
    result["moved"].as_str()?.parse().ok().filter(|_| result["replayed"] == false)
}

/// What an item is worth to a ledger that believes to hold the stake.
fn worth(item: &StateItem) -> Option<i64> {
    let money = match item.target {
        TargetBody::Held => None,
        TargetBody::Settled => item.payout.as_ref(),
        TargetBody::Voided => Some(&item.stake),
    };
    money?.units.parse().ok()
}

fn rejected(item: &StateItem, code: &str) -> StateResult {
    StateResult {
        bet_id: item.bet_id.clone(),
        revision: item.revision,
        outcome: ItemOutcome::Rejected,
        status: None,
        moved: None,
        collected_net: None,
        shortfall: None,
        replayed: false,
        code: Some(code.to_owned()),
        partner_ref: None,
    }
}
