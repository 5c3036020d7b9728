//! Answers that are not what the wallet said.

use super::act::Acted;
use super::reset;
use axum::body::{Body, to_bytes};
use axum::response::{Html, IntoResponse, Response};
use http::{StatusCode, header};
use schemas::contract::ANSWER_BYTES_MAX;
use serde_json::Value;

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
