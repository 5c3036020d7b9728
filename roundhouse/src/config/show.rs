//! The configuration in force, as it may be shown: without secrets, each value with where it came from.

use super::layers::{Layers, Origin};
use super::secret::shown;
use std::fmt::Write;
use toml::{Table, Value};

/// TOML with a comment behind each value.
pub(super) fn show(layers: &Layers) -> String {
    let mut text = String::new();
    let Value::Table(values) = shown("", &Value::Table(layers.merged.clone())) else { return text };
    let (sections, lists): (Vec<_>, Vec<_>) =
        values.iter().partition(|(_, value)| value.is_table());
    // Lists stand before the first section: behind it they would belong to it.
    for (key, value) in lists {
        entry(&mut text, key, key, value, layers);
    }
    for (name, section) in sections {
        push(&mut text, format_args!("\n[{name}]\n"));
        for (key, value) in section.as_table().into_iter().flatten() {
            entry(&mut text, key, &format!("{name}.{key}"), value, layers);
        }
    }
    text
}

fn entry(text: &mut String, key: &str, path: &str, value: &Value, layers: &Layers) {
    match value {
        Value::Table(table) if !table.is_empty() => inline(text, key, path, table, layers),
        Value::Array(list) if list.first().is_some_and(Value::is_table) => {
            push(text, format_args!("# {path} from: {}\n{key} = [\n", layers.origin(path)));
            for value in list {
                push(text, format_args!("  {value},\n"));
            }
            text.push_str("]\n");
        }
        Value::Table(_) | Value::Array(_) => line(text, key, value, layers.origin(path)),
        Value::String(_)
        | Value::Integer(_)
        | Value::Float(_)
        | Value::Boolean(_)
        | Value::Datetime(_) => line(text, key, value, layers.origin(path)),
    }
}

/// A table below a section, a line for each of its keys.
fn inline(text: &mut String, key: &str, path: &str, table: &Table, layers: &Layers) {
    for (inner, value) in table {
        let origin = layers.origin(&format!("{path}.{inner}"));
        line(text, &format!("{key}.\"{inner}\""), value, origin);
    }
}

fn line(text: &mut String, key: &str, value: &Value, origin: &Origin) {
    let setting = format!("{key} = {value}");
    push(text, format_args!("{setting:<44} # {origin}\n"));
}

fn push(text: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing into a text does not fail.
    let _written = text.write_fmt(what);
}
