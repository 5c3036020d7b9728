//! The layers of a configuration, one over the other, and which of them each value came from.

use super::finding::Finding;
use super::{DEFAULTS, PREFIX};
use anyhow::Context;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use toml::{Table, Value};

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// `config.default.toml`.
    Default,
    /// The file.
    File,
    /// A variable of the environment.
    Variable(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File => f.write_str("file"),
            Self::Variable(name) => f.write_str(name),
        }
    }
}

/// Defaults, a file and the environment, merged.
pub(super) struct Layers {
    /// The values.
    pub(super) merged: Table,
    /// Of those that are no default, by path.
    pub(super) origins: BTreeMap<String, Origin>,
    /// Variables that name no key.
    pub(super) findings: Vec<Finding>,
}

impl Layers {
    /// # Errors
    /// If the file cannot be read, or is no TOML.
    pub(super) fn read(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> anyhow::Result<Self> {
        let merged: Table = DEFAULTS.parse().context("the embedded defaults do not parse")?;
        let mut layers = Self { merged, origins: BTreeMap::new(), findings: Vec::new() };
        if let Some(path) = file {
            let name = path.display();
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("the configuration {name} cannot be read"))?;
            let table = parse(&text).map_err(|wrong| {
                anyhow::anyhow!("the configuration {name} is not TOML: {wrong}")
            })?;
            merge(&mut layers.merged, table, "", &mut layers.origins);
        }
        for (name, value) in environment {
            if let Some(path) = name.strip_prefix(PREFIX) {
                let keys: Vec<String> = path.split("__").map(str::to_lowercase).collect();
                match set(&mut layers.merged, &keys, &value) {
                    Ok(()) => {
                        let path = keys.join(".");
                        layers.origins.retain(|known, _| !Finding::new(known, "").is_within(&path));
                        layers.origins.insert(path, Origin::Variable(name));
                    }
                    Err(finding) => layers.findings.push(Finding { path: name, ..finding }),
                }
            }
        }
        Ok(layers)
    }

    /// Where the value at `path`, or the list or table it is in, came from.
    pub(super) fn origin(&self, path: &str) -> &Origin {
        let of = Finding::new(path, "");
        let found = self.origins.iter().rev().find(|(known, _)| of.is_within(known));
        found.map_or(&Origin::Default, |(_, origin)| origin)
    }
}

/// What is wrong is said without the line that it is on, which may hold a secret.
fn parse(text: &str) -> Result<Table, String> {
    text.parse().map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        format!("line {line}: {}", error.message())
    })
}

/// Tables are merged key by key; anything else replaces what was there.
fn merge(into: &mut Table, from: Table, at: &str, origins: &mut BTreeMap<String, Origin>) {
    for (key, value) in from {
        let path = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
        match (into.get_mut(&key), value) {
            (Some(Value::Table(inner)), Value::Table(value)) => {
                merge(inner, value, &path, origins);
            }
            (_, value) => {
                into.insert(key, value);
                origins.insert(path, Origin::File);
            }
        }
    }
}

fn set(table: &mut Table, keys: &[String], text: &str) -> Result<(), Finding> {
    let Some((key, rest)) = keys.split_first() else {
        return Err(Finding::new("", "it names no key"));
    };
    let Some(found) = table.get_mut(key) else {
        return Err(Finding::unknown("", key, table.keys()));
    };
    if rest.is_empty() {
        *found = from_text(text, found);
        return Ok(());
    }
    match found.as_table_mut() {
        Some(inner) => set(inner, rest, text),
        None => Err(Finding::new("", format!("`{key}` has no keys below it"))),
    }
}

/// A value of the environment: TOML where it parses, plain text where not; text, too, where text stands, since
/// a name or a secret may look like a number.
fn from_text(text: &str, before: &Value) -> Value {
    let line = format!("value = {text}");
    let parsed = line.parse::<Table>().ok().and_then(|mut table| table.remove("value"));
    let fits =
        |value: &Value| !before.is_str() || value.is_str() || value.is_table() || value.is_array();
    parsed.filter(fits).unwrap_or_else(|| Value::String(text.to_owned()))
}
