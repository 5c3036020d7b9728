use super::house::House;
use serde_json::json;

#[tokio::test]
async fn a_load_balancer_learns_whether_to_send_work_and_nothing_else() {
    let house = House::new();
    assert_eq!(house.call("GET /healthz", "", "").await.status, 200);
    let ready = house.call("GET /readyz", "", "").await;
    assert_eq!((ready.status.as_u16(), ready.body.clone()), (503, json!({"ready": false})));
    for elsewhere in ["/metrics", "/version", "/startupz", "/admin/log"] {
        let told = house.call(&format!("GET {elsewhere}"), "", "").await;
        assert_eq!(told.code(), "not_found", "{elsewhere}");
    }
}

#[tokio::test]
async fn requests_are_measured_by_their_route() {
    let house = House::new();
    let metrics = house.metrics();
    house.call("GET /v1/rounds/some-round", "", "").await;
    house.call("BREW /v1/rounds/some-round", "", "").await;
    house.call("GET /some/path", "", "").await;
    let text = metrics.text().unwrap();
    for wanted in [
        r#"method="GET",route="/v1/rounds/{round}",status="401""#,
        r#"method="_OTHER",route="/v1/rounds/{round}",status="405""#,
        r#"route="unmatched",status="404""#,
        "http_server_request_duration_seconds_bucket",
    ] {
        assert!(text.contains(wanted), "{wanted} is not in {text}");
    }
    assert!(!text.contains("some"), "raw paths must not become labels");
}
