//! The schema files are the contract; the Rust types are proved equal to them both ways.

use crate::{Contract, ForEach, bless, file, for_each};
use apache_avro::Schema;
use apache_avro::schema_compatibility::{Compatibility, SchemaCompatibility};
use schemas::catalogue::TOPICS;
use schemas::wire::PartnerRecord;
use std::collections::{BTreeMap, BTreeSet};

pub(crate) fn parsed(path: &str) -> Schema {
    Schema::parse_str(&std::fs::read_to_string(file(path)).unwrap()).unwrap()
}

#[test]
fn types_equal_their_schema_files() {
    struct Equal;
    impl ForEach for Equal {
        fn each<T: Contract>(&mut self, path: &str) {
            let of_type = T::get_schema();
            if bless() {
                let text = serde_json::to_string_pretty(&of_type).unwrap();
                std::fs::write(file(path), text + "\n").unwrap();
            }
            let of_file = parsed(path);
            assert_eq!(
                serde_json::to_value(&of_file).unwrap(),
                serde_json::to_value(&of_type).unwrap(),
                "{path}"
            );
            let built_in = Schema::parse_str(T::SCHEMA).unwrap();
            assert_eq!(of_file, built_in, "{path}");
        }
    }
    for_each(&mut Equal);
}

/// A reader of this version reads every record of this version, and never has to guess.
#[test]
fn every_schema_reads_itself() {
    struct Reads;
    impl ForEach for Reads {
        fn each<T: Contract>(&mut self, path: &str) {
            let (one, two) = (parsed(path), T::get_schema());
            let found = SchemaCompatibility::mutual_read(&one, &two);
            assert_eq!(found.unwrap(), Compatibility::Full, "{path}");
        }
    }
    for_each(&mut Reads);
}

/// A reader with one word fewer reads `unknown` in its place instead of failing.
#[test]
fn a_new_word_does_not_stop_old_readers() {
    let new = parsed("topics/settlements/v1/schema.avsc");
    let text = serde_json::to_string(&new).unwrap();
    let old = text.replace(r#","settled","voided"]"#, r#","settled"]"#);
    assert_ne!(old, text);
    let old = Schema::parse_str(&old).unwrap();
    let voided = apache_avro::types::Value::Enum(3, "voided".to_owned());
    let value = voided.resolve(field_type(&old, "target")).unwrap();
    assert_eq!(value, apache_avro::types::Value::Enum(0, "unknown".to_owned()));
}

fn field_type<'a>(schema: &'a Schema, name: &str) -> &'a Schema {
    let Schema::Record(record) = schema else { panic!("not a record") };
    &record.fields.iter().find(|field| field.name == name).unwrap().schema
}

/// What every SQL tool can read, and money can live in: no float, no union but with null, a default
/// for what may be absent, `unknown` in every enum, and a meaning for every field.
#[test]
fn schemas_stay_plain() {
    struct Plain;
    impl ForEach for Plain {
        fn each<T: Contract>(&mut self, path: &str) {
            let schema: serde_json::Value = serde_json::from_str(T::SCHEMA).unwrap();
            check_record(path, &schema);
        }
    }
    for_each(&mut Plain);
}

fn check_record(path: &str, record: &serde_json::Value) {
    let name = record["name"].as_str().unwrap();
    assert!(record["doc"].is_string(), "{path}: {name} says what it is");
    for field in record["fields"].as_array().unwrap() {
        let place = format!("{path}: {name}.{}", field["name"]);
        assert!(field["doc"].is_string(), "{place} says what it is");
        match field["type"].as_array() {
            Some(union) => {
                assert_eq!((union.len(), &union[0]), (2, &"null".into()), "{place}");
                assert_eq!(field.get("default"), Some(&serde_json::Value::Null), "{place}");
                check_type(&place, &union[1]);
            }
            None => check_type(&place, &field["type"]),
        }
        let money = ["_units", "odds"].iter().any(|end| place.trim_matches('"').ends_with(end));
        if money {
            let plain = ["\"long\"", "[\"null\",\"long\"]"];
            assert!(plain.contains(&field["type"].to_string().as_str()), "{place}");
        }
    }
}

fn check_type(place: &str, kind: &serde_json::Value) {
    let plain = ["boolean", "int", "long", "string", "bytes", "TargetKind"];
    match kind["type"].as_str() {
        None => assert!(plain.contains(&kind.as_str().unwrap()), "{place} is {kind}"),
        Some("array") => check_type(place, &kind["items"]),
        Some("record") => check_record(place, kind),
        Some("enum") => {
            assert_eq!(
                (&kind["symbols"][0], &kind["default"]),
                (&"unknown".into(), &"unknown".into())
            );
        }
        Some(other) => panic!("{place} is {other}"),
    }
}

/// Consumers find the schema of a record by `ids.json`: an id that was ever used stays with its schema.
#[test]
fn ids_are_never_shared_and_written_down() {
    struct Ids(BTreeMap<u32, String>);
    impl ForEach for Ids {
        fn each<T: Contract>(&mut self, path: &str) {
            assert_eq!(self.0.insert(T::SCHEMA_ID, path.to_owned()), None, "{path}");
        }
    }
    let mut ids = Ids(BTreeMap::new());
    for_each(&mut ids);
    ids.0.insert(PartnerRecord::EARLIER_SCHEMA_ID, "topics/partners/v1/earlier/7.avsc".to_owned());
    let text = std::fs::read_to_string(file("ids.json")).unwrap();
    let written: BTreeMap<u32, String> = serde_json::from_str(&text).unwrap();
    assert_eq!(ids.0, written);
}

/// Every topic has a schema, and every schema a topic; tiers and parking share that of `settlements`.
#[test]
fn topics_have_schemas() {
    let of_topics: BTreeSet<String> =
        TOPICS.iter().map(|topic| topic.name.split('.').next().unwrap().to_owned()).collect();
    let of_files: BTreeSet<String> = std::fs::read_dir(file("topics"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(of_topics, of_files);
}
