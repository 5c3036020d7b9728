//! Pausing a partner's betting, as operators do.

use super::house::{House, token};

#[tokio::test]
async fn a_pause_needs_an_operator_a_partner_and_a_reason() {
    let house = House::new();
    let because = r#"{"reason":"their wallet moves tonight"}"#;
    let long = format!(r#"{{"reason":"{}"}}"#, "x".repeat(501));
    for (path, body, status, code) in [
        ("/v1/partners/nobody/pause", because, 404, "not_found"),
        ("/v1/partners/No%20Body/pause", because, 404, "not_found"),
        ("/v1/partners/acme/pause", r#"{"reason":"  "}"#, 422, "invalid_field"),
        ("/v1/partners/acme/pause", long.as_str(), 422, "invalid_field"),
        ("/v1/partners/acme/pause", r#"{"reason":1}"#, 422, "invalid_field"),
        ("/v1/partners/acme/pause", "{}", 422, "invalid_field"),
        ("/v1/partners/acme/pause", "", 400, "malformed_json"),
        ("/v1/partners/acme/resume", r#"{"reason":""}"#, 422, "invalid_field"),
    ] {
        let told = house.desk(&format!("POST {path}"), body).await;
        assert_eq!((told.status.as_u16(), told.code()), (status, code), "{path} {body}");
    }
    for path in
        ["GET /v1/partners", "POST /v1/partners/acme/pause", "POST /v1/partners/acme/resume"]
    {
        let told = house.call(path, &token("acme", "p_9"), because).await;
        assert_eq!((told.status.as_u16(), told.code()), (401, "operator_unknown"), "{path}");
    }
    let listed = house.desk("GET /v1/partners", "").await;
    let partners = listed.body["partners"].as_array().unwrap();
    assert_eq!(partners.len(), 2);
    assert!(partners.iter().all(|partner| partner["betting"] == "open"), "{partners:?}");
}

#[tokio::test]
async fn what_was_said_is_answered_with_its_reason_and_its_operator() {
    let house = House::new();
    let because = r#"{"reason":" their wallet moves tonight "}"#;
    let paused = house.desk("POST /v1/partners/acme/pause", because).await;
    assert_eq!(paused.status, 200);
    for (field, wanted) in [
        ("partner_id", "acme"),
        ("betting", "paused"),
        ("reason", "their wallet moves tonight"),
        ("actor", "desk"),
    ] {
        assert_eq!(paused.body[field], wanted);
    }
    assert!(paused.body["since"].as_str().unwrap().ends_with('Z'));
    let resumed = house.desk("POST /v1/partners/acme/resume", r#"{"reason":"it moved"}"#).await;
    let said = (&resumed.body["betting"], &resumed.body["reason"]);
    assert_eq!(said, (&"open".into(), &"it moved".into()));
}
