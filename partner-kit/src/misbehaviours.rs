//! The catalogue of misbehaviours: what a partner's wallet, or what stands before it, does wrong in the field.
//!
//! One table: command line, `/faults`, counters, tests and `docs/partner/misbehaviours.md` are made of it. Pure.

mod by_name;
mod garble;
mod list;
mod script;
mod settings;
#[cfg(test)]
mod tests;

pub use by_name::ByName;
pub use garble::garble;
pub use list::Misbehaviour;
pub use script::{Script, ScriptError};
pub use settings::{MisbehaveSettings, Only};

use std::fmt;
use std::fmt::Write;
use std::str::FromStr;
use thiserror::Error;

/// What becomes of the money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Money {
    /// Every bet ends at what its newest revision says, without anybody's help.
    Right,
    /// The wallet moves nothing wrong, but items are parked: right once they are replayed.
    AfterReplay,
    /// The wallet itself moves wrong money, and says so: items are parked, and the audit finds it in its
    /// journal.
    Wrong,
}

impl Money {
    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Right => "right, by itself",
            Self::AfterReplay => "right once what was parked is replayed",
            Self::Wrong => "**wrong at the partner**, who must put it right",
        }
    }
}

/// One line of the catalogue.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Its number, from 1.
    pub number: u8,
    /// Its name on the command line, in `/faults`, scripts and headers.
    pub name: &'static str,
    /// What it does.
    pub does: &'static str,
    /// How the state calls that it befalls are counted in
    /// `roundhouse_partner_delivery_attempts_total`: each as one of these.
    pub outcomes: &'static [&'static str],
    /// The code under which items are parked.
    pub parks: Option<&'static str>,
    /// Codes of the cases that it opens.
    pub cases: &'static [&'static str],
    /// What becomes of the money.
    pub money: Money,
}

/// A name that is none of the catalogue's.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is no misbehaviour; `roundhouse misbehave --list` names them")]
pub struct UnknownName(String);

impl fmt::Display for Misbehaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.entry().name)
    }
}

impl FromStr for Misbehaviour {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        let named = Self::ALL.into_iter().find(|one| one.entry().name == name);
        named.ok_or_else(|| UnknownName(name.chars().take(40).collect()))
    }
}

/// The names with what they do, for a terminal.
pub fn listed() -> String {
    Misbehaviour::ALL.into_iter().fold(String::new(), |mut text, one| {
        let Entry { number, name, does, .. } = one.entry();
        // Writing to a String cannot fail.
        if writeln!(text, "{number:>2}  {name:<18} {does}").is_err() {
            text.clear();
        }
        text
    })
}

/// The catalogue as a table in Markdown.
pub fn table() -> String {
    let quoted = |words: &[&str]| {
        words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
    };
    let mut rows = vec![
        "| | name | what it does | `outcome` | parked, cases | money |".to_owned(),
        "|---|---|---|---|---|---|".to_owned(),
    ];
    rows.extend(Misbehaviour::ALL.into_iter().map(|one| {
        let Entry { number, name, does, outcomes, parks, cases, money } = one.entry();
        let parked = parks.map(|code| format!("parked `{code}`"));
        let cases = (!cases.is_empty()).then(|| format!("case {}", quoted(cases)));
        let shown: Vec<String> = parked.into_iter().chain(cases).collect();
        let (outcomes, shown, money) = (quoted(outcomes), shown.join("; "), money.words());
        format!("| {number} | `{name}` | {does} | {outcomes} | {shown} | {money} |")
    }));
    rows.join("\n") + "\n"
}
