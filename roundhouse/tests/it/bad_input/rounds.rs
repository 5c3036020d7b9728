//! Rows for `/v1/rounds`.

use super::scene::Scene;
use super::{Row, of_any_body, row, with};
use crate::house::OPERATOR_KEY;

const POST: &str = "POST /v1/rounds";
/// A round that would be opened.
const GOOD: &str = r#"{"round_id":"new","game":"die","selections":[{"id":"odd","odds":"1.95"}],"betting_ms":60000}"#;

pub(super) fn rows(scene: &Scene) -> Vec<Row> {
    let mut rows = of_any_body(POST, OPERATOR_KEY);
    for path in ["result", "correct", "withdraw", "void"] {
        rows.extend(of_any_body(&format!("POST /v1/rounds/open/{path}"), OPERATOR_KEY));
    }
    rows.extend(of_any_body("PATCH /v1/rounds/open", OPERATOR_KEY));
    // A call that closes may come without a body, and without its type.
    let close = "POST /v1/rounds/open/close";
    let closing = of_any_body(close, OPERATOR_KEY).into_iter();
    rows.extend(closing.filter(|row| !row.body.is_empty()));
    rows.extend(opening());
    rows.extend(changing());
    rows.extend(judging());
    rows.extend(looking(scene));
    rows
}

fn desk(line: &str, body: impl Into<Vec<u8>>, status: u16, code: &'static str) -> Row {
    row(line, OPERATOR_KEY, body, status, code)
}

