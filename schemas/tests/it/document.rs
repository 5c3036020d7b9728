//! The document of the wallet API: its file is what the types say, and its examples are what was recorded.

use crate::{bless, file};
use schemas::contract::{self, *};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn written() -> Value {
    serde_json::to_value(contract::document()).unwrap()
}

#[test]
fn the_file_is_what_the_types_say() {
    let path = file("../docs/partner/wallet.openapi.json");
    let document = contract::document().to_pretty_json().unwrap() + "\n";
    if bless() {
        std::fs::write(&path, &document).unwrap();
    }
    let told = std::fs::read_to_string(path).unwrap();
    assert!(told == document, "docs/partner/wallet.openapi.json; `cargo xtask bless` writes it");
}

/// The operation of that name.
fn operation<'a>(document: &'a Value, name: &str) -> &'a Value {
    let items = document["paths"].as_object().unwrap().values();
    let mut all = items.flat_map(|item| item.as_object().unwrap().values());
    all.find(|operation| operation["operationId"] == name).unwrap()
}

/// Decodes as `T`, and is the same when encoded again: no field is unknown, none has another form.
#[track_caller]
fn is<T: DeserializeOwned + Serialize>(body: &Value) {
    let read: T = serde_json::from_value(body.clone()).unwrap_or_else(|e| panic!("{e}: {body}"));
    assert_eq!(&serde_json::to_value(read).unwrap(), body);
}

/// Panics over what does not fit.
type Check = fn(&Value);

#[track_caller]
fn fits(operation: &str, request: &Value, status: u64, response: &Value) {
    let (asks, answers): (Check, Check) = match operation {
        "authorize" => (is::<AuthorizeRequest>, is::<AuthorizeResponse>),
        "state" => (is::<StateRequest>, is::<StateResponse>),
        "close" => (is::<CloseRequest>, is::<CloseResponse>),
        "query" => (is::<QueryRequest>, is::<QueryResponse>),
        "round_bets" => (is::<Value>, is::<RoundBetsResponse>),
        "capabilities" => (is::<Value>, is::<CapabilitiesResponse>),
        "health" => (is::<Value>, is::<HealthResponse>),
        other => panic!("no operation {other}"),
    };
    if !request.is_null() && status != 400 {
        asks(request);
    }
    if status == 200 { answers(response) } else { is::<Problem>(response) }
}

#[test]
fn every_recorded_exchange_is_an_example_and_fits_the_types() {
    let document = written();
    let mut seen = 0;
    for entry in std::fs::read_dir(file("contract/examples")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let told: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let (of, case) = name.split_once('.').unwrap();
        let (asked, answered) = (&told["request"], &told["response"]);
        let status = answered["status"].as_u64().unwrap();
        fits(of, &asked["body"], status, &answered["body"]);
        let operation = operation(&document, of);
        let answer = &operation["responses"][status.to_string()];
        let kind = answered["headers"]["content-type"].as_str();
        let shown = &answer["content"][kind.unwrap_or("application/json")]["examples"][case];
        assert_eq!(shown["value"], answered["body"], "{name}");
        let shown = &operation["requestBody"]["content"]["application/json"]["examples"][case];
        let unread = status == 400;
        assert_eq!(
            shown["value"],
            if unread { json!(null) } else { asked["body"].clone() },
            "{name}"
        );
        for header in answered["headers"].as_object().unwrap().keys() {
            let known = answer["headers"].as_object().unwrap().keys();
            let known =
                known.chain([&"content-type".to_owned()]).any(|k| k.eq_ignore_ascii_case(header));
            assert!(known, "{name}: {header}");
        }
        seen += 1;
    }
    assert!(30 < seen, "{seen}");
}

