//! The Confluent wire format: byte 0, a 4-byte schema id, the Avro datum.

mod datum;

pub use datum::DatumError;

use crate::wire::Wire;
use serde::Deserialize;
use thiserror::Error;

/// Why bytes are not the record they should be, or a record cannot become bytes.
#[derive(Debug, Error)]
pub enum FrameError {
    /// Shorter than the frame, or not starting with byte 0.
    #[error("not in the Confluent wire format")]
    NotFramed,
    /// Another schema.
    #[error("schema id {found}, expected {expected}")]
    Schema {
        /// The id in the frame.
        found: u32,
        /// The id of the type asked for.
        expected: u32,
    },
    /// The datum does not fit the schema.
    #[error("not a datum of schema id {schema}")]
    Datum {
        /// The schema id.
        schema: u32,
        /// What the codec says.
        source: DatumError,
    },
    /// The datum is followed by other bytes.
    #[error("{0} bytes behind the datum")]
    Trailing(usize),
    /// What was encoded does not decode to the same record (R23); nothing may be sent.
    #[error("a record of schema id {0} does not survive its own encoding")]
    NotFaithful(u32),
}

/// The most bytes that one text or byte field of a record may have: 16 MiB, far above any record that a
/// broker takes.
pub const FIELD_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Frames a record, and decodes it again before anybody gets it (R23).
///
/// # Errors
/// [`FrameError::Datum`] or [`FrameError::NotFaithful`] if the record does not fit its schema.
pub fn encode<T: Wire>(record: &T) -> Result<Vec<u8>, FrameError> {
    let mut bytes = Vec::with_capacity(256);
    bytes.push(0);
    bytes.extend_from_slice(&T::SCHEMA_ID.to_be_bytes());
    datum::write(record, &mut bytes)
        .map_err(|source| FrameError::Datum { schema: T::SCHEMA_ID, source })?;
    if record.stands_in(&bytes) { Ok(bytes) } else { Err(FrameError::NotFaithful(T::SCHEMA_ID)) }
}

/// Whether `frame` is read as `record`.
pub fn reads_back<'a, T: Wire + Deserialize<'a> + PartialEq>(record: &T, frame: &'a [u8]) -> bool {
    decode::<T>(frame).is_ok_and(|read| read == *record)
}

/// The record in a frame; what it borrows, it borrows from there.
///
/// # Errors
/// Any [`FrameError`] but `NotFaithful`; bytes that are too long or too short are refused.
pub fn decode<'a, T: Wire + Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, FrameError> {
    let expected = T::SCHEMA_ID;
    let Some(([0, id @ ..], mut datum)) = bytes.split_first_chunk::<5>() else {
        return Err(FrameError::NotFramed);
    };
    let found = u32::from_be_bytes(*id);
    if found != expected {
        return Err(FrameError::Schema { found, expected });
    }
    let record =
        datum::read(&mut datum).map_err(|source| FrameError::Datum { schema: expected, source })?;
    if datum.is_empty() { Ok(record) } else { Err(FrameError::Trailing(datum.len())) }
}

#[cfg(test)]
mod tests;
