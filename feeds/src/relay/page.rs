//! What a source answers.

use http::Method;
use schemas::{RequestId, RoundId};
use serde::Deserialize;
use serde_json::{Map, Value};
use thiserror::Error;

/// What an event says of its round: the call of the API that it becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// The round is offered.
    Open,
    /// Other odds, or another deadline.
    Amend,
    /// No more bets.
    Close,
    /// The outcome.
    Result,
    /// Another outcome.
    Correct,
    /// The outcome is taken back.
    Withdraw,
    /// The round does not count.
    Void,
}

/// One thing that a source says.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// Names the event: the same for ever, and at most 40 characters of a request id. With the feed's name
    /// before it, it is the id of the request.
    pub id: RequestId,
    /// The round.
    pub round_id: RoundId,
    /// What is said of it.
    pub say: What,
    /// The body of the API's call, without `round_id` and `request_id`.
    #[serde(default)]
    pub body: Map<String, Value>,
}

/// What a source answers to one question.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Page {
    /// In the order in which they happened; none if nothing is new.
    pub(crate) events: Vec<Event>,
    /// The cursor to ask behind next; the one that was asked behind if nothing is new.
    pub(crate) next: String,
}

/// Why an answer is none.
#[derive(Debug, Error)]
pub enum PageError {
    /// Not the JSON of a page.
    #[error("not a page of events: {0}")]
    Json(#[from] serde_json::Error),
    /// A source that says something new must move the cursor on, or it would say it for ever.
    #[error("events behind the cursor `{0}`, but the same cursor as the next")]
    Stuck(String),
}

impl Page {
    /// Reads the answer to a question behind `after`.
    pub(crate) fn read(bytes: &[u8], after: &str) -> Result<Self, PageError> {
        let page: Self = serde_json::from_slice(bytes)?;
        if !page.events.is_empty() && page.next == after {
            return Err(PageError::Stuck(page.next));
        }
        Ok(page)
    }
}

impl Event {
    /// The call of the API: method, path and body. `feed` is the feed's name.
    pub(crate) fn call(&self, feed: &str) -> (Method, String, Value) {
        let Self { id, round_id, say, body } = self;
        let path = |what: &str| format!("/v1/rounds/{round_id}{what}");
        let (method, path) = match say {
            What::Open => (Method::POST, "/v1/rounds".to_owned()),
            What::Amend => (Method::PATCH, path("")),
            What::Close => (Method::POST, path("/close")),
            What::Result => (Method::POST, path("/result")),
            What::Correct => (Method::POST, path("/correct")),
            What::Withdraw => (Method::POST, path("/withdraw")),
            What::Void => (Method::POST, path("/void")),
        };
        let mut body = body.clone();
        body.insert("request_id".to_owned(), format!("{feed}-{id}").into());
        if *say == What::Open {
            body.insert("round_id".to_owned(), round_id.as_str().into());
        }
        (method, path, Value::Object(body))
    }
}
