//! What was asked and answered: the files of `contract/examples`, which tests record.

use schemas::contract::document::Exchange;
use utoipa::openapi::RefOr;
use utoipa::openapi::path::Operation;

macro_rules! cases {
    ($($operation:literal: $($case:literal)+;)+) => {
        &[$($((
            $operation,
            $case,
            include_str!(concat!("../../../../contract/examples/", $operation, ".", $case, ".json")),
        )),+),+]
    };
}

/// Operation, case, file. A test holds this list against the directory.
const CASES: &[(&str, &str, &str)] = cases! {
    "bet": "clock_skew" "corrected" "declined" "not_served_here" "open" "overloaded" "parked"
        "signature_invalid" "unknown" "version_unsupported";
    "events": "clock_skew" "end" "foreign_cursor" "invalid_query" "not_served_here" "overloaded" "page"
        "rest" "signature_invalid" "version_unsupported";
    "round_statement": "clock_skew" "invalid_query" "not_served_here" "overloaded" "page"
        "signature_invalid" "unknown" "version_unsupported" "whole";
    "day_statement": "booked" "clock_skew" "corrected" "empty" "invalid_query" "not_served_here" "overloaded"
        "signature_invalid" "version_unsupported";
    "replay": "bet_unknown" "bets" "body_too_large" "clock_skew" "invalid_field" "invalid_query"
        "malformed_json" "not_served_here" "overloaded" "repeated" "round" "round_unknown"
        "signature_invalid" "span" "storage_unavailable" "unsupported_media_type" "version_unsupported";
};

/// Adds the exchanges of an operation to its request and its answers.
pub(super) fn show(operation: &mut Operation) {
    let name = operation.operation_id.clone().unwrap_or_default();
    let these = CASES.iter().filter(|(of, ..)| *of == name);
    for (case, exchange) in these.filter_map(|(_, case, text)| Some((*case, Exchange::read(text)?)))
    {
        if let (Some(body), Some(asked)) = (&mut operation.request_body, exchange.request()) {
            body.content.values_mut().for_each(|content| {
                content.examples.insert(case.to_owned(), asked.clone());
            });
        }
        for (status, answer) in &mut operation.responses.responses {
            let seen = status.parse().ok().and_then(|status| exchange.response(status));
            if let (RefOr::T(answer), Some(seen)) = (answer, seen) {
                answer.content.values_mut().for_each(|content| {
                    content.examples.insert(case.to_owned(), seen.clone());
                });
            }
        }
    }
}
