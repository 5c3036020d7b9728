//! Harness and scenarios: the simulation, the oracle, tests of whole processes.
