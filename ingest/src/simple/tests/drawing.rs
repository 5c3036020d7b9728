//! Results that are drawn.

use crate::http::tests::house::House;
use runtime::{Clock, SystemClock};
use schemas::contract::timestamp;
use serde_json::json;
use std::collections::BTreeSet;

#[tokio::test]
async fn a_result_is_drawn_behind_the_end_of_betting() {
    let house = House::new();
    let deadline = timestamp(SystemClock.now() + 3_000);
    for number in 0..40 {
        let body = json!({
            "event_id": number, "coefficient": "2", "deadline": deadline, "auto_result": true,
        });
        let told = house.plain("POST /line-provider/events", &body).await;
        assert_eq!((told.status.as_u16(), &told.body["auto_result"]), (201, &json!(true)));
    }
    // A result that somebody says first stands.
    let told = house.state("7", 3).await;
    assert_eq!((&told["state"], &told["version"]), (&json!(3), &json!(1)));
    let mut states = BTreeSet::new();
    for number in 0..40 {
        let line = format!("GET /line-provider/events/{number}");
        let event = house.until_told(&line, |event| event["status"] == "resulted").await;
        assert_eq!(event["version"], 1, "{event}");
        states.insert(event["state"].as_u64().unwrap());
    }
    // 39 coins that all fall on one side: one in 2.7e11.
    assert_eq!(states, BTreeSet::from([2, 3]));
    assert_eq!(house.plain("GET /line-provider/events/7", &json!(null)).await.body["state"], 3);
}
