//! The demo as a user runs it.

use crate::house::EXE;
use serde_json::Value;
use std::process::{Command, Output};

fn demo(arguments: &[&str]) -> Output {
    let common = ["demo", "--json", "--rounds", "2", "--bets", "400", "--partners", "5"];
    Command::new(EXE).args(common).args(arguments).output().unwrap()
}

#[track_caller]
fn report(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn with_faults_not_a_cent_is_amiss() {
    let output = demo(&["--faults", "--seed", "1"]);
    let report = report(&output);
    assert_eq!(output.status.code(), Some(0), "{report:#}");
    assert_eq!(report["ok"], true);
    assert_eq!(report["audit"]["clean"], true);
    assert_eq!(report["audit"]["owed"], 0);
    assert_eq!(report["figures"]["decided"], 800);
    let accepted = report["figures"]["accepted"].as_u64().unwrap();
    assert!(700 < accepted, "{accepted} of 800 were accepted");
}

/// Plays a demo with a broken guard: the audit must name an invariant that is violated.
#[track_caller]
fn noticed(bug: &str, invariant: &str) {
    let directory = tempfile::tempdir().unwrap();
    let data_dir = directory.path().to_str().unwrap();
    let output = demo(&["--faults", "--seed", "1", "--data-dir", data_dir, "--planted", bug]);
    let report = report(&output);
    assert_eq!(output.status.code(), Some(1), "{report:#}");
    assert_eq!(report["ok"], false);
    let invariants = report["audit"]["invariants"].as_array().unwrap();
    let finding = invariants.iter().find(|finding| finding["name"] == invariant).unwrap();
    assert!(0 < finding["violations"].as_u64().unwrap(), "{bug}: {report:#}");
}

#[test]
fn payouts_that_are_rounded_up_are_noticed() {
    noticed("payout-ceiled", "settlements-defined");
}

#[test]
fn stakes_that_do_not_go_back_are_noticed() {
    noticed("decline-not-voided", "settlements-defined");
}