/// The limits that the document says are those that hold.
#[test]
fn limits_are_those_of_the_contract() {
    let document = written();
    let schemas = &document["components"]["schemas"];
    for (place, limit) in [
        ("StateRequest/properties/items", STATE_ITEMS_MAX),
        ("QueryRequest/properties/bet_ids", QUERY_BETS_MAX),
        ("RoundBetsResponse/properties/rows", ROUND_BETS_MAX),
    ] {
        let list = schemas.pointer(&format!("/{place}")).unwrap();
        assert_eq!(list["maxItems"], json!(limit), "{place}");
    }
    assert_eq!(document["info"]["version"], API_VERSION);
    assert!(
        document["info"]["description"].as_str().unwrap().contains(&format!("`{API_VERSION}`"))
    );
}

/// What is not made of the types names the same date of the contract.
#[test]
fn the_date_is_the_same_wherever_it_is_written() {
    for (name, words) in [
        ("../docs/partner/README.md", format!("`Api-Version: {API_VERSION}`")),
        ("../examples/wallet/wallet.py", format!("\nAPI_VERSION = \"{API_VERSION}\"\n")),
    ] {
        let text = std::fs::read_to_string(file(name)).unwrap();
        assert!(text.contains(&words), "{words} is not in {name}");
    }
}

/// Every status has an example, and every code that is told of it one of its own.
#[test]
fn every_problem_has_an_example() {
    let document = written();
    for (path, item) in document["paths"].as_object().unwrap() {
        for operation in item.as_object().unwrap().values() {
            for (status, answer) in operation["responses"].as_object().unwrap() {
                let content = answer["content"].as_object().unwrap().values().next().unwrap();
                let shown = content["examples"].as_object().unwrap().values();
                let shown: Vec<&Value> = shown.map(|example| &example["value"]).collect();
                assert!(!shown.is_empty(), "{path} {status}");
                let told = answer["description"].as_str().unwrap();
                let codes =
                    told.match_indices("`: ").map(|(end, _)| told[..end].rsplit('`').next());
                for code in codes.map(Option::unwrap) {
                    let is_shown = shown.iter().any(|value| value["code"] == *code);
                    assert!(is_shown, "{path} {status}: no example of {code}");
                }
            }
        }
    }
}

/// What may become of an item, and of a stake.
#[test]
fn every_outcome_has_an_example() {
    let document = written();
    let values = |name: &str| {
        let content = &operation(&document, name)["responses"]["200"]["content"];
        let examples = content["application/json"]["examples"].as_object().unwrap().clone();
        examples.into_iter().map(|(_, example)| example["value"].clone()).collect::<Vec<_>>()
    };
    let (stakes, states) = (values("authorize"), values("state"));
    let results: Vec<&Value> =
        states.iter().flat_map(|value| value["results"].as_array().unwrap()).collect();
    let schemas = &document["components"]["schemas"];
    let words = |schema: &str| schemas[schema]["enum"].as_array().unwrap().clone();
    for word in words("HoldDecision") {
        assert!(stakes.iter().any(|answer| answer["decision"] == word), "{word}");
    }
    for word in words("ItemOutcome") {
        assert!(results.iter().any(|result| result["outcome"] == word), "{word}");
    }
    let codes = schemas["StateResult"]["properties"]["code"]["description"].as_str().unwrap();
    let codes: Vec<&str> = codes.split('`').skip(1).step_by(2).collect();
    assert_eq!(codes.len(), 5, "{codes:?}");
    for code in codes {
        assert!(results.iter().any(|result| result["code"] == code), "{code}");
    }
    for (told, all) in [("stake", stakes.iter().collect::<Vec<_>>()), ("state", results)] {
        assert!(all.iter().any(|answer| answer["replayed"] == true), "no {told} is replayed");
    }
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
        assert!(schema["description"].is_string(), "{name}");
        assert!(!schema.to_string().contains("\"other\""), "{name} has a word that nobody says");
        for (field, shape) in schema["properties"].as_object().into_iter().flatten() {
            // What may be left out is `null` or a schema with a description beside it.
            let of = shape["oneOf"].get(1).unwrap_or(shape);
            assert!(of["description"].is_string(), "{name}.{field}");
        }
    }
}
