//! One record as one line of JSON.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use runtime::{Record, Source};
use schemas::frame::{self, FrameError};
use schemas::wire::{
    BetRecord, CaseRecord, DecisionRecord, DeliveryRecord, PartnerRecord, RoundRecord,
    SettlementRecord, Wire,
};
use serde::Serialize;
use serde_json::{Map, Value};

/// What is printed. A value that cannot be read is there as bytes, with why; so is a key that is no text.
#[derive(Serialize)]
struct Line<'a> {
    topic: &'a str,
    partition: u32,
    offset: u64,
    /// When the log took it, RFC 3339, UTC.
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_base64: Option<String>,
    headers: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unreadable: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_base64: Option<String>,
}

/// The value of a record, without the fields that it leaves away; money in minor units, as it stands there.
///
/// # Errors
/// Why it cannot be read.
pub(super) fn decode(bytes: &[u8]) -> Result<Value, String> {
    match id(bytes) {
        Some(RoundRecord::SCHEMA_ID) => as_json(frame::decode::<RoundRecord>(bytes)),
        Some(<BetRecord>::SCHEMA_ID) => as_json(frame::decode::<BetRecord>(bytes)),
        Some(<DecisionRecord>::SCHEMA_ID) => as_json(frame::decode::<DecisionRecord>(bytes)),
        Some(<SettlementRecord>::SCHEMA_ID) => as_json(frame::decode::<SettlementRecord>(bytes)),
        Some(DeliveryRecord::SCHEMA_ID) => as_json(frame::decode::<DeliveryRecord>(bytes)),
        Some(CaseRecord::SCHEMA_ID) => as_json(frame::decode::<CaseRecord>(bytes)),
        Some(PartnerRecord::SCHEMA_ID | PartnerRecord::EARLIER_SCHEMA_ID) => {
            as_json(PartnerRecord::read(bytes))
        }
        Some(id) => Err(format!("schema id {id} is no topic's")),
        None => Err("not in the Confluent wire format".to_owned()),
    }
}

fn id(bytes: &[u8]) -> Option<u32> {
    match bytes.first_chunk::<5>()? {
        [0, id @ ..] => Some(u32::from_be_bytes(*id)),
        _ => None,
    }
}

fn as_json<T: Serialize>(read: Result<T, FrameError>) -> Result<Value, String> {
    let record = read.map_err(|error| format!("{:#}", anyhow::Error::from(error)))?;
    let mut value = serde_json::to_value(record).map_err(|error| error.to_string())?;
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|_, field| !field.is_null());
    }
    Ok(value)
}

/// The line of a record whose value was read as `value`, without its end.
///
/// # Errors
/// If it cannot be written as JSON.
pub fn line(
    source: Source,
    record: &Record,
    value: &Result<Value, String>,
) -> serde_json::Result<String> {
    let key = str::from_utf8(&record.key);
    let header = |(name, value): (&str, &str)| (name.to_owned(), Value::from(value));
    let time = Timestamp::from_millisecond(record.appended_at);
    serde_json::to_string(&Line {
        topic: source.topic.0,
        partition: source.partition,
        offset: record.offset,
        time: time.map_or_else(|_| record.appended_at.to_string(), |time| format!("{time:.3}")),
        key: key.ok(),
        key_base64: key.is_err().then(|| STANDARD.encode(&record.key)),
        headers: record.headers.iter().map(header).collect(),
        value: value.as_ref().ok(),
        unreadable: value.as_ref().err().map(String::as_str),
        value_base64: value.is_err().then(|| STANDARD.encode(&record.value)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime::Topic;
    use schemas::wire::TargetKind;
    use serde_json::json;

    fn shown(key: &[u8], value: Vec<u8>) -> Value {
        let headers = [("kind", "settled"), ("partner", "acme")];
        let record = Record {
            offset: 7,
            appended_at: 1_700_000_000_123,
            key: key.to_vec().into(),
            headers: headers.into_iter().collect(),
            value: value.into(),
        };
        let source = Source { topic: Topic("settlements.v1"), partition: 3 };
        let value = decode(&record.value);
        serde_json::from_str(&line(source, &record, &value).unwrap()).unwrap()
    }

    #[test]
    fn a_record_is_decoded_with_money_as_it_stands_there() {
        let record = SettlementRecord {
            bet_id: "r1:x".to_owned(),
            target: TargetKind::Settled,
            payout_units: 9_007_199_254_740_993,
            ..SettlementRecord::default()
        };
        let shown = shown(b"r1:x/3", frame::encode(&record).unwrap());
        assert_eq!(shown["value"]["payout_units"], json!(9_007_199_254_740_993_i64));
        assert_eq!(shown["value"]["target"], "settled");
        assert_eq!(shown["time"], "2023-11-14T22:13:20.123Z");
        assert_eq!((&shown["partition"], &shown["offset"]), (&json!(3), &json!(7)));
        assert_eq!(shown["headers"], json!({"kind": "settled", "partner": "acme"}));
        assert_eq!(shown["key"], "r1:x/3");
        assert_eq!(shown.get("unreadable"), None);
    }

    #[test]
    fn what_is_unreadable_is_there_with_its_bytes() {
        let whole = frame::encode(&CaseRecord::default()).unwrap();
        for (value, why) in [
            (b"{}".to_vec(), "Confluent"),
            (vec![0, 0, 0, 0, 99, 1], "schema id 99"),
            (whole[..whole.len() - 1].to_vec(), "schema id 6"),
        ] {
            let shown = shown(b"\xff", value.clone());
            assert!(shown["unreadable"].as_str().unwrap().contains(why), "{shown}");
            assert_eq!(shown["value_base64"], STANDARD.encode(value));
            assert_eq!(shown["key_base64"], "/w==");
            assert_eq!((shown.get("value"), shown.get("key")), (None, None));
        }
    }
}
