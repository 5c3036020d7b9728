//! `cargo sim`: seeds of the simulation, and the planted bugs that show that it would notice.
//!
//! Exit codes: 0, all is well; 1, a rule was broken, a planted bug was not caught, a rare moment was
//! never reached, or a seed did not give the same trace twice.

use clap::Parser;
use partner_kit::misbehaviours::Misbehaviour;
use pipeline_tests::world::reach::Reach;
use pipeline_tests::world::{self, EVENTS_MIN, FAULTS_MIN, Outcome};
use planted::Bug;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Instant;

/// Every so many seeds one is run twice.
const TWICE_EVERY: u64 = 100;
/// Seeds in which every rare moment must have been reached.
const SEEDS_FOR_REACH: u64 = 2_000;

/// Runs the production machines on a simulated log, store, clock and wallets.
#[derive(Debug, Parser)]
#[command(name = "cargo sim", version)]
struct Arguments {
    /// Run this seed alone.
    #[arg(long)]
    seed: Option<u64>,
    /// Print every event of the seed.
    #[arg(long, requires = "seed")]
    trace: bool,
    /// How many seeds to run.
    #[arg(long, default_value_t = 20_000)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Threads.
    #[arg(long, default_value_t = 2)]
    threads: u64,
    /// Break a guard on purpose, one by name or `all`, and say how many seeds it takes to notice.
    #[arg(long)]
    planted: Option<String>,
    /// Let partners do this one thing of the catalogue of misbehaviours, and nothing else go wrong.
    #[arg(long, value_name = "NAME", conflicts_with = "planted")]
    only: Option<Misbehaviour>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let good = match (&arguments.planted, arguments.seed) {
        (Some(name), seed) => planted_bugs(name, seed, &arguments),
        (None, Some(seed)) => one(seed, &arguments),
        (None, None) => many(&arguments),
    };
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn one(seed: u64, arguments: &Arguments) -> bool {
    let outcome = world::run(seed, arguments.trace, arguments.only);
    println!(
        "seed {seed}: {} events, {} faults, {} bets, trace {:016x}",
        outcome.events, outcome.faults, outcome.bets, outcome.trace_hash
    );
    for (name, count) in outcome.reach.all().filter(|(_, count)| 0 < *count) {
        println!("  {count:>6}  {name}");
    }
    report(&outcome)
}

/// Tells a violation and how to see it again; true if there is none.
fn report(outcome: &Outcome) -> bool {
    let Some(violation) = &outcome.violation else { return true };
    println!("seed {}: {violation}", outcome.seed);
    println!("  see it: cargo sim --seed {} --trace", outcome.seed);
    false
}

/// What many seeds came to.
#[derive(Debug, Default)]
struct Sum {
    seeds: u64,
    faulty: u64,
    events: u64,
    faults: u64,
    bets: u64,
    violations: u64,
    thin: u64,
    unequal: u64,
    reach: Reach,
}

impl Sum {
    fn add(&mut self, outcome: &Outcome) {
        self.seeds += 1;
        self.faulty += u64::from(outcome.faulty);
        self.events += outcome.events;
        self.faults += outcome.faults;
        self.bets += outcome.bets;
        self.reach.add(&outcome.reach);
        let thin = outcome.events < EVENTS_MIN || outcome.faulty && outcome.faults < FAULTS_MIN;
        self.thin += u64::from(thin && outcome.violation.is_none());
        self.violations += u64::from(!report(outcome));
    }
}

fn many(arguments: &Arguments) -> bool {
    let (next, begun) = (AtomicU64::new(0), Instant::now());
    let (sender, outcomes) = mpsc::channel();
    let mut sum = Sum::default();
    std::thread::scope(|scope| {
        for _ in 0..arguments.threads.max(1) {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if arguments.seeds <= index {
                        return;
                    }
                    let seed = arguments.from + index;
                    let outcome = world::run(seed, false, arguments.only);
                    let again = seed
                        .is_multiple_of(TWICE_EVERY)
                        .then(|| world::run(seed, false, arguments.only));
                    if sender.send((outcome, again)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for (outcome, again) in outcomes {
            if again.is_some_and(|again| again.trace_hash != outcome.trace_hash) {
                println!("seed {}: two runs, two traces", outcome.seed);
                sum.unequal += 1;
            }
            sum.add(&outcome);
            if sum.seeds.is_multiple_of(1_000) {
                eprintln!("{} seeds, {} s", sum.seeds, begun.elapsed().as_secs());
            }
        }
    });
    finish(&sum, begun, arguments.only)
}

fn finish(sum: &Sum, begun: Instant, only: Option<Misbehaviour>) -> bool {
    let ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(1).max(1);
    println!(
        "{} seeds ({} with faults), {} events, {} faults, {} bets in {}.{:03} s: {} seeds/s",
        sum.seeds,
        sum.faulty,
        sum.events,
        sum.faults,
        sum.bets,
        ms / 1_000,
        ms % 1_000,
        sum.seeds * 1_000 / ms
    );
    for (name, count) in sum.reach.all() {
        println!("{count:>10}  {name}");
    }
    // One that is played alone must be met in any case; nothing else need be.
    let must = |name: &&str| only.is_none_or(|only| only.entry().name == *name);
    let missing: Vec<&str> = sum.reach.missing().filter(must).collect();
    let enough = sum.seeds < SEEDS_FOR_REACH || missing.is_empty();
    if !enough {
        println!("never reached: {}", missing.join(", "));
    }
    println!(
        "{} violations, {} seeds with another trace when run again, {} seeds too thin",
        sum.violations, sum.unequal, sum.thin
    );
    sum.violations == 0 && sum.unequal == 0 && sum.thin == 0 && enough
}

/// Runs each bug until a seed catches it.
fn planted_bugs(name: &str, seed: Option<u64>, arguments: &Arguments) -> bool {
    let bugs: Vec<Bug> = if name == "all" {
        Bug::ALL.to_vec()
    } else {
        match name.parse() {
            Ok(bug) => vec![bug],
            Err(error) => {
                println!("{error}");
                return false;
            }
        }
    };
    let mut caught_all = true;
    for bug in bugs {
        planted::arm_thread(Some(bug));
        let seeds = match seed {
            Some(seed) => seed..seed + 1,
            None => arguments.from..arguments.from + arguments.seeds.min(2_000),
        };
        let caught = seeds
            .clone()
            .find_map(|seed| Some((seed, world::run(seed, arguments.trace, None).violation?)));
        planted::arm_thread(None);
        match caught {
            Some((seed, violation)) => {
                let count = seed - seeds.start + 1;
                println!("{:<24} caught by seed {seed} ({count} seeds): {violation}", bug.name());
            }
            None => {
                println!("{:<24} NOT CAUGHT in {} seeds", bug.name(), seeds.end - seeds.start);
                caught_all = false;
            }
        }
    }
    caught_all
}
