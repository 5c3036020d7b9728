use super::house::House;
use http::StatusCode;
use serde_json::{Value, json};

const OFFERS: &str = r#""game":"die","selections":[{"id":"odd","odds":"2.50"}]"#;

#[tokio::test]
async fn a_whole_life() {
    let house = House::new();
    house.open("r1", 60_000).await;
    let early = r#"{"replaces":0,"outcome":"4"}"#;
    let told = house.desk("POST /v1/rounds/r1/result", early).await;
    assert_eq!((told.status.as_u16(), told.code()), (409, "not_sealed"));
    assert_eq!(told.body["retryable"], true);
    assert_eq!(told.headers["retry-after"], "1");
    // The result for an open round has closed it.
    let told = house.desk("POST /v1/rounds/r1/result?wait=true", early).await;
    assert_eq!(told.status, 200, "{}", told.body);
    assert_eq!((&told.body["admitted"], &told.body["version"]), (&json!("result"), &json!(1)));
    let again = house.desk("POST /v1/rounds/r1/result", early).await;
    assert_eq!((again.status, again.body), (told.status, told.body));

    for (line, body, status, code) in [
        ("result", r#"{"replaces":0,"outcome":"5"}"#, 409, "version_conflict"),
        ("correct", r#"{"replaces":2,"outcome":"5","reason":"misread"}"#, 409, "version_conflict"),
        ("correct", r#"{"replaces":1,"outcome":"7","reason":"misread"}"#, 422, "unknown_outcome"),
        ("correct", r#"{"replaces":1,"outcome":"5","reason":"misread"}"#, 200, ""),
        ("correct", r#"{"replaces":1,"outcome":"6","reason":"misread"}"#, 409, "version_conflict"),
        ("withdraw", r#"{"replaces":2,"reason":"look again"}"#, 200, ""),
        ("withdraw", r#"{"replaces":3,"reason":"twice"}"#, 409, "nothing_to_withdraw"),
        ("void", r#"{"replaces":3,"reason":"broken die"}"#, 200, ""),
        ("close", "", 409, "not_betting"),
    ] {
        let told = house.desk(&format!("POST /v1/rounds/r1/{line}"), body).await;
        assert_eq!((told.status.as_u16(), told.code()), (status, code), "{line} {body}");
    }
    let told = house.desk("GET /v1/rounds/r1", "").await;
    assert_eq!(told.body["status"], "voided");
    assert_eq!(
        (&told.body["version"], &told.body["result"]),
        (&json!(4), &json!({"kind":"voided"}))
    );
    let said: Vec<&str> = told.body["history"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|line| line.get("refused").is_none())
        .map(|line| line["said"].as_str().unwrap())
        .collect();
    let wanted =
        ["opened", "closing", "closed", "sealed", "result", "result", "withdrawn", "voided"];
    assert_eq!(said, wanted);
}

#[tokio::test]
async fn a_void_of_an_open_round_is_held() {
    let house = House::new();
    house.open("r1", 60_000).await;
    let told = house.desk("POST /v1/rounds/r1/void", r#"{"replaces":0,"reason":"rain"}"#).await;
    assert_eq!(told.status, 200, "{}", told.body);
    assert_eq!(told.body["version"], 1);
    assert_eq!(house.desk("GET /v1/rounds/r1", "").await.body["status"], "voided");
}

#[tokio::test]
async fn opening_twice() {
    let house = House::new();
    let open = |more: &str| format!("{{{OFFERS},{more}}}");
    let post = "POST /v1/rounds";
    let first = open(r#""round_id":"r1","betting_ms":60000,"request_id":"a""#);
    let told = house.desk(post, &first).await;
    assert_eq!(told.status, 201, "{}", told.body);
    assert_eq!(told.headers["location"], "/v1/rounds/r1");
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    let again = house.desk(post, &first).await;
    assert_eq!((again.status, again.body), (told.status, told.body), "the same deadline too");

    for (more, status, code) in [
        (r#""round_id":"r1","betting_ms":60001,"request_id":"a""#, 409, "request_reused"),
        (r#""round_id":"r1","betting_ms":60000,"request_id":"b""#, 409, "round_exists"),
        (r#""round_id":"r1","betting_ms":60000"#, 409, "round_exists"),
        (
            r#""round_id":"r2","betting_ms":1,"grace_ms":70000,"request_id":"herald-closed""#,
            422,
            "invalid_field",
        ),
        (r#""round_id":"r2","closes_at":"2026-01-01T00:00:00Z""#, 422, "deadline_out_of_range"),
    ] {
        let told = house.desk(post, &open(more)).await;
        assert_eq!((told.status.as_u16(), told.code()), (status, code), "{more}");
    }
    // Named by the request alone.
    let named = open(r#""betting_ms":60000,"request_id":"c""#);
    let (one, two) = (house.desk(post, &named).await, house.desk(post, &named).await);
    assert_eq!((one.status.as_u16(), &one.body), (201, &two.body));
    // Named by nothing: a new round each time.
    let nameless = open(r#""betting_ms":60000"#);
    let (one, two) = (house.desk(post, &nameless).await, house.desk(post, &nameless).await);
    assert_eq!((one.status, two.status), (StatusCode::CREATED, StatusCode::CREATED));
    assert_ne!(one.body["round_id"], two.body["round_id"]);
    // Named by the round alone.
    let named = open(r#""round_id":"r3","betting_ms":60000"#);
    let (one, two) = (house.desk(post, &named).await, house.desk(post, &named).await);
    assert_eq!((one.status.as_u16(), &one.body), (201, &two.body));
}

#[tokio::test]
async fn odds_may_go_back_and_a_repeat_is_a_repeat() {
    let house = House::new();
    house.open("r1", 60_000).await;
    let odds = async |odds: &str, more: &str| {
        let body = format!(r#"{{"selections":[{{"id":"odd","odds":"{odds}"}}]{more}}}"#);
        let told = house.desk("PATCH /v1/rounds/r1", &body).await;
        let now = house.desk("GET /v1/rounds/r1", "").await.body["selections"][0]["odds"].clone();
        (told.status.as_u16(), told.body["request_id"].clone(), now)
    };
    let first = odds("3.00", "").await;
    assert_eq!((first.0, &first.2), (200, &json!("3.00")));
    assert_eq!(odds("3.00", "").await, first, "the same call");
    assert_eq!(odds("2.00", "").await.2, json!("2.00"));
    let back = odds("3.00", "").await;
    assert_eq!(back.2, json!("3.00"));
    assert_ne!(back.1, first.1);
    // A repeat by id changes nothing any more.
    assert_eq!(odds("5.00", r#","request_id":"x""#).await.2, json!("5.00"));
    assert_eq!(odds("4.00", "").await.2, json!("4.00"));
    assert_eq!(odds("5.00", r#","request_id":"x""#).await, (200, json!("x"), json!("4.00")));
    assert_eq!(odds("6.00", r#","request_id":"x""#).await.0, 409);
    let told =
        house.desk("PATCH /v1/rounds/r1", r#"{"closes_at":"2099-01-01T00:00:00+02:00"}"#).await;
    assert_eq!(told.body["closes_at"], "2098-12-31T22:00:00.000Z");
    for (body, status, code) in [
        (r#"{"selections":[{"id":"7","odds":"2.00"}]}"#, 422, "selection_unknown"),
        ("{}", 422, "invalid_field"),
    ] {
        let told = house.desk("PATCH /v1/rounds/r1", body).await;
        assert_eq!((told.status.as_u16(), told.code()), (status, code), "{body}");
    }
    assert_eq!(
        house.desk("PATCH /v1/rounds/none", r#"{"closes_at":"2099-01-01T00:00:00Z"}"#).await.status,
        404
    );
}

#[tokio::test]
async fn pages() {
    let house = House::new();
    for round in ["a", "b", "c", "d", "e"] {
        house.open(round, 60_000).await;
    }
    house.desk("POST /v1/rounds/c/void", r#"{"replaces":0,"reason":"rain"}"#).await;
    let ids = |body: &Value| -> Vec<String> {
        let rounds = body["rounds"].as_array().unwrap().iter();
        rounds.map(|round| round["round_id"].as_str().unwrap().to_owned()).collect()
    };
    for (open, wanted) in [("false", "a b c d e"), ("true", "a b d e")] {
        let (mut seen, mut path) = (Vec::new(), format!("/v1/rounds?limit=2&open={open}"));
        loop {
            let told = house.desk(&format!("GET {path}"), "").await;
            assert_eq!(told.status, 200, "{}", told.body);
            seen.extend(ids(&told.body));
            let Some(next) = told.body.get("next") else { break };
            let link = told.headers["link"].to_str().unwrap();
            assert!(link.contains(next.as_str().unwrap()));
            path = link[1..link.find('>').unwrap()].to_owned();
        }
        seen.sort();
        assert_eq!(seen.join(" "), wanted);
    }
    for query in ["limit=0", "limit=201", "limit=x", "cursor=zzz", "open=maybe", "colour=red"] {
        let told = house.desk(&format!("GET /v1/rounds?{query}"), "").await;
        assert_eq!((told.status.as_u16(), told.code()), (400, "invalid_query"), "{query}");
    }
}
