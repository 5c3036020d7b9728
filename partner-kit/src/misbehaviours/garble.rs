//! Answers whose words are not those of the contract.

use super::Misbehaviour;
use serde_json::Value;

/// Fields that are ids.
const IDS: [&str; 4] = ["bet_id", "chunk_id", "message_id", "round_id"];
/// Fields that are amounts as text.
const AMOUNTS: [&str; 4] = ["units", "moved", "collected_net", "shortfall"];

/// Puts the words of a misbehaviour into an honest answer, and says whether it changed anything; `face` says
/// which way where there are several. Misbehaviours that are not about words change nothing.
pub fn garble(which: Misbehaviour, face: u64, answer: &mut Value) -> bool {
    if which == Misbehaviour::OddNumbers {
        odd(answer, face)
    } else if which == Misbehaviour::WrongBet {
        of_another(answer)
    } else if which == Misbehaviour::IdsFolded {
        folded(answer, face)
    } else if which == Misbehaviour::OtherVersion {
        other_words(answer)
    } else {
        false
    }
}

/// Ids in other case, or without their last character.
fn folded(answer: &mut Value, face: u64) -> bool {
    changed(answer, &|name, value| {
        let id = value.as_str().filter(|_| IDS.contains(&name))?;
        let trimmed = id.char_indices().next_back().map_or("", |(last, _)| &id[..last]);
        Some(Value::from(if face.is_multiple_of(2) { id.to_uppercase() } else { trimmed.into() }))
    })
}

/// Amounts as a number, a fraction, or with a power of ten.
fn odd(answer: &mut Value, face: u64) -> bool {
    changed(answer, &|name, value| {
        let amount = value.as_str().filter(|_| AMOUNTS.contains(&name))?;
        Some(match face % 3 {
            0 => Value::from(amount.parse::<f64>().ok()?),
            1 => Value::from(format!("{amount}.00")),
            _ => Value::from(format!("{amount}e0")),
        })
    })
}

/// The answer about another bet.
fn of_another(answer: &mut Value) -> bool {
    changed(answer, &|name, value| {
        let (round, _) = value.as_str().filter(|_| name == "bet_id")?.split_once(':')?;
        Some(Value::from(format!("{round}:another")))
    })
}

/// The words of another version of the contract.
fn other_words(answer: &mut Value) -> bool {
    changed(answer, &|name, value| {
        let word = value.as_str()?;
        ["outcome", "status", "decision"]
            .contains(&name)
            .then(|| Value::from(format!("{}_V2", word.to_uppercase())))
    })
}

/// Puts what `other` says in the place of each field, at any depth, and says whether it said anything.
fn changed(value: &mut Value, other: &impl Fn(&str, &Value) -> Option<Value>) -> bool {
    let mut any = false;
    match value {
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                if let Some(instead) = other(name, field) {
                    *field = instead;
                    any = true;
                } else {
                    any |= changed(field, other);
                }
            }
        }
        Value::Array(values) => {
            for value in values {
                any |= changed(value, other);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    any
}
