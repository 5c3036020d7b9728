//! What a server under load exposes keeps the rules of Prometheus for names, and has every name that alerts
//! look at.

use crate::admin::get;
use crate::house::{House, Street};
use runtime::{Embedded, telemetry};
use std::collections::{BTreeMap, BTreeSet};

const ROUND: &str = "metrics-round";
/// What alerts and dashboards are built on.
const WANTED: &[&str] = &[
    "roundhouse_build_info",
    "roundhouse_config_last_good_read_timestamp_seconds",
    "roundhouse_config_last_read_good",
    "roundhouse_config_rereads_total",
    "roundhouse_consumer_lag_records",
    "roundhouse_consumer_position_timestamp_seconds",
    "roundhouse_http_client_request_duration_seconds",
    "roundhouse_http_server_request_duration_seconds",
    "roundhouse_messaging_client_consumed_messages_total",
    "roundhouse_messaging_client_operation_duration_seconds",
    "roundhouse_messaging_client_sent_messages_total",
    "roundhouse_messaging_process_duration_seconds",
    "roundhouse_partner_authorize_attempts_total",
    "roundhouse_partner_authorize_calls_at_once_max",
    "roundhouse_partner_authorize_duration_seconds",
    "roundhouse_partner_delivery_attempts_total",
    "roundhouse_partner_delivery_duration_seconds",
    "roundhouse_ready",
    "roundhouse_settlement_bets_settled_total",
    "roundhouse_settlement_corrections_total",
    "roundhouse_settlement_final_voids_total",
    "roundhouse_settlement_result_to_partner_ack_seconds",
    "process_cpu_seconds_total",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "tokio_alive_tasks",
];
/// What a server shows only once there is trouble, or something is owed: its own tests see to these.
const IN_TROUBLE: &[&str] = &[
    "roundhouse_alarms_total",
    "roundhouse_engine_failures_total",
    "roundhouse_partner_fix_then_retry",
    "roundhouse_partner_oldest_undelivered_age_seconds",
    "roundhouse_partner_oldest_void_timestamp_seconds",
    "roundhouse_partner_owed_records",
    "roundhouse_partner_parked_records",
    "roundhouse_partner_retry_backlog",
    "roundhouse_reconciler_conservation_minor_units",
    "roundhouse_reconciler_frozen_bets",
    "roundhouse_reconciler_in_flight_minor_units",
    "roundhouse_reconciler_oldest_unclosed_timestamp_seconds",
    "roundhouse_reconciler_oldest_unconfirmed_timestamp_seconds",
    "roundhouse_reconciler_open_cases",
    "roundhouse_reconciler_owed_settlements",
    "roundhouse_reconciler_parked_settlements",
    "roundhouse_reconciler_unclosed_rounds",
];
/// Words that name a unit, but not the base unit; or a kind of metric.
const NO_WORDS: &[&str] = &[
    "ms",
    "us",
    "ns",
    "s",
    "sec",
    "millis",
    "milliseconds",
    "microseconds",
    "nanoseconds",
    "minutes",
    "hours",
    "days",
    "kb",
    "mb",
    "gb",
    "kilobytes",
    "megabytes",
    "gigabytes",
    "percent",
    "counter",
    "gauge",
    "histogram",
    "summary",
];
/// What may have millions of values.
const NO_LABELS: &[&str] = &["round", "round_id", "bet", "bet_id", "player", "player_id", "path"];

/// Families by name, with their type.
type Families = BTreeMap<String, String>;

fn plain(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

fn check_family(name: &str, kind: &str, help: &str) {
    assert!(plain(name), "{name} is no name");
    assert!(3 < help.len(), "{name} has no help: {help}");
    let ours = ["roundhouse_", "process_", "tokio_"].iter().any(|prefix| name.starts_with(prefix));
    assert!(ours, "{name} has no prefix");
    assert_eq!(kind == "counter", name.ends_with("_total"), "{name} is a {kind}");
    for suffix in ["_count", "_sum", "_bucket"] {
        assert!(!name.ends_with(suffix), "{name} ends like a part of a histogram");
    }
    let wrong = name.split('_').find(|word| NO_WORDS.contains(word));
    assert_eq!(wrong, None, "{name}");
    if kind == "histogram" {
        assert!(name.ends_with("_seconds") || name.ends_with("_bytes"), "{name} has no base unit");
    }
}

/// Checks the older format of Prometheus line by line.
fn check(text: &str) -> Families {
    let (mut families, mut series) = (Families::new(), BTreeSet::new());
    let (mut help, mut family) = (None, String::new());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ');
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            let (helped, words) = help.take().unwrap();
            assert_eq!(helped, name, "help and type belong together");
            check_family(name, kind, words);
            name.clone_into(&mut family);
            let before = families.insert(name.to_owned(), kind.to_owned());
            assert_eq!(before, None, "{name} is there twice");
        } else {
            let (id, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = id.split_once('{').unwrap_or((id, ""));
            let part = name.strip_prefix(family.as_str()).unwrap_or("of another family");
            let parts = if families[&family] == "histogram" {
                &["_bucket", "_sum", "_count"][..]
            } else {
                &[""]
            };
            assert!(parts.contains(&part), "{line} is in {family}");
            assert!(value.parse::<f64>().is_ok(), "{line} has no number");
            assert!(series.insert(id.to_owned()), "{id} is there twice");
            for label in labels.split(['{', ',']).filter_map(|label| label.split_once("=\"")) {
                assert!(plain(label.0) && !NO_LABELS.contains(&label.0), "{line}");
            }
        }
    }
    families
}

