//! Pure settlement rules: games, cut-off, payout, corrections. No IO, no clock.
