//! Rows for `/v1/bets`.

use super::scene::Scene;
use super::{Row, of_any_body, row, with};
use crate::house::OPERATOR_KEY;

const POST: &str = "POST /v1/bets";
/// A bet that would be taken.
const GOOD: &str = r#"{"client_ref":"new","round_id":"open","selection":"odd","odds":"1.93","stake":{"units":"100","currency":"EUR","exponent":2}}"#;

pub(super) fn rows(scene: &Scene) -> Vec<Row> {
    let mut rows = of_any_body(POST, &scene.alice);
    rows.extend(bodies(scene));
    rows.extend(of_the_house(scene));
    rows.extend(credentials(scene));
    rows.extend(ids(scene));
    rows
}

/// Values of the wrong type or size.
fn bodies(scene: &Scene) -> Vec<Row> {
    let units = r#""units":"100""#;
    let odds = r#""1.93""#;
    let exponent = r#""exponent":2"#;
    let one = "1000000000000000000000000000000";
    let mut bad: Vec<(&str, String)> = vec![
        (r#""client_ref":"new","#, String::new()),
        (r#""new""#, "7".to_owned()),
        (r#""new""#, "null".to_owned()),
        (r#""new""#, r#""""#.to_owned()),
        (r#""new""#, r#""a\u0000b""#.to_owned()),
        (r#""new""#, format!("\"{}\"", "a".repeat(65))),
        (r#""new","#, r#""new","client_ref":"newer","#.to_owned()),
        (r#""new","#, r#""new","partner_id":"p02","#.to_owned()),
        (r#""open""#, r#""../open""#.to_owned()),
        (r#""open""#, "[]".to_owned()),
        (r#""odd""#, "true".to_owned()),
        (r#""EUR""#, r#""eur""#.to_owned()),
        (r#""EUR""#, "978".to_owned()),
        (units, format!(r#"{units},"rate":1"#)),
        (units, r#""units":100"#.to_owned()),
        (r#"{"units":"100","currency":"EUR","exponent":2}"#, r#"["100","EUR",2]"#.to_owned()),
        (r#"{"units":"100","currency":"EUR","exponent":2}"#, r#""1.00 EUR""#.to_owned()),
        (exponent, r#""exponent":-1"#.to_owned()),
        (exponent, r#""exponent":9"#.to_owned()),
        (exponent, r#""exponent":2.0"#.to_owned()),
        (exponent, r#""exponent":1e30"#.to_owned()),
        (exponent, format!(r#""exponent":{one}"#)),
        (exponent, r#""exponent":"2""#.to_owned()),
        (odds, "1.93".to_owned()),
    ];
    for text in ["-5", "0", "-0", "1e2", "1.5", "+5", " 5", "0x10", "NaN", "Infinity", "", one] {
        bad.push((units, format!(r#""units":"{text}""#)));
    }
    for text in ["-1.93", "0", "0.00", "1.935", "1e2", "NaN", "inf", "", "1,93", one] {
        bad.push((odds, format!(r#""{text}""#)));
    }
    let mut rows: Vec<Row> = bad
        .iter()
        .map(|(part, other)| row(POST, &scene.alice, with(GOOD, part, other), 422, "invalid_field"))
        .collect();
    for (part, other) in
        [(odds, "NaN"), (exponent, r#""exponent":Infinity"#), (units, r#""units":1e400"#)]
    {
        rows.push(row(POST, &scene.alice, with(GOOD, part, other), 400, "malformed_json"));
    }
    rows
}

/// Well-formed, and not to be had here.
fn of_the_house(scene: &Scene) -> Vec<Row> {
    let new = |part: &str, other: &str, status: u16, code: &'static str| {
        row(POST, &scene.alice, with(GOOD, part, other), status, code)
    };
    let units = |units: &str| format!(r#""units":"{units}""#);
    let hundred = units("100");
    // The bet that Alice has, with other content under its reference.
    let mine = with(GOOD, r#""new""#, r#""mine""#);
    let replayed = |part: &str, other: &str| {
        row(POST, &scene.alice, with(&mine, part, other), 409, "reference_reused")
    };
    let [mine_open, bobs_open] = &scene.open;
    let cancel = |bet: &str, body: &str, status: u16, code: &'static str| {
        row(&format!("POST /v1/bets/{bet}/cancel"), &scene.alice, body, status, code)
    };
    let [mine_done, bobs_done] = &scene.done;
    vec![
        new(r#""open""#, r#""nowhere""#, 422, "round_unknown"),
        new(r#""open""#, r#""late""#, 409, "not_betting"),
        new(r#""open""#, r#""done""#, 409, "not_betting"),
        new(r#""odd""#, r#""seven""#, 422, "selection_unknown"),
        new(r#""1.93""#, r#""1.94""#, 409, "odds_changed"),
        new(r#""EUR""#, r#""USD""#, 422, "currency_unknown"),
        new(r#""exponent":2"#, r#""exponent":0"#, 422, "currency_unknown"),
        new(&hundred, &units("1000001"), 422, "stake_limit"),
        new(&hundred, &units("9223372036854775807"), 422, "stake_limit"),
        new(&hundred, &units("9223372036854775808"), 422, "invalid_field"),
        replayed(&hundred, &units("999")),
        replayed(r#""odd""#, r#""even""#),
        cancel(mine_done, "", 409, "cancel_refused"),
        cancel(mine_open, "{", 400, "malformed_json"),
        cancel(mine_open, "[]", 422, "invalid_field"),
        cancel(mine_open, r#"{"request_id":""}"#, 422, "invalid_field"),
        cancel(mine_open, r#"{"force":true}"#, 422, "invalid_field"),
        cancel(bobs_open, "", 409, "bet_pending"),
        cancel(bobs_open, r#"{"client_ref":"mine"}"#, 404, "bet_unknown"),
        cancel(bobs_done, "", 404, "bet_unknown"),
        cancel("done:none", "", 404, "bet_unknown"),
        cancel("open:none", r#"{"client_ref":"none"}"#, 404, "bet_unknown"),
        cancel("nowhere:none", "", 404, "bet_unknown"),
    ]
}

fn credentials(scene: &Scene) -> Vec<Row> {
    let [mine, _] = &scene.open;
    let get = format!("GET /v1/bets/{mine}");
    let cancel = format!("POST /v1/bets/{mine}/cancel");
    let long = "a".repeat(10_000);
    let mut rows = Vec::new();
    for line in [POST, &get, &cancel] {
        let body = if line == POST { GOOD } else { "" };
        for (bearer, code) in [
            ("", "credential_missing"),
            ("x", "token_invalid"),
            (&*long, "token_invalid"),
            (OPERATOR_KEY, "token_invalid"),
            (&*scene.forged, "token_invalid"),
            (&*scene.expired, "token_expired"),
        ] {
            rows.push(row(line, bearer, body, 401, code));
        }
    }
    rows
}

fn ids(scene: &Scene) -> Vec<Row> {
    let mut rows = Vec::new();
    for bet in ["none", "nowhere:none", "done:none", "done:", ":", "%FF", "open%2Fx:y", "a:b:c"] {
        rows.push(row(&format!("GET /v1/bets/{bet}"), &scene.alice, "", 404, "bet_unknown"));
    }
    rows.push(row("GET /v1/bets/", &scene.alice, "", 404, "not_found"));
    rows.push(row("PUT /v1/bets", &scene.alice, "", 405, "method_not_allowed"));
    rows.push(row("DELETE /v1/bets/a:b", &scene.alice, "", 405, "method_not_allowed"));
    rows.push(row("BREW /v1/bets", &scene.alice, "", 405, "method_not_allowed"));
    rows
}

/// What is told of another partner's bet is what is told of none, word for word.
pub(super) async fn anothers_bet_looks_like_none(scene: &Scene) {
    for ([_, bobs], none) in [(&scene.done, "done:none"), (&scene.open, "open:none")] {
        let told = async |bet: &str| {
            let reply = scene.get(&format!("/v1/bets/{bet}"), &scene.alice).await;
            (reply.status, reply.body.to_string().replace(bet, "BET"))
        };
        assert_eq!(told(bobs).await, told(none).await);
    }
    let [_, bobs] = &scene.done;
    let reply = scene.get(&format!("/v1/bets/{bobs}"), &scene.alice).await;
    assert_eq!((reply.status, reply.text("code")), (404, "bet_unknown"));
}
