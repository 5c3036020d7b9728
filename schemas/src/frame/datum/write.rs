//! From a struct to bytes.

use super::{DatumError, Fields};
use crate::frame::FIELD_BYTES_MAX;
use serde::ser::{Impossible, Serialize, SerializeSeq, SerializeStruct, Serializer};

/// Writes the datum of `record` behind what stands in `bytes`.
pub(in crate::frame) fn write(
    record: &impl Serialize,
    bytes: &mut Vec<u8>,
) -> Result<(), DatumError> {
    record.serialize(Writer { bytes })
}

struct Writer<'a> {
    bytes: &'a mut Vec<u8>,
}

impl Writer<'_> {
    /// Zigzag, then seven bits a byte, the lowest first.
    fn long(&mut self, number: i64) {
        let mut rest = (number << 1 ^ number >> 63).cast_unsigned();
        while 0x7f < rest {
            let [low, ..] = rest.to_le_bytes();
            self.bytes.push(low | 0x80);
            rest >>= 7;
        }
        let [low, ..] = rest.to_le_bytes();
        self.bytes.push(low);
    }

    fn field(&mut self, field: &[u8]) -> Result<(), DatumError> {
        if FIELD_BYTES_MAX < field.len() {
            let length = u64::try_from(field.len()).unwrap_or(u64::MAX);
            return Err(DatumError::TooLong { length, max: FIELD_BYTES_MAX });
        }
        self.long(i64::try_from(field.len()).map_err(|_| DatumError::Number)?);
        self.bytes.extend_from_slice(field);
        Ok(())
    }
}

impl<'a> Serializer for Writer<'a> {
    type Ok = ();
    type Error = DatumError;
    type SerializeSeq = Fields<Self>;
    type SerializeTuple = Impossible<(), DatumError>;
    type SerializeTupleStruct = Impossible<(), DatumError>;
    type SerializeTupleVariant = Impossible<(), DatumError>;
    type SerializeMap = Impossible<(), DatumError>;
    type SerializeStruct = Fields<Self>;
    type SerializeStructVariant = Impossible<(), DatumError>;

    fn serialize_bool(self, value: bool) -> Result<(), DatumError> {
        self.bytes.push(u8::from(value));
        Ok(())
    }

    fn serialize_i32(self, value: i32) -> Result<(), DatumError> {
        self.serialize_i64(i64::from(value))
    }

    fn serialize_i64(mut self, value: i64) -> Result<(), DatumError> {
        self.long(value);
        Ok(())
    }

    fn serialize_str(mut self, value: &str) -> Result<(), DatumError> {
        self.field(value.as_bytes())
    }

    fn serialize_bytes(mut self, value: &[u8]) -> Result<(), DatumError> {
        self.field(value)
    }

    fn serialize_none(mut self) -> Result<(), DatumError> {
        self.long(0);
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(mut self, value: &T) -> Result<(), DatumError> {
        self.long(1);
        value.serialize(self)
    }

    fn serialize_unit_variant(
        mut self,
        _name: &'static str,
        index: u32,
        _variant: &'static str,
    ) -> Result<(), DatumError> {
        self.long(i64::from(index));
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<(), DatumError> {
        value.serialize(self)
    }

    /// One block with all items, unless there are none.
    fn serialize_seq(mut self, length: Option<usize>) -> Result<Fields<Self>, DatumError> {
        match length.map(i64::try_from) {
            Some(Ok(0)) => {}
            Some(Ok(length)) => self.long(length),
            Some(Err(_)) | None => return Err(DatumError::NoSuchType),
        }
        Ok(Fields(self))
    }

    fn serialize_struct(
        self,
        _name: &'static str,
        _length: usize,
    ) -> Result<Fields<Self>, DatumError> {
        Ok(Fields(self))
    }

    fn serialize_i8(self, _value: i8) -> Result<(), DatumError> {
        Err(DatumError::NoSuchType)
    }

    fn serialize_i16(self, _value: i16) -> Result<(), DatumError> {
        Err(DatumError::NoSuchType)
    }

    fn serialize_u8(self, _value: u8) -> Result<(), DatumError> {
        Err(DatumError::NoSuchType)
    }

    fn serialize_u16(self, _value: u16) -> Result<(), DatumError> {
        Err(DatumError::NoSuchType)
    }

    fn serialize_u32(self, _value: u32) -> Result<(), DatumError> {
        Err(DatumError::NoSuchType)
    }

    fn serialize_u64(self, _value: u64) -> Result<(), DatumError> {
        Err(DatumError::NoSuchType)
    }

    fn serialize_f32(self, _value: f32) -> Result<(), DatumError> {
        Err(DatumError::NoSuchType)
    }

    fn serialize_f64(self, _value: f64) -> Result<(), DatumError> {
        Err(DatumError::NoSuchType)
    }

    fn serialize_char(self, _value: char) -> Result<(), DatumError> {
        Err(DatumError::NoSuchType)
    }

    fn serialize_unit(self) -> Result<(), DatumError> {
        Err(DatumError::NoSuchType)
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), DatumError> {
        Err(DatumError::NoSuchType)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _value: &T,
    ) -> Result<(), DatumError> {
        Err(DatumError::NoSuchType)
    }

    fn serialize_tuple(self, _length: usize) -> Result<Self::SerializeTuple, DatumError> {
        Err(DatumError::NoSuchType)
    }

    fn serialize_tuple_struct(
        self,
        _name: &'static str,
        _length: usize,
    ) -> Result<Self::SerializeTupleStruct, DatumError> {
        Err(DatumError::NoSuchType)
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _length: usize,
    ) -> Result<Self::SerializeTupleVariant, DatumError> {
        Err(DatumError::NoSuchType)
    }

    fn serialize_map(self, _length: Option<usize>) -> Result<Self::SerializeMap, DatumError> {
        Err(DatumError::NoSuchType)
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _length: usize,
    ) -> Result<Self::SerializeStructVariant, DatumError> {
        Err(DatumError::NoSuchType)
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

impl SerializeSeq for Fields<Writer<'_>> {
    type Ok = ();
    type Error = DatumError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), DatumError> {
        value.serialize(Writer { bytes: self.0.bytes })
    }

    fn end(self) -> Result<(), DatumError> {
        // A block of no items ends the array.
        self.0.serialize_i64(0)
    }
}

impl SerializeStruct for Fields<Writer<'_>> {
    type Ok = ();
    type Error = DatumError;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        _name: &'static str,
        value: &T,
    ) -> Result<(), DatumError> {
        value.serialize(Writer { bytes: self.0.bytes })
    }

    fn end(self) -> Result<(), DatumError> {
        Ok(())
    }
}
