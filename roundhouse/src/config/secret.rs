//! Which keys hold secrets, and what is shown in their place.

use toml::Value;

/// Shown in place of a secret.
pub const REDACTED: &str = "***";
/// Words in the names of librdkafka's properties whose values are for nobody to read.
const SECRET_WORDS: &[&str] =
    &["password", "secret", "key", "token", "pem", "jaas", "oauthbearer", "sasl.username"];

/// Whether the value at `path` is a secret.
pub(super) fn is_secret(path: &str) -> bool {
    let is_property = |name: &str| SECRET_WORDS.iter().any(|word| name.contains(word));
    match path.strip_prefix("cluster.properties.") {
        Some(name) => is_property(name),
        None => {
            path == "simple.partner_secret"
                || path == "cases.webhook_authorization"
                // Also where somebody gives one text in place of a list or a table.
                || ["signing", "operators", "partners"].contains(&path)
                || ["operators[", "partners["].iter().any(|list| {
                    path.strip_prefix(list).is_some_and(|rest| rest.find(']') == Some(rest.len() - 1))
                })
                || path.starts_with("signing.keys")
                || path.starts_with("operators[") && path.ends_with("].key")
                || path.starts_with("partners[") && path.contains("].shared_secrets")
        }
    }
}

/// The value as it may be shown: without secrets, and without what stands before the host of a URL.
pub(super) fn shown(path: &str, value: &Value) -> Value {
    match value {
        Value::String(text) if is_secret(path) && !text.is_empty() => Value::from(REDACTED),
        Value::String(text) => Value::String(without_user(text)),
        Value::Array(list) => {
            let entries = list.iter().enumerate();
            let entry = |(index, entry)| shown(&format!("{path}[{index}]"), entry);
            Value::Array(entries.map(entry).collect())
        }
        Value::Table(table) => {
            let entries = table.iter();
            let entry = |(key, entry): (&String, &Value)| {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                (key.clone(), shown(&path, entry))
            };
            Value::Table(entries.map(entry).collect())
        }
        other @ (Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_)) => {
            other.clone()
        }
    }
}

/// `http://user:password@host` without who and with what.
fn without_user(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let host_ends = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..host_ends].rfind('@') {
        Some(at) => format!("{scheme}://{REDACTED}{}", &rest[at..]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_their_path() {
        for (path, secret) in [
            ("operators[3].key", true),
            ("simple.partner_secret", true),
            ("cluster.properties.sasl.password", true),
            ("cluster.properties.ssl.keystore.password", true),
            ("cluster.properties.sasl.oauthbearer.client.secret", true),
            ("cluster.properties.linger.ms", false),
            ("partners[0].token_key", false), // public
            ("partners[0].reply_keys[0]", false),
            ("partners[0].shared_secrets[1]", true),
            ("signing.keys[0]", true),
            ("operators", true),
            ("operators[12]", true),
            ("operators[1].roles[0]", false),
            ("partners[0]", true),
            ("partners[0].id", false),
            ("signing.keys", true),
            ("partners[0].shared_secrets", true),
            ("operators[3].name", false),
        ] {
            assert_eq!(is_secret(path), secret, "{path}");
        }
        assert_eq!(without_user("http://me:pass@w:1/a@b"), "http://***@w:1/a@b");
        assert_eq!(without_user("http://w:1/a@b"), "http://w:1/a@b");
    }
}
