//! Answers that are not what the wallet said.

use super::act::Acted;
use super::reset;
use axum::body::{Body, to_bytes};
use axum::response::{Html, IntoResponse, Response};
use http::{StatusCode, header};
use schemas::contract::ANSWER_BYTES_MAX;
use serde_json::Value;

/// Fields that are ids.
const IDS: [&str; 4] = ["bet_id", "chunk_id", "message_id", "round_id"];
/// Fields that are amounts as text.
const AMOUNTS: [&str; 4] = ["units", "moved", "collected_net", "shortfall"];

/// What a gateway shows in the place of an answer.
pub(super) fn page() -> Response {
    Html("<!DOCTYPE html><html><body><h1>Something went wrong</h1></body></html>").into_response()
}

/// A 200 with another body; any other answer is left alone.
pub(super) async fn with_body(response: Response, body: impl FnOnce(&[u8]) -> Vec<u8>) -> Acted {
    if response.status() != StatusCode::OK {
        return Err(response);
    }
    let (mut parts, whole) = response.into_parts();
    let Ok(whole) = to_bytes(whole, ANSWER_BYTES_MAX).await else { return Err(reset()) };
    parts.headers.remove(header::CONTENT_LENGTH);
    Ok(Response::from_parts(parts, Body::from(body(&whole))))
}

/// A 200 whose JSON was edited; the answer as it was if `edit` says that it changed nothing.
pub(super) async fn edited(response: Response, edit: impl FnOnce(&mut Value) -> bool) -> Acted {
    let mut changed = false;
    let response = with_body(response, |body| {
        let Ok(mut answer) = serde_json::from_slice::<Value>(body) else { return body.to_vec() };
        changed = edit(&mut answer);
        if changed { answer.to_string().into_bytes() } else { body.to_vec() }
    })
    .await?;
    if changed { Ok(response) } else { Err(response) }
}

/// The results of a chunk; empty for an answer that has none.
pub(super) fn results(answer: &mut Value) -> &mut [Value] {
    let results = answer.get_mut("results").and_then(Value::as_array_mut);
    results.map(Vec::as_mut_slice).unwrap_or_default()
}

/// The second answer; of a chunk, the results of the first come before those of the second.
pub(super) async fn both(first: Response, second: Response) -> Response {
    let mut before = Vec::new();
    let read = edited(first, |answer| {
        before = results(answer).to_vec();
        false
    });
    drop(read.await);
    let joined = edited(second, |answer| {
        let Some(Value::Array(results)) = answer.get_mut("results") else { return false };
        results.splice(..0, before);
        true
    });
    joined.await.unwrap_or_else(|response| response)
}

/// The same answer with the results of a chunk in reverse.
pub(super) async fn swapped(response: Response) -> Response {
    let reversed = edited(response, |answer| {
        results(answer).reverse();
        true
    });
    reversed.await.unwrap_or_else(|response| response)
}

/// Ids in other case, or without their last character.
pub(super) fn folded(answer: &mut Value, face: u64) -> bool {
    changed(answer, &|name, value| {
        let id = value.as_str().filter(|_| IDS.contains(&name))?;
        let trimmed = id.char_indices().next_back().map_or("", |(last, _)| &id[..last]);
        Some(Value::from(if face.is_multiple_of(2) { id.to_uppercase() } else { trimmed.into() }))
    })
}

/// Amounts as a number, a fraction, or with a power of ten.
pub(super) fn odd(answer: &mut Value, face: u64) -> bool {
    changed(answer, &|name, value| {
        let amount = value.as_str().filter(|_| AMOUNTS.contains(&name))?;
        Some(match face % 3 {
            0 => Value::from(amount.parse::<f64>().ok()?),
            1 => Value::from(format!("{amount}.00")),
            _ => Value::from(format!("{amount}e0")),
        })
    })
}

/// The answer about another bet.
pub(super) fn of_another(answer: &mut Value) -> bool {
    changed(answer, &|name, value| {
        let (round, _) = value.as_str().filter(|_| name == "bet_id")?.split_once(':')?;
        Some(Value::from(format!("{round}:another")))
    })
}

/// The words of another version of the contract.
pub(super) fn other_words(answer: &mut Value) -> bool {
    changed(answer, &|name, value| {
        let word = value.as_str()?;
        ["outcome", "status", "decision"]
            .contains(&name)
            .then(|| Value::from(format!("{}_V2", word.to_uppercase())))
    })
}

/// Puts what `other` says in the place of each field, at any depth, and says whether it said anything.
fn changed(value: &mut Value, other: &impl Fn(&str, &Value) -> Option<Value>) -> bool {
    let mut any = false;
    match value {
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                if let Some(instead) = other(name, field) {
                    *field = instead;
                    any = true;
                } else {
                    any |= changed(field, other);
                }
            }
        }
        Value::Array(values) => {
            for value in values {
                any |= changed(value, other);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    any
}
