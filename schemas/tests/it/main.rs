//! The contract held against its own files: schemas, examples, golden bytes, broken bytes.
//!
//! `BLESS=1 cargo test -p schemas` writes the schema files and the document of the wallet API from the types,
//! and the golden bytes from the examples; the difference is what has to be reviewed.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod broken_bytes;
mod document;
mod earlier;
mod examples;
mod schema_files;

use apache_avro::AvroSchema;
use schemas::wire::*;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::path::{Path, PathBuf};

/// A wire type with all that is held against its files.
trait Contract: Wire + AvroSchema + DeserializeOwned + PartialEq + Debug + 'static {}

impl<T: Wire + AvroSchema + DeserializeOwned + PartialEq + Debug + 'static> Contract for T {}

/// Something to be done for every wire type, with its schema file.
trait ForEach {
    fn each<T: Contract>(&mut self, schema_file: &str);
}

/// Every wire type there is.
fn for_each(what: &mut impl ForEach) {
    what.each::<RoundRecord>("topics/rounds/v1/schema.avsc");
    what.each::<BetRecord>("topics/bets/v1/schema.avsc");
    what.each::<DecisionRecord>("topics/decisions/v1/schema.avsc");
    what.each::<SettlementRecord>("topics/settlements/v1/schema.avsc");
    what.each::<DeliveryRecord>("topics/deliveries/v1/schema.avsc");
    what.each::<CaseRecord>("topics/cases/v1/schema.avsc");
    what.each::<PartnerRecord>("topics/partners/v1/schema.avsc");
    what.each::<TallyRecord>("facts/tally.avsc");
    what.each::<FreezeRecord>("facts/freeze.avsc");
    what.each::<UnreadableRecord>("facts/unreadable.avsc");
    what.each::<HistoryRecord>("facts/history.avsc");
    what.each::<CloseRecord>("facts/close.avsc");
    what.each::<RepeatRecord>("facts/repeat.avsc");
    what.each::<ActRecord>("facts/act.avsc");
    what.each::<StoryRecord>("facts/story.avsc");
}

/// A file of this crate.
fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Whether the files are to be written instead of compared.
fn bless() -> bool {
    std::env::vars().any(|(name, _)| name == "BLESS")
}
