//! Rows for `/line-provider` and `/bet-maker`.

use super::scene::Scene;
use super::{Row, of_any_body, row, with};
use runtime::{Clock, SystemClock};
use schemas::contract::timestamp;

const EVENTS: &str = "POST /line-provider/events";
const PUT: &str = "PUT /line-provider/event";
const BET: &str = "POST /bet-maker/bet";
/// Numbers that are no amount and no odds, as JSON.
const NO_NUMBERS: &[&str] = &[
    "0",
    "0.00",
    "-1",
    "-0.01",
    "1.005",
    "1.000",
    "1e2",
    "1E2",
    "1.5e0",
    "1000000000000000000000000000000",
    "\"0\"",
    "\"-1\"",
    "\"1.005\"",
    "\"1e2\"",
    "\"NaN\"",
    "\"Infinity\"",
    "\"1,5\"",
    "\" 1\"",
    "\"+1\"",
    "\"0x1\"",
    "\"\"",
    "\"1.\"",
    "\".5\"",
    "true",
    "[1]",
    "{}",
    "{\"a\":1}",
];
/// What no parser of JSON takes for a number.
const NO_JSON: &[&str] = &["NaN", "Infinity", "-Infinity", "01", "+1", "1.", ".5", "1_0"];

/// What is no deadline of an event, or has passed.
const NO_TIMES: &[&str] = &[
    "0",
    "1",
    "-1",
    "1e2",
    "1e30",
    "true",
    "[]",
    "\"soon\"",
    "\"\"",
    "\"2099-01-01\"",
    "\"2099-02-30T00:00:00Z\"",
    "\"2099-01-01T00:00:00\"",
    "\"99999999-01-01T00:00:00Z\"",
    "\".\"",
    "\"..5\"",
    "\"2020-01-01T00:00:00Z\"",
];
/// What is no event's id.
const NO_NAMES: &[&str] =
    &["\"a b\"", "\"../e\"", "\"\"", "1.5", "1e2", "true", "[]", "{}", "\"create\"", "\"update\""];

pub(super) fn rows(_: &Scene) -> Vec<Row> {
    let mut rows = Vec::new();
    for line in [
        EVENTS,
        PUT,
        "POST /line-provider/events/create/",
        "PATCH /line-provider/events/update/",
        "PATCH /line-provider/events/e-open",
        BET,
        "POST /bet-maker/bets/bet/e-open",
    ] {
        rows.extend(of_any_body(line, ""));
    }
    rows.extend(offering());
    rows.extend(changing());
    rows.extend(betting());
    rows.extend(looking());
    rows
}

fn any(line: &str, body: impl Into<Vec<u8>>, status: u16, code: &'static str) -> Row {
    row(line, "", body, status, code)
}

