//! From tables to typed values, with everything that does not fit told at once: what is wrong is noted, a
//! value that fits is put in its place, and the whole is read again.

use super::finding::Finding;
use super::secret::is_secret;
use super::{Config, CurrencyLimits, DEFAULTS, Operator, Partner};
use serde_path_to_error::{Path, Segment};
use std::num::NonZeroU32;
use toml::{Table, Value};

/// Findings after which no more are looked for.
const FINDINGS_MAX: usize = 200;
/// What the codec says for what people write.
const WORDS: &[(&str, &str)] = &[
    ("expected usize", "expected a whole number from 0"),
    ("expected u8", "expected a whole number from 0 to 255"),
    ("expected u16", "expected a whole number from 0 to 65535"),
    ("expected u32", "expected a whole number from 0"),
    ("expected a nonzero u32", "expected a whole number from 1"),
    ("expected u64", "expected a whole number from 0"),
    ("expected i64", "expected a whole number"),
    ("expected a sequence", "expected a list"),
    ("expected a map", "expected a table"),
    ("expected struct ", "expected a table of "),
    (
        "data did not match any variant of untagged enum Given",
        "expected a list of texts, or one text with commas",
    ),
];

/// A step into a table or a list.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

/// The configuration, where nothing wrong that fits is left standing in for what does not; and what is wrong.
pub(super) fn read(mut merged: Table) -> (Option<Config>, Vec<Finding>) {
    let template = template();
    let mut findings = Vec::new();
    while findings.len() < FINDINGS_MAX {
        let read = serde_path_to_error::deserialize(Value::Table(merged.clone()));
        let error: serde_path_to_error::Error<toml::de::Error> = match read {
            Ok(config) => return (Some(config), findings),
            Err(error) => error,
        };
        let (finding, mended) =
            mend(&mut merged, &template, steps(error.path()), error.inner().message());
        if findings.contains(&finding) || !mended {
            findings.push(finding);
            break;
        }
        findings.push(finding);
    }
    findings.dedup();
    (None, findings)
}

/// Says what is wrong at `steps`, and changes it into something that fits; false if that cannot be done.
fn mend(
    merged: &mut Table,
    template: &Value,
    mut steps: Vec<Step>,
    message: &str,
) -> (Finding, bool) {
    if let Some(key) = quoted(message, "unknown field `") {
        if steps.last() == Some(&Step::Key(key.to_owned())) {
            steps.pop();
        }
        let known = at_template(template, &steps).and_then(Value::as_table);
        let known = known.into_iter().flat_map(Table::keys);
        let finding = Finding::unknown(path_of(&steps, Some(key)), key, known);
        let removed = table_at(merged, &steps);
        return (finding, removed.is_some_and(|table| table.remove(key).is_some()));
    }
    if let Some(key) = quoted(message, "missing field `") {
        let finding = Finding::new(path_of(&steps, Some(key)), "is missing");
        let stand_in = at_template(template, &steps).and_then(|value| value.get(key));
        let table = table_at(merged, &steps);
        let mended = match (table, stand_in) {
            (Some(table), Some(value)) => table.insert(key.to_owned(), value.clone()).is_none(),
            (_, _) => false,
        };
        return (finding, mended);
    }
    let path = path_of(&steps, None);
    let text = if is_secret(&path) {
        "must be text, or a list of texts".to_owned()
    } else {
        in_words(message)
    };
    let stand_in = at_template(template, &steps).cloned();
    let mended = match (at(merged, &steps), stand_in) {
        (Some(value), Some(stand_in)) => {
            *value = stand_in;
            true
        }
        (Some(_), None) => remove(merged, &steps),
        (None, _) => false,
    };
    (Finding::new(path, text), mended)
}

fn in_words(message: &str) -> String {
    let words = WORDS.iter().find(|(theirs, _)| message.contains(theirs));
    words.map_or_else(|| message.to_owned(), |(theirs, ours)| message.replace(theirs, ours))
}

fn quoted<'a>(message: &'a str, before: &str) -> Option<&'a str> {
    message.strip_prefix(before)?.split('`').next()
}

/// Every key, with a value that fits: the defaults, and one entry in each list.
fn template() -> Value {
    let mut template: Table = DEFAULTS.parse().unwrap_or_default();
    let currency = CurrencyLimits {
        currency: "EUR".to_owned(),
        exponent: 2,
        stake_min_units: 1,
        stake_max_units: 1,
        payout_max_units: 1,
        liability_max_units: 1,
    };
    let text = String::new;
    let (id, wallet_url, token_key) = (text(), text(), text());
    let (reply_keys, shared_secrets) = (vec![text()], vec![text()]);
    let currencies = vec![currency];
    let (calls_per_s, stakes_per_s) = (Some(NonZeroU32::MIN), Some(NonZeroU32::MIN));
    let (items_max, bytes_max, gzip) = (calls_per_s, calls_per_s, false);
    let partner = Partner {
        id,
        wallet_url,
        token_key,
        reply_keys,
        shared_secrets,
        calls_per_s,
        stakes_per_s,
        items_max,
        bytes_max,
        gzip,
        currencies,
    };
    let operator = Operator { name: text(), key: text(), roles: Some(Vec::new()) };
    for (key, entry) in
        [("partners", Value::try_from(partner)), ("operators", Value::try_from(operator))]
    {
        template.insert(key.to_owned(), Value::Array(entry.into_iter().collect()));
    }
    Value::Table(template)
}

fn steps(path: &Path) -> Vec<Step> {
    let step = |segment: &Segment| match segment {
        Segment::Map { key } => Some(Step::Key(key.clone())),
        Segment::Seq { index } => Some(Step::Index(*index)),
        Segment::Enum { .. } | Segment::Unknown => None,
    };
    path.iter().filter_map(step).collect()
}

/// As it is written: `partners[2].id`; keys with other characters in quotes.
fn path_of(steps: &[Step], last: Option<&str>) -> String {
    let mut path = String::new();
    let last = last.map(|key| Step::Key(key.to_owned()));
    for step in steps.iter().chain(last.as_ref()) {
        match step {
            Step::Index(index) => path.push_str(&format!("[{index}]")),
            Step::Key(key) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(key);
            }
        }
    }
    path
}

fn at<'a>(merged: &'a mut Table, steps: &[Step]) -> Option<&'a mut Value> {
    let (first, rest) = steps.split_first()?;
    let Step::Key(key) = first else { return None };
    rest.iter().try_fold(merged.get_mut(key)?, |value, step| match step {
        Step::Key(key) => value.get_mut(key),
        Step::Index(index) => value.get_mut(*index),
    })
}

fn table_at<'a>(merged: &'a mut Table, steps: &[Step]) -> Option<&'a mut Table> {
    if steps.is_empty() { Some(merged) } else { at(merged, steps)?.as_table_mut() }
}

fn at_template<'a>(template: &'a Value, steps: &[Step]) -> Option<&'a Value> {
    steps.iter().try_fold(template, |value, step| match step {
        Step::Key(key) => value.get(key),
        // One entry stands for all.
        Step::Index(_) => value.get(0),
    })
}

fn remove(merged: &mut Table, steps: &[Step]) -> bool {
    match steps.split_last() {
        Some((Step::Key(key), above)) => {
            let table = table_at(merged, above);
            table.is_some_and(|table| table.remove(key).is_some())
        }
        Some((Step::Index(_), _)) | None => false,
    }
}
