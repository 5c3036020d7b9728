//! What was asked and answered: the files of `contract/examples`, which partner-kit's tests record.

use serde::Deserialize;
use serde_json::Value;
use utoipa::openapi::RefOr;
use utoipa::openapi::example::{Example, ExampleBuilder};

/// An exchange as it was recorded.
#[derive(Debug, Deserialize)]
pub struct Exchange {
    summary: String,
    /// What else there is to know of it.
    #[serde(default)]
    note: String,
    request: Asked,
    response: Answered,
}

#[derive(Debug, Deserialize)]
struct Asked {
    #[serde(default)]
    body: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Answered {
    status: u16,
    body: Value,
}

/// What is refused as unreadable is no example of a request.
const BAD_REQUEST: u16 = 400;

impl Exchange {
    fn example(&self, value: &Value) -> RefOr<Example> {
        ExampleBuilder::new()
            .summary(self.summary.as_str())
            .description(self.note.as_str())
            .value(Some(value.clone()))
            .into()
    }

    /// The exchange in a file of examples; `None` if it is none.
    pub fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The request, if it has a body that can be read.
    pub fn request(&self) -> Option<RefOr<Example>> {
        let body = self.request.body.as_ref().filter(|_| self.response.status != BAD_REQUEST);
        body.map(|body| self.example(body))
    }

    /// The answer, if it has this status.
    pub fn response(&self, status: u16) -> Option<RefOr<Example>> {
        (self.response.status == status).then(|| self.example(&self.response.body))
    }
}

/// The exchanges of an operation, by case.
pub(super) fn of(operation: &str) -> Vec<(&'static str, Exchange)> {
    let these = CASES.iter().filter(|(of, ..)| *of == operation);
    let read = these.filter_map(|(_, case, text)| Some((*case, Exchange::read(text)?)));
    read.collect()
}

macro_rules! cases {
    ($($operation:literal: $($case:literal)+;)+) => {
        &[$($((
            $operation,
            $case,
            include_str!(concat!("../../../contract/examples/", $operation, ".", $case, ".json")),
        )),+),+]
    };
}

/// Operation, case, file. A test holds this list against the directory.
const CASES: &[(&str, &str, &str)] = cases! {
    "authorize": "approved" "bad_request" "bad_signature" "clock_skew" "conflict"
        "currency_unknown" "declined" "expired" "in_progress" "internal" "overloaded" "packed"
        "replayed" "settled_before" "too_large" "too_many_requests" "version_unsupported"
        "voided_before" "wrong_partner";
    "state": "bad_request" "bad_signature" "clock_skew" "conflict" "correction"
        "correction_refused" "in_progress" "internal" "invalid_transition" "item_refused" "lost" "mixed"
        "overloaded" "packed" "pending" "recovered" "replayed" "round_voided" "shortfall"
        "superseded" "too_large" "too_many_requests" "unknown_bet" "version_unsupported"
        "void_first" "voided" "withdrawn" "won" "wrong_partner";
    "close": "bad_request" "bad_signature" "clock_skew" "closed" "differs" "internal" "overloaded"
        "packed" "too_large" "too_many_requests" "version_unsupported" "wrong_partner";
    "query": "bad_request" "bad_signature" "clock_skew" "internal" "overloaded" "packed" "rows"
        "too_large" "too_many_requests" "version_unsupported";
    "round_bets": "bad_request" "bad_signature" "clock_skew" "internal" "overloaded" "page" "rows"
        "too_many_requests" "version_unsupported";
    "capabilities": "bad_signature" "clock_skew" "internal" "overloaded" "shown" "too_many_requests"
        "version_unsupported";
    "health": "bad_signature" "clock_skew" "internal" "ok" "overloaded" "too_many_requests"
        "version_unsupported";
};
