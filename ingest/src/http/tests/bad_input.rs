use super::house::{DESK, House, token, token_for};
use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Request;

fn bet(part: &str, with: &str) -> String {
    let good = r#"{"client_ref":"c","round_id":"r1","selection":"odd","odds":"2.50",
        "stake":{"units":"100","currency":"EUR","exponent":2}}"#;
    assert!(good.contains(part), "{part}");
    good.replace(part, with)
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one table")]
async fn bodies_of_bets() {
    let house = House::new();
    let me = token("acme", "p_9");
    let units = r#""units":"100""#;
    let deep = "[".repeat(60_000);
    for (body, status, code) in [
        (String::new(), 400, "malformed_json"),
        ("{".to_owned(), 400, "malformed_json"),
        ("null".to_owned(), 422, "invalid_field"),
        ("[]".to_owned(), 422, "invalid_field"),
        ("\u{0}".to_owned(), 400, "malformed_json"),
        (deep, 422, "invalid_field"),
        (
            r#"["c","r1","odd",{"units":"1","currency":"EUR","exponent":2},"2.50"]"#.to_owned(),
            422,
            "invalid_field",
        ),
        (bet("\"c\"", "\"c\" //"), 400, "malformed_json"),
        (bet(r#""2.50""#, "NaN"), 400, "malformed_json"),
        (bet(r#""exponent":2"#, r#""exponent":Infinity"#), 400, "malformed_json"),
        (bet("}}", "}} {}"), 400, "malformed_json"),
        (bet(r#""client_ref":"c","#, ""), 422, "invalid_field"),
        (
            bet(r#""client_ref":"c","#, r#""client_ref":"c","partner_id":"x","#),
            422,
            "invalid_field",
        ),
        (bet(r#""client_ref":"c""#, r#""client_ref":"c","client_ref":"d""#), 422, "invalid_field"),
        (bet(r#""client_ref":"c""#, r#""client_ref":null"#), 422, "invalid_field"),
        (bet(r#""client_ref":"c""#, r#""client_ref":"""#), 422, "invalid_field"),
        (bet(r#""client_ref":"c""#, r#""client_ref":"a\u0000b""#), 422, "invalid_field"),
        (bet(r#""r1""#, r#""../r1""#), 422, "invalid_field"),
        (bet(r#""odd""#, "7"), 422, "invalid_field"),
        (bet(r#""2.50""#, "2.50"), 422, "invalid_field"),
        (bet(r#""2.50""#, r#""1e2""#), 422, "invalid_field"),
        (bet(r#""2.50""#, r#""NaN""#), 422, "invalid_field"),
        (bet(r#""2.50""#, r#""-2.50""#), 422, "invalid_field"),
        (bet(r#""2.50""#, r#""0.00""#), 422, "invalid_field"),
        (bet(r#""2.50""#, r#""2.505""#), 422, "invalid_field"),
        (bet(r#""2.50""#, r#""999999999999999999999999999999""#), 422, "invalid_field"),
        (bet(units, r#""units":100"#), 422, "invalid_field"),
        (bet(units, r#""units":"-5""#), 422, "invalid_field"),
        (bet(units, r#""units":"0""#), 422, "invalid_field"),
        (bet(units, r#""units":"1e2""#), 422, "invalid_field"),
        (bet(units, r#""units":"1.5""#), 422, "invalid_field"),
        (bet(units, r#""units":"+5""#), 422, "invalid_field"),
        (bet(units, r#""units":" 5""#), 422, "invalid_field"),
        (bet(units, r#""units":"NaN""#), 422, "invalid_field"),
        (bet(units, r#""units":"1000000000000000000000000000000""#), 422, "invalid_field"),
        (bet(units, r#""units":"9223372036854775808""#), 422, "invalid_field"),
        (bet(units, r#""units":1e400"#), 400, "malformed_json"),
        (bet(r#""exponent":2"#, r#""exponent":-1"#), 422, "invalid_field"),
        (bet(r#""exponent":2"#, r#""exponent":9"#), 422, "invalid_field"),
        (bet(r#""exponent":2"#, r#""exponent":1e30"#), 422, "invalid_field"),
        (bet(r#""exponent":2"#, r#""exponent":2,"rate":1"#), 422, "invalid_field"),
        (bet(r#""EUR""#, r#""eur""#), 422, "invalid_field"),
        (bet(r#""EUR""#, r#""EURO€""#), 422, "invalid_field"),
    ] {
        let told = house.call("POST /v1/bets", &me, &body).await;
        let shown: String = body.chars().take(200).collect();
        assert_eq!((told.status.as_u16(), told.code()), (status, code), "{shown}: {}", told.body);
        assert_eq!(told.headers["content-type"], "application/problem+json");
        assert!(told.body["detail"].as_str().is_some_and(|detail| !detail.is_empty()));
    }
    let told = house.call("POST /v1/bets", &me, &bet(units, r#""units":7,"colour":1"#)).await;
    assert!(told.body["detail"].as_str().unwrap().contains("`stake.units`"), "{}", told.body);
    let told = house.call("POST /v1/bets", &me, &bet(units, r#""units":"7","colour":1"#)).await;
    assert!(
        told.body["detail"].as_str().unwrap().contains("unknown field `colour`"),
        "{}",
        told.body
    );
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one table")]
async fn bodies_of_rounds() {
    let house = House::new();
    let good = r#""game":"die","selections":[{"id":"odd","odds":"2.50"}]"#;
    let open = |more: &str| format!("{{{good}{more}}}");
    let time = |text: &str| open(&format!(r#","closes_at":"{text}""#));
    for (line, body, status, code) in [
        ("POST /v1/rounds", open(""), 422, "invalid_field"),
        ("POST /v1/rounds", open(r#","betting_ms":0"#), 422, "invalid_field"),
        ("POST /v1/rounds", open(r#","betting_ms":-1"#), 422, "invalid_field"),
        ("POST /v1/rounds", open(r#","betting_ms":1.5"#), 422, "invalid_field"),
        ("POST /v1/rounds", open(r#","betting_ms":1e30"#), 422, "invalid_field"),
        (
            "POST /v1/rounds",
            open(r#","betting_ms":5,"closes_at":"2099-01-01T00:00:00Z""#),
            422,
            "invalid_field",
        ),
        ("POST /v1/rounds", open(r#","betting_ms":5,"round_id":"a:b""#), 422, "invalid_field"),
        ("POST /v1/rounds", open(r#","betting_ms":5,"request_id":"""#), 422, "invalid_field"),
        ("POST /v1/rounds", open(r#","betting_ms":5,"colour":1"#), 422, "invalid_field"),
        ("POST /v1/rounds", time("tomorrow"), 422, "invalid_field"),
        ("POST /v1/rounds", time("2099-01-01T00:00:00"), 422, "invalid_field"),
        ("POST /v1/rounds", time("99999999-01-01T00:00:00Z"), 422, "invalid_field"),
        (
            "POST /v1/rounds",
            r#"{"game":"chess","selections":[],"betting_ms":5}"#.to_owned(),
            422,
            "unknown_game",
        ),
        ("POST /v1/rounds/r1/result", r#"{"outcome":"4"}"#.to_owned(), 422, "invalid_field"),
        (
            "POST /v1/rounds/r1/result",
            r#"{"replaces":-1,"outcome":"4"}"#.to_owned(),
            422,
            "invalid_field",
        ),
        (
            "POST /v1/rounds/r1/result",
            r#"{"replaces":1,"outcome":"4"}"#.to_owned(),
            422,
            "invalid_field",
        ),
        ("POST /v1/rounds/r1/result", r#"{"replaces":0}"#.to_owned(), 422, "invalid_field"),
        (
            "POST /v1/rounds/r1/result",
            r#"{"replaces":0,"outcome":"4","won":["odd"]}"#.to_owned(),
            422,
            "invalid_field",
        ),
        (
            "POST /v1/rounds/r1/result",
            r#"{"replaces":4294967296,"outcome":"4"}"#.to_owned(),
            422,
            "invalid_field",
        ),
        (
            "POST /v1/rounds/r1/result?wait=perhaps",
            r#"{"replaces":0,"outcome":"4"}"#.to_owned(),
            400,
            "invalid_query",
        ),
        (
            "POST /v1/rounds/r1/correct",
            r#"{"replaces":1,"outcome":"4"}"#.to_owned(),
            422,
            "invalid_field",
        ),
        (
            "POST /v1/rounds/r1/correct",
            r#"{"replaces":1,"outcome":"4","reason":" "}"#.to_owned(),
            422,
            "invalid_field",
        ),
        ("POST /v1/rounds/r1/void", r#"{"replaces":0}"#.to_owned(), 422, "invalid_field"),
        ("POST /v1/rounds/r1/void", String::new(), 400, "malformed_json"),
        ("POST /v1/rounds/r1/close", "{".to_owned(), 400, "malformed_json"),
        ("POST /v1/rounds/r1/close", String::new(), 404, "round_unknown"),
        ("POST /v1/rounds/%FF/close", String::new(), 404, "round_unknown"),
        ("POST /v1/rounds/a:b/close", String::new(), 404, "round_unknown"),
        ("GET /v1/rounds/none", String::new(), 404, "round_unknown"),
        ("GET /v1/nothing", String::new(), 404, "not_found"),
        ("DELETE /v1/rounds/r1", String::new(), 405, "method_not_allowed"),
        ("PUT /v1/bets", String::new(), 405, "method_not_allowed"),
    ] {
        let told = house.desk(line, &body).await;
        assert_eq!(
            (told.status.as_u16(), told.code()),
            (status, code),
            "{line} {body}: {}",
            told.body
        );
        assert_eq!(told.body["status"], status);
        assert_eq!(told.body["type"], format!("/errors/{code}"));
    }
    let told = house.desk("DELETE /v1/rounds/r1", "").await;
    assert!(told.headers["allow"].to_str().unwrap().contains("PATCH"));
}

#[tokio::test]
async fn credentials() {
    let house = House::new();
    let good = token("acme", "p_9");
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let (_, claims) = signed.split_once('.').unwrap();
    let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
    let expired = token_for("acme", "p_9", -1);
    let long = token_for("acme", "p_9", 3_600);
    let foreign = super::house::token("other", "p_9");
    let (foreign_head, _) = foreign.rsplit_once('.').unwrap();
    let bets = "GET /v1/bets/r1:x";
    for (line, bearer, status, code) in [
        (bets, good.clone(), 404, "bet_unknown"),
        (bets, "x".to_owned(), 401, "token_invalid"),
        (bets, DESK.to_owned(), 401, "token_invalid"),
        (bets, expired, 401, "token_expired"),
        (bets, long, 401, "token_invalid"),
        (bets, format!("{none}.{claims}."), 401, "token_invalid"),
        (bets, format!("{none}.{claims}.{signature}"), 401, "token_invalid"),
        (bets, format!("{signed}."), 401, "token_invalid"),
        (bets, format!("{foreign_head}.{signature}"), 401, "token_invalid"),
        (bets, "a".repeat(10_000), 401, "token_invalid"),
        (bets, String::new(), 401, "credential_missing"),
        ("GET /v1/rounds", DESK.to_owned(), 200, ""),
        ("GET /v1/rounds", good, 401, "operator_unknown"),
        ("GET /v1/rounds", format!("{DESK}x"), 401, "operator_unknown"),
        ("GET /v1/rounds", String::new(), 401, "credential_missing"),
        // Who is nobody learns nothing of what his body says.
        ("POST /v1/rounds", "x".to_owned(), 401, "operator_unknown"),
    ] {
        let told = house.call(line, &bearer, "").await;
        assert_eq!((told.status.as_u16(), told.code()), (status, code), "{line} {bearer}");
        assert_eq!(told.headers.contains_key("www-authenticate"), status == 401);
    }
    for header in ["", "Basic abc", "Bearer", "bearerx y"] {
        let request = Request::get("/v1/rounds").header("authorization", header);
        let told = house.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!((told.status.as_u16(), told.code()), (401, "credential_missing"), "{header}");
    }
    let request = Request::get("/v1/rounds").header("authorization", format!("bearer {DESK}"));
    assert_eq!(house.send(request.body(Body::empty()).unwrap()).await.status, 200);
}

#[tokio::test]
async fn sizes_and_types() {
    let house = House::new();
    let me = token("acme", "p_9");
    let big = format!(r#"{{"client_ref":"{}"}}"#, "a".repeat(2 << 20));
    for length in [Some(big.len()), None] {
        let mut request = Request::post("/v1/bets")
            .header("authorization", format!("Bearer {me}"))
            .header("content-type", "application/json");
        if let Some(length) = length {
            request = request.header("content-length", length);
        }
        let told = house.send(request.body(Body::from(big.clone())).unwrap()).await;
        assert_eq!((told.status.as_u16(), told.code()), (413, "body_too_large"), "{length:?}");
    }
    for media in ["text/plain", "", "application/jsonp", "application/x-www-form-urlencoded"] {
        let request = Request::post("/v1/bets")
            .header("authorization", format!("Bearer {me}"))
            .header("content-type", media);
        let told = house.send(request.body(Body::from("{}")).unwrap()).await;
        assert_eq!((told.status.as_u16(), told.code()), (415, "unsupported_media_type"), "{media}");
    }
    let request = Request::post("/v1/bets")
        .header("authorization", format!("Bearer {me}"))
        .header("content-type", "Application/JSON; charset=utf-8");
    assert_eq!(house.send(request.body(Body::from("{}")).unwrap()).await.status, 422);
}
