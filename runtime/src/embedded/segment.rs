//! Segments: the records that one commit appended to one partition, as one value of the file.
//!
//! `version (1) | appended_at (8) | count (4)`, then for each record `key, header count (4), headers
//! (name, value), value`, where a text or bytes are `length (4) | bytes`. Numbers are big endian.
//! Offsets are not written: the first is in the key of the segment and they rise by one.

use crate::{Record, RecordHeaders};
use bytes::{Buf, Bytes};

const VERSION: u8 = 1;
const HEAD_BYTES: usize = 13;
/// A segment is cut at this size, so that one page of 32 KiB holds it.
const SEGMENT_BYTES_MAX: usize = 30_000;

/// The head of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) appended_at: i64,
    pub(super) count: u32,
}

impl Head {
    /// The head of the segment in `bytes`.
    pub(super) fn decode(mut bytes: &[u8]) -> Option<Self> {
        if bytes.len() < HEAD_BYTES || bytes.get_u8() != VERSION {
            return None;
        }
        Some(Self { appended_at: bytes.get_i64(), count: bytes.get_u32() })
    }
}

/// Writes records of consecutive offsets as segments: the first offset of each, and its bytes.
///
/// `None` if a field is longer than 4 GiB.
pub(super) fn encode(records: &[Record]) -> Option<Vec<(u64, Vec<u8>)>> {
    let mut segments = Vec::new();
    let mut rest = records;
    while let Some(first) = rest.first() {
        let mut bytes = Vec::with_capacity(1_024);
        bytes.push(VERSION);
        bytes.extend_from_slice(&first.appended_at.to_be_bytes());
        bytes.extend_from_slice(&[0; 4]);
        let mut count = 0;
        for record in rest {
            if 0 < count && SEGMENT_BYTES_MAX < bytes.len() + weight(record) {
                break;
            }
            put_record(&mut bytes, record)?;
            count += 1;
        }
        let (_, after) = rest.split_at_checked(count)?;
        rest = after;
        let count = u32::try_from(count).ok()?;
        bytes.get_mut(HEAD_BYTES - 4..HEAD_BYTES)?.copy_from_slice(&count.to_be_bytes());
        segments.push((first.offset, bytes));
    }
    Some(segments)
}

/// The records of a segment whose offsets are at least `from`, at most `records_max`.
///
/// `None` if the bytes are not a segment. Keys and values share `bytes`.
pub(super) fn decode(
    first: u64,
    mut bytes: Bytes,
    from: u64,
    records_max: usize,
) -> Option<Vec<Record>> {
    let head = Head::decode(&bytes)?;
    bytes.advance(HEAD_BYTES);
    let mut records = Vec::new();
    for offset in first..first.checked_add(u64::from(head.count))? {
        if records.len() == records_max {
            break;
        }
        let key = take_bytes(&mut bytes)?;
        let headers_count = take_u32(&mut bytes)?;
        let headers = RecordHeaders::unpack(headers_count, &mut bytes)?;
        let value = take_bytes(&mut bytes)?;
        if from <= offset {
            records.push(Record { offset, appended_at: head.appended_at, key, headers, value });
        }
    }
    Some(records)
}

/// The bytes of a record in a segment.
pub(super) fn weight(record: &Record) -> usize {
    12 + record.key.len() + record.value.len() + record.headers.packed().len()
}

fn put_record(bytes: &mut Vec<u8>, record: &Record) -> Option<()> {
    put_bytes(bytes, &record.key)?;
    bytes.extend_from_slice(&u32::try_from(record.headers.iter().count()).ok()?.to_be_bytes());
    bytes.extend_from_slice(record.headers.packed());
    put_bytes(bytes, &record.value)
}

fn put_bytes(bytes: &mut Vec<u8>, field: &[u8]) -> Option<()> {
    bytes.extend_from_slice(&u32::try_from(field.len()).ok()?.to_be_bytes());
    bytes.extend_from_slice(field);
    Some(())
}

fn take_u32(bytes: &mut Bytes) -> Option<u32> {
    if bytes.len() < 4 { None } else { Some(bytes.get_u32()) }
}

fn take_bytes(bytes: &mut Bytes) -> Option<Bytes> {
    let length = usize::try_from(take_u32(bytes)?).ok()?;
    if bytes.len() < length { None } else { Some(bytes.split_to(length)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    prop_compose! {
        fn any_records()(
            first in 0..1_000u64,
            fields in vec((vec(any::<u8>(), 0..40), vec(("[a-z]{1,8}", ".{0,9}"), 0..4), 0..9_000usize), 1..40),
        ) -> Vec<Record> {
            (first..).zip(fields).map(|(offset, (key, headers, length))| {
                let value = Bytes::from(vec![7; length]);
                let headers = headers.into_iter().collect();
                Record { offset, appended_at: 5, key: key.into(), headers, value }
            }).collect()
        }
    }

    proptest! {
        #[test]
        fn records_come_back(records in any_records(), skip in 0..50u64, records_max in 1..50usize) {
            let from = records[0].offset + skip;
            let segments = encode(&records).unwrap();
            let read: Vec<Record> = segments
                .iter()
                .flat_map(|(first, bytes)| decode(*first, Bytes::from(bytes.clone()), from, usize::MAX).unwrap())
                .collect();
            let wanted: Vec<_> = records.iter().filter(|record| from <= record.offset).cloned().collect();
            prop_assert_eq!(&read, &wanted);
            let (first, bytes) = segments[0].clone();
            let read = decode(first, bytes.clone().into(), first, records_max).unwrap();
            prop_assert!(read.len() <= records_max && records.starts_with(&read));
            for (_, bytes) in &segments {
                let whole = Head::decode(bytes).unwrap();
                prop_assert!(whole.count == 1 || bytes.len() <= SEGMENT_BYTES_MAX);
            }
            // Cut short anywhere it is refused, never misread.
            let cut = bytes.len() - 1;
            prop_assert_eq!(decode(first, Bytes::from(bytes).slice(..cut), first, usize::MAX), None);
        }
    }
}
