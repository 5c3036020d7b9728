//! The headers of a record in a log.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use std::fmt;

/// Names and text values in one piece of memory: most records are read by somebody who never looks at
/// them, and a copy costs nothing.
///
/// Names are unique, in the order they were given.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct RecordHeaders {
    /// For each header: length of the name (4, big endian), name, length of the value (4), value.
    packed: Bytes,
}

impl RecordHeaders {
    /// Packs names and values at the end of `buffer`, which is empty afterwards; text that is not UTF-8 is
    /// replaced. `None` if one is 4 GiB or longer.
    pub(crate) fn pack<'a>(
        headers: impl Iterator<Item = (&'a [u8], &'a [u8])>,
        buffer: &mut BytesMut,
    ) -> Option<Self> {
        for (name, value) in headers {
            for text in [name, value] {
                match str::from_utf8(text) {
                    Ok(text) => put(buffer, text)?,
                    Err(_) => put(buffer, &String::from_utf8_lossy(text))?,
                }
            }
        }
        Some(Self { packed: buffer.split().freeze() })
    }

    /// Takes `count` packed headers off the front of `bytes`. `None` if there are fewer, or one is no
    /// text.
    pub(crate) fn unpack(count: u32, bytes: &mut Bytes) -> Option<Self> {
        let mut rest = &bytes[..];
        for _ in 0..count {
            for _ in 0..2 {
                str::from_utf8(take(&mut rest)?).ok()?;
            }
        }
        let length = bytes.len() - rest.len();
        Some(Self { packed: bytes.split_to(length) })
    }

    /// As [`RecordHeaders::unpack`] takes them.
    pub(crate) fn packed(&self) -> &[u8] {
        &self.packed
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut rest = &self.packed[..];
        std::iter::from_fn(move || {
            let (name, value) = (take(&mut rest)?, take(&mut rest)?);
            Some((str::from_utf8(name).ok()?, str::from_utf8(value).ok()?))
        })
    }

    /// The value of the header `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(found, _)| *found == name).map(|(_, value)| value)
    }
}

fn put(buffer: &mut BytesMut, text: &str) -> Option<()> {
    buffer.put_u32(u32::try_from(text.len()).ok()?);
    buffer.put_slice(text.as_bytes());
    Some(())
}

/// One text off the front.
fn take<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(bytes.try_get_u32().ok()?).ok()?;
    let (text, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(text)
}

impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for RecordHeaders {
    /// Of texts shorter than 4 GiB each; longer ones do not fit into any record.
    fn from_iter<T: IntoIterator<Item = (N, V)>>(headers: T) -> Self {
        let headers: Vec<(N, V)> = headers.into_iter().collect();
        let texts = headers.iter().map(|(name, value)| (name.as_ref(), value.as_ref()));
        let texts = texts.map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        Self::pack(texts, &mut BytesMut::new()).unwrap_or_default()
    }
}

impl fmt::Debug for RecordHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_back() {
        let headers: RecordHeaders =
            [("bet", "r_1:x"), ("empty", ""), ("kind", "intent")].into_iter().collect();
        let all: Vec<_> = headers.iter().collect();
        assert_eq!(all, [("bet", "r_1:x"), ("empty", ""), ("kind", "intent")]);
        assert_eq!(headers.get("kind"), Some("intent"));
        assert_eq!(headers.get("round"), None);
        assert_eq!(RecordHeaders::default().iter().count(), 0);
    }

    #[test]
    fn what_is_no_text_is_replaced() {
        let headers = [(&b"a"[..], &b"\xff!"[..])].into_iter();
        let headers = RecordHeaders::pack(headers, &mut BytesMut::new()).unwrap();
        assert_eq!(headers.get("a"), Some("\u{fffd}!"));
    }

    #[test]
    fn bytes_that_are_no_headers_are_refused() {
        let headers: RecordHeaders = [("name", "value")].into_iter().collect();
        let mut bytes = BytesMut::from(headers.packed());
        bytes.extend_from_slice(b"rest");
        let whole = bytes.freeze();
        let mut read = whole.clone();
        assert_eq!(RecordHeaders::unpack(1, &mut read), Some(headers));
        assert_eq!(&read[..], b"rest");
        for length in 0..17 {
            assert_eq!(RecordHeaders::unpack(1, &mut whole.slice(..length)), None, "{length}");
        }
        let no_text = Bytes::from_static(b"\0\0\0\x01\xff\0\0\0\0");
        assert_eq!(RecordHeaders::unpack(1, &mut no_text.clone()), None);
    }
}
