//! The schema files are the contract; the Rust types are proved equal to them both ways.

use apache_avro::{AvroSchema, Schema};
use schemas::wire::*;
use std::path::Path;

/// `BLESS=1 cargo test -p schemas` writes the files from the types, for review.
fn same<T: Wire + AvroSchema>(path: &str) {
    let of_type = T::get_schema();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::vars().any(|(name, _)| name == "BLESS") {
        let text = serde_json::to_string_pretty(&of_type).unwrap();
        std::fs::write(&file, text + "\n").unwrap();
    }
    let of_file = Schema::parse_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(
        serde_json::to_value(&of_file).unwrap(),
        serde_json::to_value(&of_type).unwrap(),
        "{path}"
    );
}

#[test]
fn types_equal_their_schema_files() {
    same::<RoundRecord>("topics/rounds/v1/schema.avsc");
    same::<BetRecord>("topics/bets/v1/schema.avsc");
    same::<DecisionRecord>("topics/decisions/v1/schema.avsc");
    same::<SettlementRecord>("topics/settlements/v1/schema.avsc");
    same::<DeliveryRecord>("topics/deliveries/v1/schema.avsc");
    same::<CaseRecord>("topics/cases/v1/schema.avsc");
    same::<PartnerRecord>("topics/partners/v1/schema.avsc");
    same::<TallyRecord>("facts/tally.avsc");
    same::<FreezeRecord>("facts/freeze.avsc");
    same::<UnreadableRecord>("facts/unreadable.avsc");
}
