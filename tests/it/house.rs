//! Who may depend on whom (DESIGN 3), and the simulation as part of the normal tests.

use cargo_metadata::{DependencyKind, MetadataCommand};
use partner_kit::misbehaviours::{Misbehaviour, Money};
use pipeline_tests::world;
use pipeline_tests::world::reach::{Moment, Reach};
use std::collections::{BTreeMap, BTreeSet};

/// Services meet at topics, never in Cargo.toml.
#[test]
fn crates_depend_on_nothing_but_what_the_house_allows() {
    let allowed: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("planted", &[][..]),
        ("stack", &[]),
        ("schemas", &[]),
        ("signing", &[]),
        ("runtime", &["signing"]),
        ("settlement", &["schemas"]),
        ("ingest", &["schemas", "runtime", "signing"]),
        ("settler", &["schemas", "runtime", "settlement"]),
        ("partner-dispatcher", &["schemas", "runtime"]),
        ("partner-kit", &["schemas", "runtime", "signing"]),
        ("feeds", &["schemas", "runtime"]),
    ]);
    let metadata = MetadataCommand::new().no_deps().exec().unwrap();
    let ours: BTreeSet<&str> = metadata.packages.iter().map(|p| p.name.as_str()).collect();
    for package in &metadata.packages {
        let development = matches!(package.name.as_str(), "xtask" | "pipeline-tests");
        let stack = package.dependencies.iter().find(|dependency| dependency.name == "stack");
        let fine = stack.is_none_or(|stack| stack.kind == DependencyKind::Development);
        assert!(development || fine, "{} may not depend on stack", package.name);
    }
    for (name, allowed) in &allowed {
        assert!(ours.contains(name), "{name} is gone");
        let package = metadata.packages.iter().find(|package| package.name == *name).unwrap();
        for dependency in &package.dependencies {
            let found = dependency.name.as_str();
            let fine = dependency.kind == DependencyKind::Development
                || !ours.contains(found)
                || found == "planted"
                || allowed.contains(&found);
            assert!(fine, "{name} may not depend on {found}");
        }
    }
}

/// The oracle shares no code with what it judges, and can be checked by reading.
#[test]
fn the_oracle_is_short_and_knows_none_of_our_crates() {
    let text = include_str!("../src/oracle.rs");
    assert!(text.lines().count() <= 150);
    for line in text.lines().filter(|line| line.trim_start().starts_with("use ")) {
        assert!(line.starts_with("use std::"), "{line}");
    }
    assert!(!text.contains("crate::") && !text.contains("super::"));
    assert!(!text.contains("f64") && !text.contains("f32"));
}

#[test]
fn two_hundred_seeds_keep_every_rule() {
    for seed in 0..200 {
        let outcome = world::run(seed, false, None);
        if let Some(violation) = outcome.violation {
            panic!("seed {seed}: {violation}; see it with `cargo sim --seed {seed} --trace`");
        }
    }
}

/// What a wallet does wrong itself is set aside for people; nothing else is wrong.
#[test]
fn partners_that_misbehave_in_one_way_end_right_or_are_noticed() {
    for which in Misbehaviour::ALL {
        let mut reach = Reach::default();
        for seed in 0..10 {
            let outcome = world::run(seed, false, Some(which));
            assert_eq!(outcome.violation, None, "{which}, seed {seed}");
            reach.add(&outcome.reach);
        }
        assert!(reach.missing().all(|name| name != which.entry().name), "{which} befell nobody");
        let noticed = 0 < reach.count(Moment::Parked);
        assert!(which.entry().money == Money::Right || noticed, "nobody noticed {which}");
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in [3, 11, 64] {
        let (one, two) = (world::run(seed, false, None), world::run(seed, false, None));
        assert_eq!(one.trace_hash, two.trace_hash, "seed {seed}");
        assert_eq!((one.events, one.faults), (two.events, two.faults));
    }
}
