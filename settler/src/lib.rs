//! Bets and markers in, decisions and settlements out; the reconciler.