fn opening() -> Vec<Row> {
    let bad = |part: &str, other: &str, code: &'static str| {
        desk(POST, with(GOOD, part, other), 422, code)
    };
    let ms = r#""betting_ms":60000"#;
    let at = |text: &str| format!(r#""closes_at":"{text}""#);
    let odds = r#""1.95""#;
    let one = r#"{"id":"odd","odds":"1.95"}"#;
    let far = r#""betting_ms":9223372036854775807"#;
    let many: Vec<String> = (0..65).map(|n| format!(r#"{{"id":"s{n}","odds":"2.00"}}"#)).collect();
    let mut rows = vec![
        bad(ms, r#""betting_ms":0"#, "invalid_field"),
        bad(ms, r#""betting_ms":-1"#, "invalid_field"),
        bad(ms, r#""betting_ms":1.5"#, "invalid_field"),
        bad(ms, r#""betting_ms":1e2"#, "invalid_field"),
        bad(ms, r#""betting_ms":1e30"#, "invalid_field"),
        bad(ms, r#""betting_ms":"60000""#, "invalid_field"),
        bad(ms, r#""betting_ms":true"#, "invalid_field"),
        bad(ms, &format!("{ms},{}", at("2099-01-01T00:00:00Z")), "invalid_field"),
        bad(&format!(",{ms}"), "", "invalid_field"),
        bad(ms, &at("tomorrow"), "invalid_field"),
        bad(ms, &at("2099-01-01T00:00:00"), "invalid_field"),
        bad(ms, &at("2099-02-30T00:00:00Z"), "invalid_field"),
        bad(ms, &at("99999999-01-01T00:00:00Z"), "invalid_field"),
        bad(ms, r#""closes_at":4070908800"#, "invalid_field"),
        bad(ms, &at("2020-01-01T00:00:00Z"), "deadline_out_of_range"),
        bad(ms, &at("2099-01-01T00:00:00Z"), "deadline_out_of_range"),
        bad(ms, far, "deadline_out_of_range"),
        bad(ms, &format!(r#"{ms},"grace_ms":-1"#), "grace_out_of_range"),
        bad(ms, &format!(r#"{ms},"grace_ms":60001"#), "grace_out_of_range"),
        bad(ms, &format!(r#"{ms},"request_id":"""#), "invalid_field"),
        bad(ms, &format!(r#"{ms},"request_id":"herald-1""#), "invalid_field"),
        bad(r#""new""#, r#""a:b""#, "invalid_field"),
        bad(r#""new""#, "7", "invalid_field"),
        bad(r#""new""#, &format!("\"{}\"", "r".repeat(37)), "invalid_field"),
        bad(r#""die""#, r#""chess""#, "unknown_game"),
        bad(one, "", "no_selections"),
        bad(one, &format!("{one},{one}"), "repeated_selection"),
        bad(r#""odd""#, r#""seven""#, "foreign_selection"),
        bad(one, &many.join(","), "too_many_selections"),
        bad(one, "7", "invalid_field"),
        bad(one, r#"["odd","1.95"]"#, "invalid_field"),
        desk(POST, with(GOOD, r#""new""#, r#""open""#), 409, "round_exists"),
        desk(POST, with(GOOD, r#""new""#, r#""done""#), 409, "round_exists"),
        desk(
            POST,
            with(
                &with(GOOD, r#""new""#, r#""open""#),
                ms,
                &format!(r#"{ms},"request_id":"open-open""#),
            ),
            409,
            "request_reused",
        ),
    ];
    for text in ["1.955", "0", "-1.95", "1e2", "NaN", "1000000.01", ""] {
        rows.push(bad(odds, &format!("\"{text}\""), "invalid_field"));
    }
    rows.push(bad(odds, "1.95", "invalid_field"));
    rows.push(desk(POST, with(GOOD, odds, "NaN"), 400, "malformed_json"));
    rows
}

fn changing() -> Vec<Row> {
    let amend = "PATCH /v1/rounds/open";
    let odds =
        |id: &str, odds: &str| format!(r#"{{"selections":[{{"id":"{id}","odds":"{odds}"}}]}}"#);
    vec![
        desk(amend, "{}", 422, "invalid_field"),
        desk(amend, odds("odd", "0"), 422, "invalid_field"),
        desk(amend, odds("odd", "2.005"), 422, "invalid_field"),
        desk(amend, odds("seven", "2.00"), 422, "selection_unknown"),
        desk(amend, r#"{"closes_at":"2020-01-01T00:00:00Z"}"#, 422, "deadline_out_of_range"),
        desk(amend, r#"{"closes_at":"2099-01-01T00:00:00Z"}"#, 422, "deadline_out_of_range"),
        desk(amend, r#"{"closes_at":7}"#, 422, "invalid_field"),
        desk("PATCH /v1/rounds/late", odds("odd", "2.00"), 409, "not_betting"),
        desk("PATCH /v1/rounds/done", odds("odd", "2.00"), 409, "not_betting"),
        desk("PATCH /v1/rounds/nowhere", odds("odd", "2.00"), 404, "round_unknown"),
        desk("POST /v1/rounds/late/close", "", 409, "not_betting"),
        desk("POST /v1/rounds/done/close", r#"{"request_id":"another"}"#, 409, "not_betting"),
        desk("POST /v1/rounds/nowhere/close", "", 404, "round_unknown"),
        desk("POST /v1/rounds/%FF/close", "", 404, "round_unknown"),
    ]
}

/// Results that cannot be: for a round that is unknown, open, closed or has one.
fn judging() -> Vec<Row> {
    let say = |round: &str, call: &str, body: &str, status: u16, code: &'static str| {
        desk(&format!("POST /v1/rounds/{round}/{call}"), body, status, code)
    };
    let other = r#"{"replaces":0,"outcome":"5"}"#;
    let bad = r#"{"replaces":0,"outcome":"7"}"#;
    let named = r#"{"replaces":0,"won":["odd"],"void":["odd"]}"#;
    let late = |body: &str, code: &'static str| say("late", "result", body, 422, code);
    vec![
        // A result for an open round ends betting; what can be none does not.
        say("open", "result", bad, 422, "unknown_outcome"),
        say("open", "result?wait=true", bad, 422, "unknown_outcome"),
        say("open", "result?wait=perhaps", other, 400, "invalid_query"),
        say(
            "open",
            "correct",
            r#"{"replaces":1,"outcome":"5","reason":"x"}"#,
            409,
            "version_conflict",
        ),
        say("open", "withdraw", r#"{"replaces":0,"reason":"x"}"#, 409, "nothing_to_withdraw"),
        say("open", "void", r#"{"replaces":3,"reason":"x"}"#, 409, "version_conflict"),
        late(bad, "unknown_outcome"),
        late(named, "won_and_void"),
        late(r#"{"replaces":0,"won":["seven"]}"#, "not_offered"),
        late(r#"{"replaces":0}"#, "invalid_field"),
        late(r#"{"replaces":-1,"outcome":"4"}"#, "invalid_field"),
        late(r#"{"replaces":1,"outcome":"4"}"#, "invalid_field"),
        late(r#"{"replaces":1e2,"outcome":"4"}"#, "invalid_field"),
        late(r#"{"replaces":4294967296,"outcome":"4"}"#, "invalid_field"),
        late(r#"{"replaces":0,"outcome":4}"#, "invalid_field"),
        late(r#"{"replaces":0,"outcome":"4","won":["odd"]}"#, "invalid_field"),
        late(r#"{"replaces":0,"won":"odd"}"#, "invalid_field"),
        say("late", "withdraw", r#"{"replaces":0,"reason":"x"}"#, 409, "nothing_to_withdraw"),
        say("late", "withdraw", r#"{"replaces":0,"reason":" "}"#, 422, "invalid_field"),
        say("late", "void", r#"{"replaces":0}"#, 422, "invalid_field"),
        say("late", "correct", r#"{"replaces":1,"outcome":"4"}"#, 422, "invalid_field"),
        say(
            "late",
            "correct",
            r#"{"replaces":0,"outcome":"4","reason":"x"}"#,
            422,
            "invalid_field",
        ),
        say("done", "result", other, 409, "version_conflict"),
        say(
            "done",
            "correct",
            r#"{"replaces":2,"outcome":"5","reason":"x"}"#,
            409,
            "version_conflict",
        ),
        say(
            "done",
            "correct",
            r#"{"replaces":1,"outcome":"7","reason":"x"}"#,
            422,
            "unknown_outcome",
        ),
        say("nowhere", "result", other, 404, "round_unknown"),
        say("nowhere", "void", r#"{"replaces":0,"reason":"x"}"#, 404, "round_unknown"),
    ]
}

fn looking(scene: &Scene) -> Vec<Row> {
    let get = |path: &str, status: u16, code: &'static str| {
        desk(&format!("GET /v1/rounds{path}"), "", status, code)
    };
    let mut rows = vec![
        get("/nowhere", 404, "round_unknown"),
        get("/a%20b", 404, "round_unknown"),
        get("/", 404, "not_found"),
        get("/open/nothing", 404, "not_found"),
        desk("DELETE /v1/rounds/open", "", 405, "method_not_allowed"),
        desk("GET /v1/rounds/open/close", "", 405, "method_not_allowed"),
        desk("GET /", "", 404, "not_found"),
        desk("GET /v1", "", 404, "not_found"),
    ];
    for query in [
        "limit=0",
        "limit=-1",
        "limit=201",
        "limit=1e2",
        "limit=x",
        "limit=",
        "cursor=zzz",
        "cursor=%00",
        "open=maybe",
        "colour=red",
        "limit=1&limit=2",
    ] {
        rows.push(get(&format!("?{query}"), 400, "invalid_query"));
    }
    for (line, body) in [(POST, GOOD), ("GET /v1/rounds", ""), ("POST /v1/rounds/open/close", "")] {
        for (bearer, code) in [
            ("", "credential_missing"),
            ("x", "operator_unknown"),
            (&*scene.alice, "operator_unknown"),
        ] {
            rows.push(row(line, bearer, body, 401, code));
        }
    }
    rows
}
