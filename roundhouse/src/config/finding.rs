//! What is wrong with a configuration, and where.

use std::fmt;
use strsim::damerau_levenshtein;

/// Changes of one letter after which another word is meant.
const CHANGES_MAX: usize = 3;

/// One thing that is wrong. Never says the value of a key that may be a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The key, such as `partners[2].currencies[0].exponent`; or the file or variable that is wrong as a
    /// whole.
    pub path: String,
    /// What is wrong with it, and what to do.
    pub text: String,
}

impl Finding {
    pub(super) fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: text.into() }
    }

    /// A key that nobody reads; `known` are those that stand beside it.
    pub(super) fn unknown<'a>(
        path: impl Into<String>,
        key: &str,
        known: impl Iterator<Item = &'a String>,
    ) -> Self {
        let known: Vec<&str> = known.map(String::as_str).collect();
        let near = known.iter().map(|other| (damerau_levenshtein(key, other), *other));
        let near = near.filter(|(changes, other)| {
            *changes <= CHANGES_MAX.min(other.len() / 2) || other.starts_with(key)
        });
        let text = match near.min() {
            Some((_, meant)) => format!("there is no `{key}`; did you mean `{meant}`?"),
            None => format!("there is no `{key}`; there are {}", known.join(", ")),
        };
        Self::new(path, text)
    }

    /// Whether the finding is about `path` or something in it.
    pub(super) fn is_within(&self, path: &str) -> bool {
        let rest = self.path.strip_prefix(path);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.text)
    }
}

/// Everything that is wrong with a configuration, in the order of the keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Findings(pub Vec<Finding>);

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(findings) = self;
        let (count, errors) =
            (findings.len(), if findings.len() == 1 { "error" } else { "errors" });
        writeln!(f, "the configuration has {count} {errors}:")?;
        for finding in findings {
            writeln!(f, "  {finding}")?;
        }
        f.write_str(
            "`roundhouse serve --print-config` shows every key with its default and meaning",
        )
    }
}

impl std::error::Error for Findings {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_meant_is_suggested() {
        let known = ["listen", "admin_listen", "connections_max"].map(ToOwned::to_owned);
        for (key, words) in [
            ("listne", "did you mean `listen`?"),
            ("adminlisten", "did you mean `admin_listen`?"),
            ("connections", "did you mean `connections_max`?"),
            ("port", "there are listen, admin_listen, connections_max"),
        ] {
            let finding = Finding::unknown("server", key, known.iter());
            assert!(finding.text.contains(words), "{finding}");
        }
    }

    #[test]
    fn a_part_of_a_name_is_not_within_it() {
        let finding = Finding::new("partners[1].id", "");
        assert!(finding.is_within("partners") && finding.is_within("partners[1]"));
        assert!(!finding.is_within("partners[1].i") && !finding.is_within("partner"));
    }
}
