//! The older form: one call that creates or changes.

use super::ahead;
use crate::http::tests::house::House;
use runtime::{Clock, SystemClock};
use schemas::contract::timestamp;
use serde_json::{Value, json};

const PUT: &str = "PUT /line-provider/event";

#[tokio::test]
async fn create_change_finish() {
    let house = House::new();
    let in_s = SystemClock.now() / 1_000 + 600;
    let body = json!({"event_id": "t", "coefficient": 1.0, "deadline": in_s, "state": 1});
    let wanted = json!({
        "event_id": "t", "coefficient": "1.00", "deadline": timestamp(in_s * 1_000), "state": 1,
    });
    for _ in 0..2 {
        let told = house.plain(PUT, &body).await;
        assert_eq!((told.status.as_u16(), &told.body), (200, &wanted));
    }
    let told = house.plain("GET /line-provider/event/t", &Value::Null).await;
    assert_eq!((told.status.as_u16(), &told.body), (200, &wanted));
    let told = house.plain(PUT, &json!({"event_id": "t", "coefficient": "1.25"})).await;
    assert_eq!(told.body["coefficient"], "1.25");
    // Everything as it stands, and a result.
    let body = json!({"event_id": "t", "coefficient": 1.25, "deadline": in_s, "state": 2});
    let told = house.plain(PUT, &body).await;
    assert_eq!((told.status.as_u16(), &told.body["state"]), (200, &json!(2)), "{}", told.body);
    let told = house.plain(PUT, &json!({"event_id": "t", "state": 3, "deadline": null})).await;
    assert_eq!((told.status.as_u16(), &told.body["state"]), (200, &json!(3)), "{}", told.body);
    let told = house.plain("GET /line-provider/event/t/", &Value::Null).await;
    assert_eq!(told.body["state"], 3);
}

#[tokio::test]
async fn what_a_new_event_needs() {
    let house = House::new();
    let whole = json!({"event_id": "t", "coefficient": "2", "deadline": ahead(60), "state": 1});
    for (field, value) in [
        ("coefficient", Value::Null),
        ("deadline", Value::Null),
        ("state", json!(2)),
        ("state", json!(3)),
    ] {
        let mut body = whole.clone();
        body[field] = value;
        let told = house.plain(PUT, &body).await;
        assert_eq!((told.status.as_u16(), told.code()), (422, "invalid_field"), "{field}");
        assert!(told.body["detail"].as_str().unwrap().contains(field), "{}", told.body);
    }
    let told = house.plain("GET /line-provider/event/t", &Value::Null).await;
    assert_eq!((told.status.as_u16(), told.code()), (404, "event_unknown"));
}
