//! Any record that fits its schema is read and written back to the byte; any other bytes are refused
//! or read, but never panic, and never ask for memory beyond the limit.

use crate::{Contract, ForEach, for_each};
use apache_avro::Schema;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{TestCaseError, TestRunner};
use schemas::bets::BetEvent;
use schemas::decisions::DecisionSaid;
use schemas::frame::{decode, encode};
use schemas::rounds::RoundEvent;
use schemas::settlements::Settlement;
use schemas::wire::{BetRecord, DecisionRecord, SettlementRecord, Wire};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Any value that fits `schema`; `named` collects the types that later fields refer to.
fn any_value(schema: &Schema, named: &mut BTreeMap<String, Schema>) -> BoxedStrategy<Value> {
    if let Some(name) = schema.name() {
        named.entry(name.to_string()).or_insert_with(|| schema.clone());
    }
    #[expect(clippy::wildcard_enum_match_arm, reason = "the contract has no other types")]
    match schema {
        Schema::Boolean => any::<bool>().prop_map(Value::Boolean).boxed(),
        Schema::Int => any::<i32>().prop_map(Value::Int).boxed(),
        Schema::Long => any::<i64>().prop_map(Value::Long).boxed(),
        Schema::Bytes => vec(any::<u8>(), 0..40).prop_map(Value::Bytes).boxed(),
        Schema::String => "\\PC{0,40}|.{0,8}".prop_map(Value::String).boxed(),
        Schema::Enum(kind) => {
            let symbols: Vec<(u32, String)> = (0..).zip(kind.symbols.clone()).collect();
            proptest::sample::select(symbols).prop_map(|(at, word)| Value::Enum(at, word)).boxed()
        }
        Schema::Array(array) => {
            vec(any_value(&array.items, named), 0..4).prop_map(Value::Array).boxed()
        }
        Schema::Union(union) => {
            let some = any_value(&union.variants()[1], named);
            let some = some.prop_map(|value| Value::Union(1, Box::new(value)));
            prop_oneof![1 => Just(Value::Union(0, Box::new(Value::Null))), 3 => some].boxed()
        }
        Schema::Record(record) => {
            let fields: Vec<BoxedStrategy<(String, Value)>> = record
                .fields
                .iter()
                .map(|field| {
                    let name = field.name.clone();
                    let value = any_value(&field.schema, named);
                    value.prop_map(move |value| (name.clone(), value)).boxed()
                })
                .collect();
            fields.prop_map(Value::Record).boxed()
        }
        Schema::Ref { name } => any_value(&named[&name.to_string()].clone(), named),
        other => panic!("{other:?} is no part of the contract"),
    }
}

/// Frames of any values that fit the schema of `T`, written without its Rust type.
fn any_frame<T: Contract>() -> impl Strategy<Value = Vec<u8>> {
    let schema: &'static Schema = Box::leak(Box::new(T::get_schema()));
    let writer = GenericDatumWriter::builder(schema).build().unwrap();
    any_value(schema, &mut BTreeMap::new()).prop_map(move |value| {
        let mut bytes = [&[0], T::SCHEMA_ID.to_be_bytes().as_slice()].concat();
        writer.write_value(&mut bytes, value).unwrap();
        bytes
    })
}

fn fails(error: impl std::fmt::Display) -> TestCaseError {
    TestCaseError::fail(error.to_string())
}

/// Whoever reads the record as what it says gets that or a refusal, and says it again unchanged.
fn understand(bytes: &[u8]) -> Result<(), TestCaseError> {
    if let Ok(said) = BetEvent::decode(bytes) {
        prop_assert_eq!(BetEvent::decode(&said.encode().map_err(fails)?).map_err(fails)?, said);
    }
    if let Ok(said) = RoundEvent::decode(bytes) {
        prop_assert_eq!(RoundEvent::decode(&said.encode().map_err(fails)?).map_err(fails)?, said);
    }
    if let Ok(said) = DecisionSaid::decode(bytes) {
        prop_assert_eq!(DecisionSaid::decode(&said.encode().map_err(fails)?).map_err(fails)?, said);
    }
    if let Ok(said) = Settlement::decode(bytes) {
        prop_assert_eq!(Settlement::decode(&said.encode().map_err(fails)?).map_err(fails)?, said);
    }
    Ok(())
}

