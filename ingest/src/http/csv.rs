//! CSV (RFC 4180) out of the same bodies as JSON: a column is a place in the body.

use serde::Serialize;
use serde_json::Value;

/// The media type.
pub(super) const TEXT_CSV: &str = "text/csv";
/// What a spreadsheet takes for the beginning of a formula.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// A column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    name: &'static str,
    /// Where the body has it (RFC 6901).
    pointer: &'static str,
    /// Whether it is a number, whose sign begins no formula.
    number: bool,
}

impl Column {
    /// A column of text.
    pub(super) const fn text(name: &'static str, pointer: &'static str) -> Self {
        Self { name, pointer, number: false }
    }

    /// A column of numbers.
    pub(super) const fn number(name: &'static str, pointer: &'static str) -> Self {
        Self { name, pointer, number: true }
    }

    fn cell(&self, body: &Value) -> String {
        let text = match body.pointer(self.pointer) {
            None | Some(Value::Null) => return String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        if !self.number && text.starts_with(FORMULA) { format!("'{text}") } else { text }
    }
}

/// The names of the columns.
pub(super) fn head(columns: &[Column]) -> Vec<u8> {
    line(columns.iter().map(|column| column.name.to_owned()))
}

/// A line for each body.
pub(super) fn lines<T: Serialize>(columns: &[Column], bodies: &[T]) -> Vec<u8> {
    let mut lines = Vec::new();
    for body in bodies {
        // Our own bodies are always JSON.
        let Ok(body) = serde_json::to_value(body) else { continue };
        lines.extend(line(columns.iter().map(|column| column.cell(&body))));
    }
    lines
}

fn line(cells: impl Iterator<Item = String>) -> Vec<u8> {
    let cells: Vec<String> = cells.map(quoted).collect();
    format!("{}\r\n", cells.join(",")).into_bytes()
}

fn quoted(cell: String) -> String {
    if cell.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const COLUMNS: &[Column] =
        &[Column::text("name", "/name"), Column::number("units", "/money/units")];

    fn written(name: &str, units: &str) -> String {
        let body = json!({ "name": name, "money": { "units": units } });
        String::from_utf8(lines(COLUMNS, &[body])).unwrap()
    }

    #[test]
    fn cells_are_quoted_where_they_must_be() {
        assert_eq!(head(COLUMNS), b"name,units\r\n");
        for (name, cell) in [
            ("plain", "plain"),
            ("a,b", "\"a,b\""),
            ("say \"no\"", "\"say \"\"no\"\"\""),
            ("two\r\nlines", "\"two\r\nlines\""),
        ] {
            assert_eq!(written(name, "1"), format!("{cell},1\r\n"));
        }
        assert_eq!(lines(COLUMNS, &[json!({ "name": null })]), b",\r\n");
        assert_eq!(lines(COLUMNS, &[json!({ "name": [1] })]), b"[1],\r\n");
    }

    #[test]
    fn no_text_is_a_formula() {
        for first in FORMULA {
            let cell = written(&format!("{first}SUM(A1:A9)"), "1");
            assert!(cell.trim_start_matches('"').starts_with('\''), "{cell}");
        }
        assert_eq!(written("-1", "-1250"), "'-1,-1250\r\n", "a number keeps its sign");
    }
}
