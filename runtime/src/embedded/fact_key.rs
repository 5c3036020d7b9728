//! The bytes under which a fact stands. Their order is the order of [`FactKey`].
//!
//! `group topic partition | lane subject | kind at hash`: texts end in `00 00` and carry a zero byte as
//! `00 FF`, numbers are big endian, so that bytes compare as the fields do. Do not change: facts
//! already written would no longer be found.

use crate::catalogue::Catalogue;
use crate::{FactKey, Scope};

const END: [u8; 2] = [0, 0];
const ZERO: [u8; 2] = [0, 0xFF];

/// The bytes all facts of a scope begin with.
pub(super) fn of_scope(scope: &Scope) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(192);
    put_text(&mut bytes, &scope.group);
    put_text(&mut bytes, scope.topic.0);
    bytes.extend_from_slice(&scope.partition.to_be_bytes());
    bytes
}

/// The bytes all facts of a scope about one subject of one lane begin with.
pub(super) fn of_subject(scope: &Scope, lane: &str, subject: &str) -> Vec<u8> {
    let mut bytes = of_scope(scope);
    put_text(&mut bytes, lane);
    put_text(&mut bytes, subject);
    bytes
}

/// The bytes of a key.
pub(super) fn encode(key: &FactKey) -> Vec<u8> {
    let mut bytes = of_subject(&key.scope, &key.lane, &key.subject);
    put_text(&mut bytes, key.kind);
    bytes.extend_from_slice(&key.at.to_be_bytes());
    bytes.extend_from_slice(&key.hash);
    bytes
}

/// The key of `scope` that `bytes` say, or what is wrong with them.
pub(super) fn decode(scope: &Scope, bytes: &[u8], names: &Catalogue) -> Result<FactKey, String> {
    let broken = || format!("the key of a fact of {} is broken", scope.group);
    let rest = bytes.strip_prefix(&of_scope(scope)[..]).ok_or_else(broken)?;
    let (lane, rest) = take_text(rest).ok_or_else(broken)?;
    let (subject, rest) = take_text(rest).ok_or_else(broken)?;
    let (kind, rest) = take_text(rest).ok_or_else(broken)?;
    let (at, hash) = rest.split_first_chunk::<8>().ok_or_else(broken)?;
    let kind = names.kind(&kind).ok_or_else(|| format!("the kind of fact {kind:?} is unknown"))?;
    Ok(FactKey {
        scope: scope.clone(),
        lane,
        subject,
        kind,
        at: u64::from_be_bytes(*at),
        hash: hash.try_into().map_err(|_| broken())?,
    })
}

/// The least bytes above all that begin with `prefix`; `None` if there are none.
pub(super) fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != 0xFF)?;
    let mut bytes = prefix.get(..=last)?.to_vec();
    if let Some(byte) = bytes.last_mut() {
        *byte += 1;
    }
    Some(bytes)
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    for byte in text.bytes() {
        match byte {
            0 => bytes.extend_from_slice(&ZERO),
            byte => bytes.push(byte),
        }
    }
    bytes.extend_from_slice(&END);
}

fn take_text(bytes: &[u8]) -> Option<(String, &[u8])> {
    let mut text = Vec::new();
    let mut rest = bytes;
    loop {
        if let Some(rest) = rest.strip_prefix(&END) {
            return Some((String::from_utf8(text).ok()?, rest));
        }
        if let Some(after) = rest.strip_prefix(&ZERO) {
            text.push(0);
            rest = after;
        } else {
            let (byte, after) = rest.split_first()?;
            text.push(*byte);
            rest = after;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Topic;
    use proptest::prelude::*;

    const TOPICS: [Topic; 3] = [Topic("a"), Topic("a.b"), Topic("b")];
    const KINDS: [&str; 3] = ["", "k", "k2"];

    fn any_text() -> impl Strategy<Value = String> {
        prop_oneof!["[\0-\u{2}a]{0,4}", "\\PC{0,6}"]
    }

    prop_compose! {
        fn any_key()(
            group in any_text(), topic in 0..3usize, partition in 0..300u32,
            lane in any_text(), subject in any_text(), kind in 0..3usize,
            at in any::<u64>(), hash in any::<[u8; 16]>(),
        ) -> FactKey {
            let scope = Scope { group, topic: TOPICS[topic], partition };
            FactKey { scope, lane, subject, kind: KINDS[kind], at, hash }
        }
    }

    proptest! {
        #[test]
        fn bytes_are_ordered_as_keys(one in any_key(), other in any_key()) {
            prop_assert_eq!(encode(&one).cmp(&encode(&other)), one.cmp(&other));
        }

        #[test]
        fn keys_come_back(key in any_key()) {
            let names = Catalogue::new(TOPICS.map(|topic| (topic, 1)), KINDS);
            prop_assert_eq!(decode(&key.scope, &encode(&key), &names), Ok(key));
        }

        #[test]
        fn a_scope_is_one_range(key in any_key(), other in any_key()) {
            let prefix = of_scope(&key.scope);
            let inside = prefix <= encode(&other)
                && successor(&prefix).is_none_or(|end| encode(&other) < end);
            prop_assert_eq!(inside, key.scope == other.scope);
        }
    }

    #[test]
    fn an_unknown_kind_is_an_error() {
        let scope = Scope { group: "g".to_owned(), topic: TOPICS[0], partition: 0 };
        let (lane, subject) = (String::new(), String::new());
        let key = FactKey { scope, lane, subject, kind: "new", at: 1, hash: [0; 16] };
        let refused = decode(&key.scope, &encode(&key), &Catalogue::new([(TOPICS[0], 1)], ["k"]));
        assert_eq!(refused, Err("the kind of fact \"new\" is unknown".to_owned()));
    }
}
