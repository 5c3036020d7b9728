//! The documents, the pages that show them, and that they agree with the routes.

use super::ahead;
use crate::http::tests::house::House;
use axum::body::Body;
use http::Request;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Every operation that this page of tests knows: the routes of the specification.
const LINE_PROVIDER: &[&str] = &[
    "GET /events",
    "POST /events",
    "POST /events/create/",
    "PATCH /events/update/",
    "GET /events/{event_id}",
    "PATCH /events/{event_id}",
    "PUT /event",
    "GET /event/{event_id}",
];
const BET_MAKER: &[&str] = &[
    "GET /events",
    "GET /events/{event_id}",
    "POST /bet",
    "POST /bets/bet/{event_id}",
    "GET /bets",
    "GET /bets/{bet_id}",
    "PATCH /bets/update/",
];

async fn document(house: &House, prefix: &str) -> Value {
    let told = house.plain(&format!("GET {prefix}/openapi.json"), &Value::Null).await;
    assert_eq!(told.status, 200);
    assert_eq!(told.headers["content-type"], "application/json");
    told.body
}

fn operations(document: &Value) -> BTreeSet<String> {
    let paths = document["paths"].as_object().unwrap();
    let of = |(path, methods): (&String, &Value)| {
        let methods = methods.as_object().unwrap().keys();
        methods.map(|method| format!("{} {path}", method.to_uppercase())).collect::<Vec<_>>()
    };
    paths.iter().flat_map(of).collect()
}

#[tokio::test]
async fn documents_and_routes_agree() {
    let house = House::new();
    for (prefix, routes) in [("/line-provider", LINE_PROVIDER), ("/bet-maker", BET_MAKER)] {
        let document = document(&house, prefix).await;
        assert!(
            document["openapi"].as_str().unwrap().starts_with("3.1"),
            "{}",
            document["openapi"]
        );
        assert_eq!(document["info"]["version"], "1.2.3");
        assert_eq!(document["servers"][0]["url"], prefix);
        let wanted: BTreeSet<String> = routes.iter().map(|line| (*line).to_owned()).collect();
        assert_eq!(operations(&document), wanted);
        for (path, methods) in document["paths"].as_object().unwrap() {
            let path = path.replace("{event_id}", "none").replace("{bet_id}", "none:x");
            for slash in ["", "/"] {
                // No route takes DELETE, and each says what it takes.
                let line = format!("DELETE {prefix}{}{slash}", path.trim_end_matches('/'));
                let told = house.plain(&line, &Value::Null).await;
                assert_eq!(told.code(), "method_not_allowed", "{line}");
                let takes = told.headers["allow"].to_str().unwrap().to_lowercase();
                let takes = takes.split(',').filter(|method| !["head", ""].contains(method));
                let mut wanted: BTreeSet<&str> =
                    methods.as_object().unwrap().keys().map(String::as_str).collect();
                if path.starts_with("/bets/update") {
                    wanted.clear();
                }
                assert_eq!(takes.collect::<BTreeSet<_>>(), wanted, "{line}");
            }
        }
    }
}

/// What is answered has the fields of the document, each of the type it gives.
#[tokio::test]
async fn answers_have_the_documents_shapes() {
    let house = House::new();
    let lines = document(&house, "/line-provider").await;
    let bets = document(&house, "/bet-maker").await;
    shaped(&lines, "Event", &house.event("e1", "1.50").await);
    let body = json!({"event_id": "e2", "coefficient": 2, "deadline": ahead(60)});
    shaped(&lines, "ShortEvent", &house.plain("PUT /line-provider/event", &body).await.body);
    shaped(&bets, "Bet", &house.bet("e1", "10").await);
    let events = house.until_told("GET /bet-maker/events", |list| list[1].is_object()).await;
    shaped(&bets, "Event", &events[0]);
    let problem = house.plain("GET /bet-maker/events/none", &Value::Null).await;
    shaped(&bets, "Problem", &problem.body);
}

/// Checks required fields, unknown fields and types of a plain object.
#[track_caller]
fn shaped(document: &Value, schema: &str, answer: &Value) {
    let (properties, required) = fields(document, &document["components"]["schemas"][schema]);
    for field in &required {
        assert!(answer.get(field).is_some(), "{schema} lacks {field}: {answer}");
    }
    for (field, value) in answer.as_object().unwrap() {
        let property = properties.get(field).unwrap_or_else(|| panic!("{schema} has no {field}"));
        let kinds = &property["type"];
        let kinds = kinds.as_array().cloned().unwrap_or_else(|| vec![kinds.clone()]);
        let kind = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        assert!(kinds.contains(&json!(kind)), "{schema}.{field} is {kind}, not {kinds:?}");
    }
}

/// The properties of a schema and of those it is made of, and which of them are required.
fn fields(document: &Value, schema: &Value) -> (serde_json::Map<String, Value>, Vec<String>) {
    let mut properties = schema["properties"].as_object().cloned().unwrap_or_default();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut required: Vec<String> =
        list(&schema["required"]).iter().map(|name| name.as_str().unwrap().to_owned()).collect();
    for part in list(&schema["allOf"]) {
        let part = match part["$ref"].as_str() {
            Some(name) => {
                let name = name.rsplit('/').next().unwrap();
                document["components"]["schemas"][name].clone()
            }
            None => part,
        };
        let (more, also) = fields(document, &part);
        properties.extend(more);
        required.extend(also);
    }
    (properties, required)
}

#[tokio::test]
async fn the_pages_come_out_of_the_binary() {
    let house = House::new();
    for (prefix, document) in [
        ("/line-provider", "../openapi.json"),
        ("/bet-maker", "../openapi.json"),
        ("/partner", "../wallet.openapi.json"),
        ("/partner", "../platform.openapi.json"),
    ] {
        let page = house.plain(&format!("GET {prefix}/docs/"), &Value::Null).await;
        assert_eq!(page.status, 200);
        let html = page.body.as_str().unwrap().to_owned();
        assert!(!html.contains("http://") && !html.contains("https://"), "{html}");
        let files: Vec<&str> = ["src=\"", "href=\""]
            .iter()
            .flat_map(|before| html.split(before).skip(1))
            .filter_map(|rest| rest.split('"').next())
            .collect();
        assert!(3 < files.len(), "{html}");
        for file in files {
            let path = format!("{prefix}/docs/{}", file.trim_start_matches("./"));
            let request = Request::get(&path).body(Body::empty()).unwrap();
            let response = tower::ServiceExt::oneshot(house.router.clone(), request).await.unwrap();
            assert_eq!(response.status(), 200, "{path}");
        }
        let told = house.plain(&format!("GET {prefix}/docs"), &Value::Null).await;
        assert_eq!(
            (told.status.as_u16(), &told.headers["location"]),
            (308, &"docs/".parse().unwrap())
        );
        let init = format!("GET {prefix}/docs/swagger-initializer.js");
        let told = house.plain(&init, &Value::Null).await;
        assert!(told.body.as_str().unwrap().contains(document), "{}", told.body);
    }
}
