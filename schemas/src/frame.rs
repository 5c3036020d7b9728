//! The Confluent wire format: byte 0, a 4-byte schema id, the Avro datum.

use crate::wire::Wire;
use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;
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
        source: Box<apache_avro::Error>,
    },
    /// The datum is followed by other bytes.
    #[error("{0} bytes behind the datum")]
    Trailing(usize),
    /// What was encoded does not decode to the same record (R23); nothing may be sent.
    #[error("a record of schema id {0} does not survive its own encoding")]
    NotFaithful(u32),
    /// The schema file cannot be used.
    #[error("schema id {0} is not a schema")]
    BadSchema(u32),
}

/// The most bytes that one text or byte field of a record may have: 16 MiB, far above any record that a
/// broker takes. A corrupt length can make the codec ask for no more memory than this.
pub const FIELD_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A parsed schema with its writer and reader, made once per type: resolving it per call would be
/// most of the cost.
pub struct Codec {
    writer: Option<GenericDatumWriter<'static>>,
    reader: Option<GenericDatumReader<'static>>,
}

impl Codec {
    fn parse(text: &str) -> Self {
        // Once per process, and the first call wins; its own default is 512 MiB.
        apache_avro::util::max_allocation_bytes(FIELD_BYTES_MAX);
        let schema: Option<&'static Schema> =
            Schema::parse_str(text).ok().map(|schema| &*Box::leak(Box::new(schema)));
        Self {
            writer: schema.and_then(|schema| GenericDatumWriter::builder(schema).build().ok()),
            reader: schema.and_then(|schema| GenericDatumReader::builder(schema).build().ok()),
        }
    }
}

fn codec<T: Wire>() -> &'static Codec {
    T::codec().get_or_init(|| Codec::parse(T::SCHEMA))
}

/// Frames a record, and decodes it again before anybody gets it (R23).
///
/// # Errors
/// [`FrameError::Datum`] or [`FrameError::NotFaithful`] if the record does not fit its schema.
pub fn encode<T: Wire>(record: &T) -> Result<Vec<u8>, FrameError> {
    let writer = codec::<T>().writer.as_ref().ok_or(FrameError::BadSchema(T::SCHEMA_ID))?;
    let mut bytes = Vec::with_capacity(256);
    bytes.push(0);
    bytes.extend_from_slice(&T::SCHEMA_ID.to_be_bytes());
    writer
        .write_ser(&mut bytes, record)
        .map_err(|source| FrameError::Datum { schema: T::SCHEMA_ID, source: Box::new(source) })?;
    if decode::<T>(&bytes)? == *record {
        Ok(bytes)
    } else {
        Err(FrameError::NotFaithful(T::SCHEMA_ID))
    }
}

/// The record in a frame.
///
/// # Errors
/// Any [`FrameError`] but `NotFaithful`; bytes that are too long or too short are refused.
pub fn decode<T: Wire>(bytes: &[u8]) -> Result<T, FrameError> {
    let expected = T::SCHEMA_ID;
    let Some(([0, id @ ..], mut datum)) = bytes.split_first_chunk::<5>() else {
        return Err(FrameError::NotFramed);
    };
    let found = u32::from_be_bytes(*id);
    if found != expected {
        return Err(FrameError::Schema { found, expected });
    }
    let reader = codec::<T>().reader.as_ref().ok_or(FrameError::BadSchema(expected))?;
    let record = reader
        .read_deser::<T>(&mut datum)
        .map_err(|source| FrameError::Datum { schema: expected, source: Box::new(source) })?;
    if datum.is_empty() { Ok(record) } else { Err(FrameError::Trailing(datum.len())) }
}

#[cfg(test)]
mod tests;
