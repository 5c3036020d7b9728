use super::{DatumError, FIELD_BYTES_MAX, FrameError, decode, encode};
use crate::wire::{SettlementRecord, TallyRecord, TargetKind, UnreadableRecord, Wire, wire};
use serde::{Deserialize, Serialize};

fn a_tally() -> TallyRecord {
    TallyRecord { round_id: "r_77".to_owned(), bets: 3, ..TallyRecord::default() }
}

#[test]
fn the_frame_is_confluents() {
    let bytes = encode(&a_tally()).unwrap();
    assert_eq!(bytes[..5], [0, 0, 0, 0, 8]);
    // The length and text of the round, the number, no stakes, no digest.
    assert_eq!(bytes[5..], *b"\x08r_77\x06\x00\x00");
    assert_eq!(decode::<TallyRecord>(&bytes).unwrap(), a_tally());
}

/// Every text shorter than the frame, or with another first byte, or of another type.
#[test]
fn other_frames_are_refused() {
    let bytes = encode(&a_tally()).unwrap();
    for short in 0..5 {
        let error = decode::<TallyRecord>(&bytes[..short]).unwrap_err();
        assert!(matches!(error, FrameError::NotFramed), "{error}");
    }
    let mut other = bytes.clone();
    other[0] = 1;
    assert!(matches!(decode::<TallyRecord>(&other), Err(FrameError::NotFramed)));
    let error = decode::<SettlementRecord>(&bytes).unwrap_err();
    let (found, expected) = (TallyRecord::SCHEMA_ID, <SettlementRecord>::SCHEMA_ID);
    assert!(
        matches!(error, FrameError::Schema { found: f, expected: e } if f == found && e == expected)
    );
}

#[test]
fn too_short_and_too_long_are_refused() {
    let bytes = encode(&a_tally()).unwrap();
    for cut in 5..bytes.len() {
        let error = decode::<TallyRecord>(&bytes[..cut]).unwrap_err();
        assert!(matches!(error, FrameError::Datum { schema: 8, .. }), "cut at {cut}: {error}");
    }
    let long = [bytes.as_slice(), &[0, 0]].concat();
    assert!(matches!(decode::<TallyRecord>(&long), Err(FrameError::Trailing(2))));
}

/// A length of nearly 2^63, of 512 MiB, and one beyond the limit, each with nothing behind it.
#[test]
fn corrupt_lengths_allocate_little() {
    for length in [i64::MAX, 512 << 20, 1 << 30, i64::try_from(FIELD_BYTES_MAX).unwrap() + 1, -1] {
        let mut bytes = vec![0, 0, 0, 0, 8];
        let mut rest = (length << 1 ^ length >> 63).cast_unsigned();
        while 0x7f < rest {
            bytes.push(u8::try_from(rest & 0x7f).unwrap() | 0x80);
            rest >>= 7;
        }
        bytes.push(u8::try_from(rest).unwrap());
        let error = decode::<TallyRecord>(&bytes).unwrap_err();
        let FrameError::Datum { source, .. } = error else { panic!("{length}: {error}") };
        let wanted = match u64::try_from(length) {
            Ok(length) => DatumError::TooLong { length, max: FIELD_BYTES_MAX },
            Err(_) => DatumError::Branch(length),
        };
        assert_eq!(source, wanted);
    }
}

/// R23: a symbol that this build lacks is `unknown` nowhere but in a reader's own schema; written, it
/// is a record that says nothing, and stays what it is.
#[test]
fn unknown_is_written_and_read() {
    let record = SettlementRecord { target: TargetKind::Unknown, ..<SettlementRecord>::default() };
    assert_eq!(decode::<SettlementRecord>(&encode(&record).unwrap()).unwrap(), record);
}

/// What could not be decoded is kept byte for byte.
#[test]
fn bytes_survive() {
    let value: Vec<u8> = (0..=255).collect();
    let record = UnreadableRecord {
        value: value.repeat(4_000),
        key: vec![0, 0xff, 0x80],
        ..UnreadableRecord::default()
    };
    assert_eq!(decode::<UnreadableRecord>(&encode(&record).unwrap()).unwrap(), record);
}

