//! The document says what is there: every route, every code, every field.

use super::*;
use crate::http::partner_api::open_api;
use crate::problem::Kind;
use schemas::contract::API_VERSION;
use serde_json::json;
use std::collections::BTreeSet;

fn written() -> Value {
    serde_json::to_value(open_api::document()).unwrap()
}

/// Method, path and operation.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    let all = paths.flat_map(|(path, item)| {
        let operations = item.as_object().unwrap().iter();
        operations.map(|(method, of)| (method.to_uppercase(), path.clone(), of.clone()))
    });
    all.collect()
}

/// The routes as the router has them, in its own source: a route that is added is a route that has to be told.
#[tokio::test]
async fn every_route_is_told_and_what_is_told_is_routed() {
    let document = written();
    let told: BTreeSet<String> = operations(&document)
        .into_iter()
        .map(|(method, path, _)| format!("{method} /partner/v1{path}"))
        .collect();
    let source = include_str!("../../partner_api.rs");
    let routed = source.matches(".route(").count();
    // The document itself is for everybody.
    assert_eq!(routed, told.len() + 1, "{told:?}");
    let house = House::new();
    for line in &told {
        let (method, path) = line.split_once(' ').unwrap();
        let path = path.replace("{bet_id}", "r1:a").replace("{round_id}", "r1");
        let path = path.replace("{day}", "2026-11-22");
        let came = house.call(&format!("{method} {path}"), "", "").await;
        assert_eq!(came.code(), "signature_invalid", "{line}");
    }
    let served = house.call("GET /partner/v1/openapi.json", "", "").await;
    assert_eq!((served.status.as_u16(), &served.body), (200, &document));
}

#[test]
fn what_may_be_refused_is_told_by_status_and_code() {
    let document = written();
    assert_eq!(
        (&document["openapi"], &document["info"]["version"]),
        (&json!("3.1.0"), &json!(API_VERSION))
    );
    let about = document["info"]["description"].as_str().unwrap();
    assert!(about.contains(&format!("`{API_VERSION}`")));
    for (method, path, operation) in operations(&document) {
        let responses = operation["responses"].as_object().unwrap();
        for (status, response) in responses {
            assert!(status.parse::<u16>().is_ok(), "{path}: {status} is no status");
            if status.starts_with('2') {
                continue;
            }
            let exactly = &response["content"]["application/problem+json"]["schema"]["allOf"][1];
            let codes = exactly["properties"]["code"]["enum"].as_array().unwrap();
            assert!(!codes.is_empty());
            for code in codes {
                let kind = Kind::of(code.as_str().unwrap()).unwrap();
                assert_eq!(kind.status.as_str(), status, "{path}: {code}");
                let told = &exactly["properties"]["retryable"]["enum"];
                assert_eq!(told, &json!([kind.retryable]), "{path}: {code}");
                let waits = response["headers"].get("Retry-After").is_some();
                assert_eq!(waits, kind.retryable, "{path}: {code}");
            }
        }
        let further = if path == "/replay" { "422" } else { "401" };
        assert!(responses.contains_key(further), "{method} {path}");
        let named = operation["parameters"].as_array().unwrap().iter();
        let named: BTreeSet<&str> = named.filter_map(|of| of["name"].as_str()).collect();
        for header in
            ["partner-id", "webhook-id", "webhook-timestamp", "webhook-signature", "Api-Version"]
        {
            assert!(named.contains(header), "{method} {path}: {header}");
        }
    }
}

/// Codes that no exchange is recorded of: a body that takes 10 s, an answer above 1 MiB, a log that does not answer, and
/// one that has forgotten.
const UNSEEN: [&str; 4] = ["body_timeout", "unavailable", "storage_unavailable", "cursor_expired"];

#[test]
fn every_case_has_an_example_and_every_file_is_one() {
    let document = written();
    let operations = operations(&document);
    let mut seen = 0;
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/contract/examples");
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let (of, case) = name.split_once('.').unwrap();
        let told: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let (.., operation) =
            operations.iter().find(|(.., operation)| operation["operationId"] == of).unwrap();
        let (asked, answered) = (&told["request"], &told["response"]);
        let answer = &operation["responses"][answered["status"].to_string()];
        let kind = answered["headers"]["content-type"].as_str().unwrap();
        assert_eq!(answer["content"][kind]["examples"][case]["value"], answered["body"], "{name}");
        if !asked["body"].is_null() && answered["status"] != 400 {
            let shown = &operation["requestBody"]["content"]["application/json"]["examples"][case];
            assert_eq!(shown["value"], asked["body"], "{name}");
        }
        for header in answered["headers"].as_object().unwrap().keys() {
            let mut known = answer["headers"].as_object().unwrap().keys();
            let is_known =
                header == "content-type" || known.any(|k| k.eq_ignore_ascii_case(header));
            assert!(is_known, "{name}: {header}");
        }
        seen += 1;
    }
    let mut shown = 0;
    for (_, path, operation) in &operations {
        for (status, response) in operation["responses"].as_object().unwrap() {
            let content = response["content"].as_object().unwrap().values().next().unwrap();
            let examples = content["examples"].as_object().into_iter().flatten();
            let values: Vec<&Value> = examples.map(|(_, example)| &example["value"]).collect();
            shown += values.len();
            let codes = &content["schema"]["allOf"][1]["properties"]["code"]["enum"];
            for code in codes.as_array().into_iter().flatten() {
                let is_seen = values.iter().any(|value| value["code"] == *code);
                let is_unseen = UNSEEN.contains(&code.as_str().unwrap());
                assert!(is_seen || is_unseen, "{path} {status}: no example of {code}");
            }
            assert!(status != "200" || !values.is_empty(), "{path}");
        }
    }
    assert_eq!(seen, shown);
}

/// Every schema that is named is there, and every one that is there is named; each says what it is.
#[test]
fn schemas_are_whole() {
    let document = written();
    let text = document.to_string();
    let named = text.split("#/components/schemas/").skip(1);
    let named: BTreeSet<&str> = named.map(|rest| rest.split('"').next().unwrap()).collect();
    let known = document["components"]["schemas"].as_object().unwrap();
    assert_eq!(named, known.keys().map(String::as_str).collect());
    for (name, schema) in known {
        let parts = schema["allOf"].as_array().into_iter().flatten();
        let told = schema["description"].is_string()
            || parts.clone().any(|part| part["description"].is_string());
        assert!(told, "{name}");
        let properties = parts.chain([schema]).filter_map(|part| part["properties"].as_object());
        for (field, shape) in properties.flatten() {
            let of = shape["oneOf"].get(1).unwrap_or(shape);
            assert!(of["description"].is_string() || of["$ref"].is_string(), "{name}.{field}");
        }
    }
    // Those of the wallet's document, and none of another name's shape.
    assert_eq!(known["Sum"]["type"], "string");
}
