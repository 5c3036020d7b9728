//! The contract: Avro records, topic catalogue, ids, money, odds, the partner's HTTP bodies. No IO.