/// Nothing that cannot be read again is ever sent (R23).
#[test]
fn what_would_not_decode_is_not_encoded() {
    let digest = "0".repeat(FIELD_BYTES_MAX + 1);
    let record = TallyRecord { digest, ..a_tally() };
    assert!(matches!(encode(&record), Err(FrameError::Datum { schema: 8, .. })));
}

/// A record whose text is lost when it is read.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Lossy {
    #[serde(skip_deserializing)]
    text: String,
}

wire!(Lossy, 98, r#"{"type":"record","name":"Lossy","fields":[{"name":"text","type":"string"}]}"#);

/// A record that is written as another one.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Shifted {
    #[serde(serialize_with = "one_more")]
    number: i64,
}

fn one_more<S: serde::Serializer>(number: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_i64(number + 1)
}

wire!(
    Shifted,
    97,
    r#"{"type":"record","name":"Shifted","fields":[{"name":"number","type":"long"}]}"#
);

#[test]
fn what_reads_back_as_another_record_is_not_encoded() {
    let shifted = encode(&Shifted { number: 1 });
    assert!(matches!(shifted, Err(FrameError::NotFaithful(97))), "{shifted:?}");
}

#[test]
fn a_type_that_cannot_carry_a_record() {
    let lossy = encode(&Lossy { text: "x".to_owned() });
    assert!(matches!(lossy, Err(FrameError::NotFaithful(98))), "{lossy:?}");
}

/// The frame of a tally of round "r" with what stands behind the round's name.
fn tally_bytes(behind: &[u8]) -> Vec<u8> {
    [&[0, 0, 0, 0, 8, 2, b'r'], behind].concat()
}

#[test]
fn numbers_have_64_bits() {
    for bets in [0, 1, -1, 63, 64, -64, -65, i64::MAX, i64::MIN] {
        let record = TallyRecord { bets, ..a_tally() };
        assert_eq!(decode::<TallyRecord>(&encode(&record).unwrap()).unwrap(), record);
    }
    let most = [&[0xff; 9][..], &[1, 0, 0]].concat();
    assert_eq!(decode::<TallyRecord>(&tally_bytes(&most)).unwrap().bets, i64::MIN);
    for wider in [[&[0xff; 9][..], &[2, 0, 0]].concat(), vec![0xff; 12]] {
        let error = decode::<TallyRecord>(&tally_bytes(&wider)).unwrap_err();
        assert!(matches!(error, FrameError::Datum { source: DatumError::Number, .. }), "{error}");
    }
}

/// Other writers may write an array in several blocks, and say how long a block is.
#[test]
fn arrays_come_in_blocks() {
    let amount = [2, 6, b'E', b'U', b'R', 4];
    let sized = [&[4, 1, 12][..], &amount, &[2], &amount, &[0, 0]].concat();
    let read = decode::<TallyRecord>(&tally_bytes(&sized)).unwrap();
    assert_eq!((read.bets, read.stakes.len()), (2, 2));
    assert!(read.stakes.iter().all(|amount| amount.units == 1 && amount.exponent == 2));
}

#[test]
fn what_is_no_branch_is_refused() {
    let record = <SettlementRecord>::default();
    let bytes = encode(&record).unwrap();
    // Seven empty texts and numbers stand before the target.
    assert_eq!(bytes[12], 0);
    let mut other = bytes.clone();
    other[12] = 8;
    let error = decode::<SettlementRecord>(&other).unwrap_err();
    assert!(matches!(error, FrameError::Datum { source: DatumError::Other(_), .. }), "{error}");
    let mut negative = bytes;
    negative[12] = 1;
    let error = decode::<SettlementRecord>(&negative).unwrap_err();
    assert!(matches!(error, FrameError::Datum { source: DatumError::Branch(-1), .. }), "{error}");
}
