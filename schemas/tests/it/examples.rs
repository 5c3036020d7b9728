//! Every record has examples: the record as JSON, and its bytes as hex beside it.
//!
//! `examples/<name>.json` and `.hex` decode, mean something, and encode back to the byte. What is in
//! `examples/invalid/` is refused, and named for it: `<refusal>[.<note>].json` fits the schema and says
//! nothing that is understood, `.hex` alone is not even that.

use crate::{Contract, ForEach, bless, file, for_each};
use schemas::bets::{BetEvent, Unreadable};
use schemas::decisions::DecisionSaid;
use schemas::frame::{self, FrameError};
use schemas::partners::PartnerSaid;
use schemas::rounds::RoundEvent;
use schemas::settlements::Settlement;
use schemas::wire::{
    BetKind, BetRecord, DecisionKind, DecisionRecord, DeliveryOutcome, DeliveryRecord,
    PartnerRecord, RoundKind, RoundRecord, SettlementRecord, TargetKind, Wire,
};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Reads bytes as far as they can be understood, and gives what is then said in bytes again.
fn understood<T: Contract>(bytes: &[u8]) -> Result<Vec<u8>, Unreadable> {
    Ok(match T::SCHEMA_ID {
        RoundRecord::SCHEMA_ID => RoundEvent::decode(bytes)?.encode()?,
        <BetRecord>::SCHEMA_ID => BetEvent::decode(bytes)?.encode()?,
        <DecisionRecord>::SCHEMA_ID => DecisionSaid::decode(bytes)?.encode()?,
        <SettlementRecord>::SCHEMA_ID => Settlement::decode(bytes)?.encode()?,
        PartnerRecord::SCHEMA_ID => match PartnerSaid::decode(bytes)? {
            Some(said) => said.encode()?,
            None => frame::encode(&frame::decode::<T>(bytes)?)?,
        },
        _ => frame::encode(&frame::decode::<T>(bytes)?)?,
    })
}

/// The refusal as it stands in the name of a file.
fn refusal(error: &Unreadable) -> String {
    match error {
        Unreadable::Missing(field) => format!("missing-{field}"),
        Unreadable::Range(field) => format!("range-{field}"),
        Unreadable::Id(error) => error.kind.replace(' ', "-"),
        Unreadable::Money(_) => "money".to_owned(),
        Unreadable::Odds(_) => "odds".to_owned(),
        Unreadable::UnknownKind => "unknown-kind".to_owned(),
        Unreadable::Frame(error) => match error {
            FrameError::NotFramed => "not-framed",
            FrameError::Schema { .. } => "other-schema",
            FrameError::Datum { .. } => "datum",
            FrameError::Trailing(_) => "trailing",
            FrameError::NotFaithful(_) => "not-faithful",
        }
        .to_owned(),
    }
}

/// `topics/<t>/v1/examples`, or `facts/examples/<fact>`.
fn folder(schema_file: &str) -> PathBuf {
    match schema_file.strip_prefix("facts/") {
        Some(fact) => file(&format!("facts/examples/{}", fact.trim_end_matches(".avsc"))),
        None => file(&schema_file.replace("schema.avsc", "examples")),
    }
}

/// The files of a folder with this ending, ordered.
pub(crate) fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths: BTreeSet<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.into_iter().filter(|path| path.extension().is_some_and(|found| found == ending)).collect()
}

fn record<T: Contract>(json: &Path) -> T {
    let text = std::fs::read_to_string(json).unwrap();
    match serde_json::from_str(&text) {
        Ok(record) => record,
        Err(error) => panic!("{}: {error}", json.display()),
    }
}

pub(crate) fn bytes(hex: &Path) -> Vec<u8> {
    let text = std::fs::read_to_string(hex).unwrap();
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let pairs = digits.chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

/// Lines of 32 bytes, so that a difference can be seen.
fn write_hex(path: &Path, bytes: &[u8]) {
    let line = |line: &[u8]| line.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let text: Vec<String> = bytes.chunks(32).map(line).collect();
    std::fs::write(path, text.join("\n") + "\n").unwrap();
}

#[test]
fn examples_are_golden() {
    struct Golden;
    impl ForEach for Golden {
        fn each<T: Contract>(&mut self, schema_file: &str) {
            let folder = folder(schema_file);
            let examples = files(&folder, "json");
            assert!(!examples.is_empty(), "{} has examples", folder.display());
            for json in &examples {
                let (hex, name) = (json.with_extension("hex"), json.display());
                let record: T = record(json);
                let encoded = frame::encode(&record).unwrap();
                if bless() {
                    write_hex(&hex, &encoded);
                }
                let golden = bytes(&hex);
                assert_eq!(encoded, golden, "{name}");
                assert_eq!(frame::decode::<T>(&golden).unwrap(), record, "{name}");
                match understood::<T>(&golden) {
                    Ok(again) => assert_eq!(again, golden, "{name} says more than is understood"),
                    Err(error) => panic!("{name}: {}", refusal(&error)),
                }
            }
            let with_json: Vec<PathBuf> =
                examples.iter().map(|json| json.with_extension("hex")).collect();
            assert_eq!(files(&folder, "hex"), with_json, "no bytes without their record");
        }
    }
    for_each(&mut Golden);
}

#[test]
fn invalid_examples_are_refused_by_name() {
    struct Refused(usize);
    impl ForEach for Refused {
        fn each<T: Contract>(&mut self, schema_file: &str) {
            let folder = folder(schema_file).join("invalid");
            let of_json = files(&folder, "json").into_iter().map(|path| {
                let encoded = frame::encode(&record::<T>(&path)).unwrap();
                (path, encoded)
            });
            let of_hex = files(&folder, "hex").into_iter().map(|path| {
                let found = bytes(&path);
                (path, found)
            });
            for (path, bytes) in of_json.chain(of_hex) {
                let stem = path.file_stem().unwrap().to_str().unwrap();
                let wanted = stem.split('.').next().unwrap();
                let found = understood::<T>(&bytes).err().map(|error| refusal(&error));
                assert_eq!(found.as_deref(), Some(wanted), "{}", path.display());
                self.0 += 1;
            }
        }
    }
    let mut refused = Refused(0);
    for_each(&mut refused);
    assert!(120 <= refused.0, "only {} invalid examples were found", refused.0);
}

/// A new kind of record comes with an example.
#[test]
fn every_word_has_an_example() {
    fn words<T: Contract>(
        schema_file: &str,
        word: fn(&T) -> &'static str,
    ) -> BTreeSet<&'static str> {
        files(&folder(schema_file), "json").iter().map(|json| word(&record(json))).collect()
    }
    let path = |topic: &str| format!("topics/{topic}/v1/schema.avsc");
    let rounds = words(&path("rounds"), |record: &RoundRecord| record.kind.name());
    assert_eq!(rounds, RoundKind::ALL.iter().map(|kind| kind.name()).collect());
    let bets = words(&path("bets"), |record: &BetRecord| record.kind.name());
    assert_eq!(bets, BetKind::ALL.iter().map(|kind| kind.name()).collect());
    let decisions = words(&path("decisions"), |record: &DecisionRecord| record.kind.name());
    assert_eq!(decisions, DecisionKind::ALL.iter().map(|kind| kind.name()).collect());
    let targets = words(&path("settlements"), |record: &SettlementRecord| record.target.name());
    assert_eq!(targets, TargetKind::ALL.iter().map(|kind| kind.name()).collect());
    let outcomes = words(&path("deliveries"), |record: &DeliveryRecord| record.outcome.name());
    assert_eq!(outcomes, DeliveryOutcome::ALL.iter().map(|kind| kind.name()).collect());
}