/// Every name of ours in the expressions of `rules.yml`.
fn names_of_rules() -> BTreeSet<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/prometheus/rules.yml");
    let rules = std::fs::read_to_string(path).unwrap();
    let words = rules.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let ours = words.filter(|word| word.starts_with("roundhouse_") || word.starts_with("process_"));
    let of_histogram = |name: &str| {
        let parts = ["_bucket", "_sum", "_count"].iter();
        let whole = parts.filter_map(|part| name.strip_suffix(part)).next();
        whole.filter(|whole| whole.ends_with("_seconds")).unwrap_or(name).to_owned()
    };
    ours.map(of_histogram).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_keep_the_rules_and_are_those_of_the_alerts() {
    // A series comes into being with its first alarm, and here there is none.
    assert_eq!(telemetry::alarms("test_of_names"), 0);
    let street = Street::on::<Embedded>(2, 121, &["--decline-rate", "100"]).await;
    let house = House::<Embedded>::open(&street.config).await;
    let wagers = street.wagers(ROUND, 60, 1);
    house.bet(ROUND, wagers).await;
    house.api.result(ROUND, "3").await.unwrap();
    house.api.correct(ROUND, 1, "4").await.unwrap();
    house.settled().await;
    let admin = format!("http://{}", house.running.admin);
    let (status, text) = get(&admin, "/metrics", "text/plain").await;
    assert_eq!(status, 200);
    // For promtool, in the step `rules` of `scripts/test`.
    let kept = concat!(env!("CARGO_TARGET_TMPDIR"), "/metrics.txt");
    std::fs::write(kept, &text).unwrap();
    let families = check(&text);
    for name in WANTED.iter().map(|name| (*name).to_owned()).chain(names_of_rules()) {
        let shown = families.contains_key(&name) || IN_TROUBLE.contains(&name.as_str());
        assert!(shown, "{name} is not exposed");
    }
    assert!(!text.contains(ROUND), "rounds must not become labels");
    for line in [
        r#"roundhouse_config_rereads_total{result="refused"} 0"#,
        r#"roundhouse_settlement_bets_settled_total{result="won"} "#,
        r#"roundhouse_settlement_bets_settled_total{result="lost"} "#,
        r#"roundhouse_settlement_corrections_total{reason="result_corrected"} "#,
        r#"roundhouse_settlement_final_voids_total{reason="bet_rejected"} "#,
        r#"roundhouse_http_client_request_duration_seconds_count{route="/wallet/v1/bets/authorize",outcome="answered"} "#,
        r#"roundhouse_http_client_request_duration_seconds_count{route="/wallet/v1/bets/state",outcome="answered"} "#,
        r#"roundhouse_partner_authorize_attempts_total{partner="p01",outcome="answered"} "#,
        r#"roundhouse_messaging_client_sent_messages_total{machine="settler",topic="decisions.v1",kind="accepted"} "#,
        r#"roundhouse_messaging_process_duration_seconds_count{machine="settler",topic="bets.v1"} "#,
        r#"roundhouse_messaging_client_sent_messages_total{machine="bets",topic="bets.v1",kind="intent"} "#,
        r#"roundhouse_consumer_lag_records{machine="dispatcher",topic="settlements.v1",partition=""#,
        r#"roundhouse_consumer_position_timestamp_seconds{machine="settler",topic="bets.v1",partition="0"} "#,
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
    let (_, text) = get(&admin, "/metrics", "application/openmetrics-text").await;
    assert!(
        text.ends_with("# EOF\n") && text.contains("# TYPE roundhouse_alarms counter"),
        "{text}"
    );
    house.close().await;
}
