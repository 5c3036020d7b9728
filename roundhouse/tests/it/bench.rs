//! Benches that need no journals, as small as they can be: what they measure is measured elsewhere, that they run
//! and check what they count is shown here.

use crate::house::EXE;
use roundhouse::serve::Opened;
use serde_json::Value;
use std::process::Command;

on_every_engine!(benches_run_small);

/// One settler comes and one goes.
const HAND_OVER: &str = "hand-over --settlers 2 --partners 2 --bets 20 --every-ms 500 --betting-ms 300 --warm-up-s 1 \
     --steady-s 2 --step-s 2";

/// The flags that say where the engine is.
async fn engine<E: Opened>() -> Vec<String> {
    if !E::SHARED {
        return Vec::new();
    }
    let servers = tokio::task::spawn_blocking(stack::servers).await.unwrap();
    let kinds = ["--engine", "cluster", "--profile", "single", "--given-addresses-only"];
    let places = ["--brokers", &servers.kafka, "--store-nodes", &servers.store];
    kinds.into_iter().chain(places).map(str::to_owned).collect()
}

async fn benches_run_small<E: Opened>() {
    let engine = engine::<E>().await;
    let ended = |line: &str, codes: &[i32]| -> Value {
        let mut command = Command::new(EXE);
        command.arg("bench").args(line.split_whitespace()).arg("--json").args(&engine);
        let output = command.output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(codes.contains(&output.status.code().unwrap()), "{line}: {errors}");
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let report = |line: &str| ended(line, &[0]);

    let growth = report("growth --bets-max 1000 --runs 1");
    assert_eq!(growth["points"].as_array().unwrap().len(), 3, "{growth}");
    assert_eq!(growth["settlements"], 1_000, "{growth}");

    let settle = report("settle --bets 1");
    assert_eq!(settle["bets"], 10_000, "a round is settled whole: {settle}");
    assert_eq!(settle["floor_met"].is_boolean(), E::SHARED, "{settle}");

    let topic = report("result-to-topic --bets 50 --rounds 1");
    assert_eq!(topic["rounds"], 1, "{topic}");

    let confirmed = report("result-to-confirmed --bets 50 --partners 2 --rounds 1");
    assert_eq!((&confirmed["settlements"], &confirmed["rounds"]), (&50.into(), &1.into()));

    let posted = report("post-bet --connections 4 --seconds 1 --pairs 1");
    for program in ["roundhouse", "plain_post"] {
        assert!(0 < posted["pairs"][0][program]["bets"].as_u64().unwrap(), "{posted}");
    }

    let corrected = report("correct-old --bets 50 --rounds 2");
    let sent = corrected["settlements"].as_u64().unwrap();
    assert!(0 < sent && sent < 50, "the differences alone are sent: {corrected}");

    // On a busy machine what failed may come again later than it must: that alone is not judged here.
    let returned = ended("returning --partners 6 --bets 60 --rounds 2 --away-s 2", &[0, 1]);
    let number = |name: &str| returned[name].as_u64().unwrap();
    assert_eq!((number("owed"), &returned["audit"]["clean"]), (60, &true.into()), "{returned}");
    assert!(0 < returned["first_repeat"]["items"].as_u64().unwrap(), "{returned}");
    assert!(0 < number("asked_to_wait") && number("did_not_wait") == 0, "{returned}");
    assert!(number("calls_at_once") <= number("calls_at_once_max"), "{returned}");
    assert!(number("drained_ms") <= number("drained_ms_max"), "{returned}");

    if E::SHARED {
        // How long it took is not judged here either: these phases are too short for a p99.
        let moved = ended(HAND_OVER, &[0, 1]);
        assert_eq!(
            (&moved["audit"]["clean"], &moved["untold"]),
            (&true.into(), &0.into()),
            "{moved}"
        );
        assert_eq!(moved["steps"].as_array().unwrap().len(), 3, "{moved}");
        let phases = moved["phases"].as_array().unwrap();
        let in_phase = |phase: &Value| phase["settlements"].as_u64().unwrap();
        assert!(phases.iter().all(|phase| 0 < in_phase(phase)), "{moved}");
    }
}