#[test]
fn whatever_fits_the_schema_is_read_and_written_back() {
    struct Sound;
    impl ForEach for Sound {
        fn each<T: Contract>(&mut self, _: &str) {
            let two = (any_frame::<T>(), any_frame::<T>());
            let outcome = TestRunner::default().run(&two, |(bytes, other)| {
                let record = decode::<T>(&bytes).map_err(fails)?;
                prop_assert_eq!(encode(&record).map_err(fails)?, bytes.clone());
                prop_assert!(record.stands_in(&bytes));
                prop_assert_eq!(record.stands_in(&other), other == bytes);
                as_it_is_used(T::SCHEMA_ID, (&bytes, &other))?;
                understand(&bytes)
            });
            outcome.unwrap();
        }
    }
    for_each(&mut Sound);
}

/// The same for the records that services read and write borrowed.
fn as_it_is_used(schema: u32, frames: (&[u8], &[u8])) -> Result<(), TestCaseError> {
    fn sound<'a, T: Wire + Deserialize<'a>>(
        (bytes, other): (&'a [u8], &[u8]),
    ) -> Result<(), TestCaseError> {
        let record = decode::<T>(bytes).map_err(fails)?;
        prop_assert_eq!(encode(&record).map_err(fails)?, bytes);
        prop_assert!(record.stands_in(bytes));
        prop_assert_eq!(record.stands_in(other), other == bytes);
        Ok(())
    }
    match schema {
        <BetRecord>::SCHEMA_ID => sound::<BetRecord<&str>>(frames),
        <DecisionRecord>::SCHEMA_ID => sound::<DecisionRecord<&str>>(frames),
        <SettlementRecord>::SCHEMA_ID => sound::<SettlementRecord<&str>>(frames),
        _ => Ok(()),
    }
}

#[test]
fn broken_frames_are_refused_or_read() {
    struct Broken;
    impl ForEach for Broken {
        fn each<T: Contract>(&mut self, _: &str) {
            let damage = vec((any::<Index>(), any::<u8>()), 0..6);
            let broken = (any_frame::<T>(), damage, any::<Index>(), any::<bool>()).prop_map(
                |(mut bytes, damage, cut, short)| {
                    for (at, byte) in damage {
                        // The frame itself stays whole, so that the datum is looked at.
                        let at = 5 + at.index(bytes.len() - 5);
                        bytes[at] = byte;
                    }
                    let keep = if short { cut.index(bytes.len()) } else { bytes.len() };
                    bytes.truncate(keep);
                    bytes
                },
            );
            TestRunner::default().run(&broken, |bytes| read_or_refuse::<T>(&bytes)).unwrap();
        }
    }
    for_each(&mut Broken);
}

#[test]
fn random_bytes_are_refused_or_read() {
    struct Random;
    impl ForEach for Random {
        fn each<T: Contract>(&mut self, _: &str) {
            let random = vec(any::<u8>(), 0..300).prop_map(|bytes| {
                [&[0], T::SCHEMA_ID.to_be_bytes().as_slice(), bytes.as_slice()].concat()
            });
            TestRunner::default().run(&random, |bytes| read_or_refuse::<T>(&bytes)).unwrap();
        }
    }
    for_each(&mut Random);
}

/// Bytes that are read are a record like any other: it can be written, and read again.
fn read_or_refuse<T: Contract>(bytes: &[u8]) -> Result<(), TestCaseError> {
    let record = decode::<T>(bytes);
    // As services read it.
    let borrowed = match T::SCHEMA_ID {
        <BetRecord>::SCHEMA_ID => Some(decode::<BetRecord<&str>>(bytes).is_ok()),
        <DecisionRecord>::SCHEMA_ID => Some(decode::<DecisionRecord<&str>>(bytes).is_ok()),
        <SettlementRecord>::SCHEMA_ID => Some(decode::<SettlementRecord<&str>>(bytes).is_ok()),
        _ => None,
    };
    prop_assert!(borrowed.is_none_or(|read| read == record.is_ok()));
    if let Ok(record) = record {
        let again = encode(&record).map_err(fails)?;
        prop_assert_eq!(decode::<T>(&again).map_err(fails)?, record);
    }
    understand(bytes)
}
