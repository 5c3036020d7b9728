//! `roundhouse bench all`.

use super::{Outcome, Site, exe};
use crate::cli::{EXIT_FINDING, EXIT_OK, EXIT_UNABLE};
use anyhow::Context;
use tokio::process::Command;

const EXAMPLES: &str = "\
Examples:
  roundhouse bench all
  roundhouse bench all --bets 100000 --json
  roundhouse bench all --quick

Exit codes:
  0  measured; a floor that is not met is no failure
  1  measured, and money is amiss or a limit is passed (isolation, outage, returning)
  2  something could not be measured; what comes behind it was not tried";

/// Every bench that has a floor, one report after the other: an hour or two
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Flags {
    /// Bets of a run of `settle` and of `growth`
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1_000..=10_000_000))]
    bets: u32,
    /// As little of each as shows that it runs, in a few minutes; the figures say nothing
    #[arg(long)]
    quick: bool,
}

/// Measures and prints, each in a process and a directory of its own: what one bench leaves in memory must not count
/// in the next.
pub(super) async fn measure(flags: &Flags, site: Site<'_>) -> anyhow::Result<Outcome> {
    #[cfg(feature = "cluster")]
    let (shared, engine) =
        (site.servers.is_some(), site.servers.map(super::engine::arguments).unwrap_or_default());
    #[cfg(not(feature = "cluster"))]
    let (shared, engine) = (false, Vec::<String>::new());
    let mut outcome = Outcome::MEASURED;
    for line in if flags.quick { quick() } else { full(flags.bets, shared) } {
        eprintln!("bench: {line}");
        let (name, _) = line.split_once(' ').unwrap_or((&line, ""));
        let mut command = Command::new(exe()?);
        command.arg("bench").args(line.split_whitespace()).args(&engine);
        command.arg("--data-dir").arg(site.data_dir.join(name));
        if site.json {
            command.arg("--json");
        }
        let ended = command.kill_on_drop(true).status().await.context("no process")?;
        match ended.code().map(u8::try_from) {
            Some(Ok(EXIT_OK)) => {}
            Some(Ok(EXIT_FINDING)) => outcome = Outcome { code: EXIT_FINDING, keeps: true },
            // What an earlier one left is to be looked at all the same.
            Some(_) | None => {
                eprintln!("bench: `bench {line}` could not be measured: {ended}");
                return Ok(Outcome { code: EXIT_UNABLE, ..outcome });
            }
        }
    }
    Ok(outcome)
}

/// What has a floor, as the floor is said; `shared` on the cluster engine.
fn full(bets: u32, shared: bool) -> Vec<String> {
    // At a fixed rate a bet must find a free connection when it is due.
    let connections = if shared { 64 } else { 32 };
    vec![
        "result-to-confirmed".to_owned(),
        "result-to-topic".to_owned(),
        format!("settle --bets {bets}"),
        "isolation".to_owned(),
        format!("post-bet --connections {connections}"),
        "events".to_owned(),
        "correct-old".to_owned(),
        "outage --owed 1000000".to_owned(),
        "returning".to_owned(),
        format!("growth --bets-max {bets}"),
    ]
}

fn quick() -> Vec<String> {
    [
        "result-to-confirmed --bets 100 --partners 2 --rounds 1",
        "result-to-topic --bets 100 --rounds 1",
        "settle --bets 1000",
        "isolation --healthy 3 --pairs 6 --seconds 1 --bets 20 --ill-bets 10",
        "post-bet --connections 4 --seconds 1 --pairs 1",
        "events --seconds 1 --pairs 1",
        "correct-old --bets 100 --rounds 2",
        "outage --minutes 1 --owed 200 --rounds 2 --control-rounds 1 --others 2 --bets 20",
        "returning --partners 6 --bets 60 --rounds 2 --away-s 2",
        "growth --bets-max 1000 --runs 1",
    ]
    .map(str::to_owned)
    .to_vec()
}

#[cfg(test)]
mod tests {
    use super::super::Row;
    use super::*;
    use clap::{CommandFactory, Parser};
    use std::collections::BTreeSet;

    /// A bench as it is written on the command line.
    #[derive(Debug, Parser)]
    #[command(no_binary_name = true)]
    struct Line {
        #[command(subcommand)]
        row: Row,
    }

    #[test]
    fn all_is_every_bench_once() {
        let known = Line::command();
        let known: BTreeSet<&str> = known.get_subcommands().map(clap::Command::get_name).collect();
        for lines in [full(1_000, false), full(10_000_000, true), quick()] {
            for line in &lines {
                Line::try_parse_from(line.split_whitespace()).unwrap();
            }
            let named = lines.iter().filter_map(|line| line.split_whitespace().next());
            assert_eq!(named.collect::<BTreeSet<_>>(), known);
            assert_eq!(lines.len(), known.len());
        }
    }
}
