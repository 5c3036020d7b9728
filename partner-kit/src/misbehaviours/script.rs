//! Misbehaviours by the number of the call.

use super::{Misbehaviour, UnknownName};
use std::ops::RangeInclusive;
use std::str::FromStr;
use thiserror::Error;

/// Which calls are misbehaved about, and how. Calls are counted from 1 for each wallet, in the order in which
/// they arrive; of two lines that name a call the first counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script(Vec<(RangeInclusive<u64>, Misbehaviour)>);

/// A line that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ScriptError {
    /// Not of the form.
    #[error("line {line} is not `<call> <name>`, `<first>-<last> <name>` or `<first>- <name>`")]
    Form {
        /// Its number, from 1.
        line: usize,
    },
    /// An unknown name.
    #[error("line {line}")]
    Name {
        /// Its number, from 1.
        line: usize,
        /// Which.
        source: UnknownName,
    },
}

impl Script {
    /// What befalls the call of this number.
    pub fn at(&self, call: u64) -> Option<Misbehaviour> {
        self.0.iter().find(|(calls, _)| calls.contains(&call)).map(|(_, which)| *which)
    }
}

impl FromStr for Script {
    type Err = ScriptError;

    /// Empty lines, and what follows a `#`, say nothing.
    fn from_str(text: &str) -> Result<Self, ScriptError> {
        let mut lines = Vec::new();
        for (line, text) in (1..).zip(text.lines()) {
            let text = text.split('#').next().unwrap_or_default();
            let mut words = text.split_whitespace();
            let Some(calls) = words.next() else { continue };
            let calls = range(calls).ok_or(ScriptError::Form { line })?;
            let (Some(name), None) = (words.next(), words.next()) else {
                return Err(ScriptError::Form { line });
            };
            let which = name.parse().map_err(|source| ScriptError::Name { line, source })?;
            lines.push((calls, which));
        }
        Ok(Self(lines))
    }
}

fn range(text: &str) -> Option<RangeInclusive<u64>> {
    let (first, last) = match text.split_once('-') {
        None => (text.parse().ok()?, text.parse().ok()?),
        Some((first, "")) => (first.parse().ok()?, u64::MAX),
        Some((first, last)) => (first.parse().ok()?, last.parse().ok()?),
    };
    (1 <= first && first <= last).then_some(first..=last)
}
