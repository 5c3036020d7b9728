//! Which records somebody wants to see.

use runtime::Record;
use schemas::facts::{HEADER_BET, HEADER_PARTNER, HEADER_ROUND};
use serde_json::Value;

/// What a record must be about; `None` for anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// The partner.
    pub partner: Option<String>,
    /// The round.
    pub round: Option<String>,
    /// The bet.
    pub bet: Option<String>,
}

impl Filter {
    /// Whether the record is about all that is asked for. What it is about stands in its headers, also
    /// where the value cannot be read; and in the value where a header is missing.
    pub fn takes(&self, record: &Record, value: &Result<Value, String>) -> bool {
        let about = |wanted: &Option<String>, header: &str, field: &str| {
            let Some(wanted) = wanted else { return true };
            let in_value = value.as_ref().ok().and_then(|value| value.get(field)?.as_str());
            record.header(header).or(in_value) == Some(wanted)
        };
        about(&self.partner, HEADER_PARTNER, "partner_id")
            && about(&self.round, HEADER_ROUND, "round_id")
            && about(&self.bet, HEADER_BET, "bet_id")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn headers_say_what_a_record_is_about_and_else_the_value() {
        let of = |headers: &[(&str, &str)], value: Result<Value, String>, filter: &Filter| {
            let headers = headers.iter().copied().collect();
            let (key, bytes) = Default::default();
            filter.takes(&Record { offset: 0, appended_at: 0, key, headers, value: bytes }, &value)
        };
        let some = |text: &str| Some(text.to_owned());
        let acme = Filter { partner: some("acme"), ..Filter::default() };
        let both = Filter { round: some("r1"), ..acme.clone() };
        let unread = || Err("no".to_owned());
        assert!(of(&[], unread(), &Filter::default()));
        assert!(of(&[("partner", "acme")], unread(), &acme));
        assert!(!of(&[("partner", "acme")], unread(), &both));
        assert!(of(&[("partner", "acme"), ("round", "r1")], unread(), &both));
        assert!(of(&[], Ok(json!({"partner_id": "acme"})), &acme));
        assert!(!of(&[("partner", "other")], Ok(json!({"partner_id": "acme"})), &acme));
        let bet = Filter { bet: some("r1:x"), ..Filter::default() };
        assert!(of(&[("bet", "r1:x")], unread(), &bet) && !of(&[("bet", "r1:y")], unread(), &bet));
    }
}
