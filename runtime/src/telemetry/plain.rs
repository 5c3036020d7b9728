//! Text that others wrote, on a terminal or in a file: it ends no line and moves no cursor.

use std::borrow::Cow;

/// The text on one line: characters that control a terminal, end a line or turn the direction of writing are shown as
/// escapes.
pub fn plain(text: &str) -> Cow<'_, str> {
    if !text.contains(acts) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if acts(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    Cow::Owned(shown)
}

/// JSON on one line, with what would control a terminal in its texts as escapes of JSON.
pub fn plain_json(json: &str) -> Cow<'_, str> {
    if !json.contains(char::is_control) {
        return Cow::Borrowed(json);
    }
    let mut shown = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_control() {
            shown.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

fn acts(c: char) -> bool {
    let separates = matches!(c, '\u{2028}' | '\u{2029}');
    let turns =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || separates || turns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_is_escaped_and_everything_else_stays() {
        for (text, shown) in [
            ("", ""),
            ("a reason, Über \u{1f3b2} \\n", "a reason, Über \u{1f3b2} \\n"),
            ("a\r\nb\tc", "a\\r\\nb\\tc"),
            ("\u{1b}[2K\u{9b}31m\u{7f}", "\\u{1b}[2K\\u{9b}31m\\u{7f}"),
            ("\u{2028}\u{202e}\u{2066}", "\\u{2028}\\u{202e}\\u{2066}"),
        ] {
            assert_eq!(plain(text), shown);
        }
        assert!(matches!(plain("as it is"), Cow::Borrowed(_)));
    }

    #[test]
    fn json_says_the_same_and_controls_nothing() {
        assert_eq!(plain_json("\"a\u{9b}31m\u{7f}\\n\""), "\"a\\u009b31m\\u007f\\n\"");
        assert!(matches!(plain_json("{}"), Cow::Borrowed(_)));
    }
}
