//! From bytes to a struct.

use super::{DatumError, Fields};
use crate::frame::FIELD_BYTES_MAX;
use serde::de::value::U32Deserializer;
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, SeqAccess,
    VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

/// Reads a datum off the front of `bytes`. Asks for no more memory than there are bytes, times what an
/// item of an array takes.
pub(in crate::frame) fn read<'de, T: Deserialize<'de>>(
    bytes: &mut &'de [u8],
) -> Result<T, DatumError> {
    T::deserialize(Reader { bytes })
}

struct Reader<'a, 'de> {
    bytes: &'a mut &'de [u8],
}

impl<'de> Reader<'_, 'de> {
    fn byte(&mut self) -> Result<u8, DatumError> {
        let (first, rest) = self.bytes.split_first().ok_or(DatumError::Short)?;
        *self.bytes = rest;
        Ok(*first)
    }

    fn long(&mut self) -> Result<i64, DatumError> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            // The tenth byte has room for one bit.
            if shift == 63 && 1 < bits {
                return Err(DatumError::Number);
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed());
            }
        }
        Err(DatumError::Number)
    }

    fn field(&mut self) -> Result<&'de [u8], DatumError> {
        let told = self.long()?;
        let length = u64::try_from(told).map_err(|_| DatumError::Branch(told))?;
        let fits = usize::try_from(length).ok().filter(|length| *length <= FIELD_BYTES_MAX);
        let fits = fits.ok_or(DatumError::TooLong { length, max: FIELD_BYTES_MAX })?;
        let (field, rest) = self.bytes.split_at_checked(fits).ok_or(DatumError::Short)?;
        *self.bytes = rest;
        Ok(field)
    }
}

impl<'de> Deserializer<'de> for Reader<'_, 'de> {
    type Error = DatumError;

    fn deserialize_bool<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, DatumError> {
        match self.byte()? {
            0 => visitor.visit_bool(false),
            1 => visitor.visit_bool(true),
            other => Err(DatumError::Boolean(other)),
        }
    }

    fn deserialize_i32<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, DatumError> {
        visitor.visit_i32(i32::try_from(self.long()?).map_err(|_| DatumError::Number)?)
    }

    fn deserialize_i64<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, DatumError> {
        visitor.visit_i64(self.long()?)
    }

    fn deserialize_str<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, DatumError> {
        let text = str::from_utf8(self.field()?).map_err(|_| DatumError::Text)?;
        visitor.visit_borrowed_str(text)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DatumError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, DatumError> {
        visitor.visit_borrowed_bytes(self.field()?)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DatumError> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, DatumError> {
        match self.long()? {
            0 => visitor.visit_none(),
            1 => visitor.visit_some(self),
            other => Err(DatumError::Branch(other)),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DatumError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DatumError> {
        visitor.visit_seq(Items { reader: self, left: 0, ended: false })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DatumError> {
        visitor.visit_seq(Fields((self, fields.len())))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        mut self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DatumError> {
        let told = self.long()?;
        let index = u32::try_from(told).map_err(|_| DatumError::Branch(told))?;
        visitor.visit_enum(Symbol(index))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, DatumError> {
        Err(DatumError::NoSuchType)
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    forward_to_deserialize_any! {
        i8 i16 i128 u8 u16 u32 u64 u128 f32 f64 char unit unit_struct tuple tuple_struct map identifier
        ignored_any
    }
}

impl<'de> SeqAccess<'de> for Fields<(Reader<'_, 'de>, usize)> {
    type Error = DatumError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DatumError> {
        let (reader, left) = &mut self.0;
        let Some(fewer) = left.checked_sub(1) else { return Ok(None) };
        *left = fewer;
        seed.deserialize(Reader { bytes: reader.bytes }).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.0.1)
    }
}

/// The items of an array, block by block.
struct Items<'a, 'de> {
    reader: Reader<'a, 'de>,
    left: u64,
    ended: bool,
}

impl<'de> SeqAccess<'de> for Items<'_, 'de> {
    type Error = DatumError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DatumError> {
        if self.left == 0 && !self.ended {
            let count = self.reader.long()?;
            self.left = count.unsigned_abs();
            self.ended = count == 0;
            if count < 0 {
                // The length of the block in bytes, for readers that skip it.
                self.reader.long()?;
            }
        }
        let Some(fewer) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = fewer;
        seed.deserialize(Reader { bytes: self.reader.bytes }).map(Some)
    }
}

/// A word of an enum by its number.
struct Symbol(u32);

impl<'de> EnumAccess<'de> for Symbol {
    type Error = DatumError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Self), DatumError> {
        let index: U32Deserializer<DatumError> = self.0.into_deserializer();
        Ok((seed.deserialize(index)?, self))
    }
}

impl<'de> VariantAccess<'de> for Symbol {
    type Error = DatumError;

    fn unit_variant(self) -> Result<(), DatumError> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(
        self,
        _seed: T,
    ) -> Result<T::Value, DatumError> {
        Err(DatumError::NoSuchType)
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        _length: usize,
        _visitor: V,
    ) -> Result<V::Value, DatumError> {
        Err(DatumError::NoSuchType)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, DatumError> {
        Err(DatumError::NoSuchType)
    }
}