fn offering() -> Vec<Row> {
    let now = SystemClock.now();
    let soon = timestamp(now + 60_000);
    let good =
        format!(r#"{{"event_id":"e-new","coefficient":"1.50","deadline":"{soon}","state":1}}"#);
    let (id, odds, deadline) = (r#""e-new""#, r#""1.50""#, format!("\"{soon}\""));
    let month = (now / 1_000 + 40 * 86_400).to_string();
    let (in_ms, digits) = (now.to_string(), "9".repeat(10_000));
    let mut rows = Vec::new();
    for line in [EVENTS, PUT] {
        let mut bad = |part: &str, other: &str, code: &'static str| {
            let status = if code == "malformed_json" { 400 } else { 422 };
            rows.push(any(line, with(&good, part, other), status, code));
        };
        for number in NO_NUMBERS {
            bad(odds, number, "invalid_field");
        }
        for number in NO_JSON {
            bad(odds, number, "malformed_json");
        }
        bad(odds, "1000000.01", "invalid_field");
        for time in NO_TIMES.iter().copied().chain([&*in_ms, &*digits]) {
            bad(&deadline, time, "invalid_field");
        }
        bad(&deadline, "NaN", "malformed_json");
        bad(&deadline, &month, "deadline_out_of_range");
        for name in NO_NAMES {
            bad(id, name, "invalid_field");
        }
        for state in ["0", "4", "-1", "2", "3", "1.0", "1e0", "\"won\"", "true", "[1]"] {
            bad(r#""state":1"#, &format!(r#""state":{state}"#), "invalid_field");
        }
        bad(r#""state":1"#, r#""state":1,"status":"resulted""#, "invalid_field");
        bad(r#""state":1"#, r#""state":1,"state":1"#, "invalid_field");
    }
    let exists = with(&good, id, r#""e-done""#);
    rows.push(any(EVENTS, exists, 409, "round_exists"));
    let round = with(&good, id, r#""open""#);
    rows.push(any(EVENTS, round.clone(), 409, "round_exists"));
    rows.push(any(PUT, round, 409, "round_exists"));
    rows.push(any(PUT, r#"{"event_id":"e-new"}"#, 422, "invalid_field"));
    rows.push(any(PUT, r#"{"event_id":"e-new","coefficient":"1.50"}"#, 422, "invalid_field"));
    rows
}

fn changing() -> Vec<Row> {
    let patch = |event: &str, body: &str, status: u16, code: &'static str| {
        any(&format!("PATCH /line-provider/events/{event}"), body, status, code)
    };
    let mut rows = vec![
        patch("nowhere", r#"{"state":2}"#, 404, "event_unknown"),
        patch("a%20b", r#"{"state":2}"#, 404, "event_unknown"),
        patch("%FF", r#"{"state":2}"#, 404, "event_unknown"),
        // A round that is no event.
        patch("open", r#"{"state":2}"#, 404, "event_unknown"),
        patch("e-open", r#"{"event_id":"e-done","state":2}"#, 422, "invalid_field"),
        patch("e-open", r#"{"auto_result":true}"#, 422, "invalid_field"),
        patch("e-open", r#"{"deadline":1}"#, 422, "invalid_field"),
        patch("e-open", r#"{"deadline":4102444800}"#, 422, "deadline_out_of_range"),
        patch("e-done", r#"{"coefficient":"9.00"}"#, 409, "not_betting"),
        patch("e-late", r#"{"coefficient":"9.00"}"#, 409, "not_betting"),
        patch("e-late", r#"{"coefficient":"9.00","state":2}"#, 409, "not_betting"),
        patch("update/", r#"{"state":2}"#, 422, "invalid_field"),
        patch("update/", r#"{"event_id":"nowhere","state":2}"#, 404, "event_unknown"),
        any("PATCH /bet-maker/bets/update/", r#"{"e-open":2}"#, 405, "method_not_allowed"),
        any("PUT /bet-maker/bets/update", "", 405, "method_not_allowed"),
    ];
    for state in ["0", "4", "-2", "2.0", "2e0", "true", "\"two\"", "[2]", "{}"] {
        rows.push(patch("e-open", &format!(r#"{{"state":{state}}}"#), 422, "invalid_field"));
    }
    for odds in NO_NUMBERS {
        rows.push(patch("e-open", &format!(r#"{{"coefficient":{odds}}}"#), 422, "invalid_field"));
    }
    rows
}

fn betting() -> Vec<Row> {
    let on = |event: &str, amount: &str| format!(r#"{{"event_id":{event},"amount":{amount}}}"#);
    let bet = |body: String, status: u16, code: &'static str| any(BET, body, status, code);
    let keyed = |body: String, headers: &'static str, code: &'static str| {
        let status = if code == "invalid_field" { 422 } else { 409 };
        any(BET, body, status, code).with(headers)
    };
    let key = "content-type: application/json\r\nidempotency-key: key-e-open\r\n";
    let open = r#""e-open""#;
    let mut rows = vec![
        bet(r#"{"event_id":"e-open"}"#.to_owned(), 422, "invalid_field"),
        bet(r#"{"amount":1}"#.to_owned(), 422, "invalid_field"),
        bet(on(open, "null"), 422, "invalid_field"),
        bet(on(open, r#"1,"status":"won""#), 422, "invalid_field"),
        bet(on(open, r#"1,"amount":2"#), 422, "invalid_field"),
        bet(on(open, r#"1,"coefficient":"99.00""#), 422, "invalid_field"),
        bet(on(open, "10000.01"), 422, "stake_limit"),
        bet(on(open, "99999999999999999.99"), 422, "invalid_field"),
        bet(on(r#""nowhere""#, "1"), 404, "event_unknown"),
        // A round that is no event.
        bet(on(r#""open""#, "1"), 404, "event_unknown"),
        bet(on(r#""e-done""#, "1"), 409, "not_betting"),
        bet(on(r#""e-late""#, "1"), 409, "not_betting"),
        bet(on("{}", "1"), 422, "invalid_field"),
        bet(on("1.5", "1"), 422, "invalid_field"),
        keyed(on(open, "11.00"), key, "idempotency_key_reused"),
        keyed(
            on(open, "10.00"),
            "content-type: application/json\r\nidempotency-key:\r\n",
            "invalid_field",
        ),
        any("POST /bet-maker/bets/bet/e-open", on(r#""e-late""#, "1"), 422, "invalid_field"),
        any("POST /bet-maker/bets/bet/nowhere", r#"{"amount":1}"#, 404, "event_unknown"),
        any("POST /bet-maker/bets/bet/%FF", r#"{"amount":1}"#, 404, "event_unknown"),
        any("POST /bet-maker/bets/bet/e-late", r#"{"amount":1}"#, 409, "not_betting"),
    ];
    for number in NO_NUMBERS {
        rows.push(bet(on(open, number), 422, "invalid_field"));
    }
    for number in NO_JSON {
        rows.push(bet(on(open, number), 400, "malformed_json"));
    }
    rows
}

fn looking() -> Vec<Row> {
    let mut rows = Vec::new();
    for (path, status, code) in [
        ("/line-provider/events?all=perhaps", 400, "invalid_query"),
        ("/line-provider/events?all=", 400, "invalid_query"),
        ("/line-provider/events?all=true&all=true", 400, "invalid_query"),
        ("/line-provider/events?al=true", 400, "invalid_query"),
        ("/line-provider/events/nowhere", 404, "event_unknown"),
        ("/line-provider/events/open", 404, "event_unknown"),
        ("/line-provider/event/%00", 404, "event_unknown"),
        ("/line-provider/nothing", 404, "not_found"),
        ("/line-provider/", 404, "not_found"),
        ("/line-provider/docs/nothing.js", 404, "not_found"),
        ("/bet-maker/events/nowhere", 404, "event_unknown"),
        ("/bet-maker/events/a%2Fb", 404, "event_unknown"),
        ("/bet-maker/bets?limit=0", 400, "invalid_query"),
        ("/bet-maker/bets?limit=1001", 400, "invalid_query"),
        ("/bet-maker/bets?limit=-1", 400, "invalid_query"),
        ("/bet-maker/bets?limit=1e2", 400, "invalid_query"),
        ("/bet-maker/bets?limit=NaN", 400, "invalid_query"),
        ("/bet-maker/bets?limit=5&cursor=x", 400, "invalid_query"),
        ("/bet-maker/bets?cursor=1000000000000000000000000000000", 400, "invalid_query"),
        ("/bet-maker/bets?cursor=-1", 400, "invalid_query"),
        ("/bet-maker/bets?cursor=9223372036854775808", 400, "invalid_query"),
        ("/bet-maker/bets?status=won", 400, "invalid_query"),
        ("/bet-maker/bets/none", 404, "bet_unknown"),
        ("/bet-maker/bets/e-open:none", 404, "bet_unknown"),
        ("/bet-maker/bet", 405, "method_not_allowed"),
        ("/bet-maker/nothing", 404, "not_found"),
    ] {
        rows.push(any(&format!("GET {path}"), "", status, code));
    }
    rows.push(any("DELETE /line-provider/events/e-open", "", 405, "method_not_allowed"));
    rows.push(any("DELETE /bet-maker/bets/e-open:none", "", 405, "method_not_allowed"));
    rows
}
