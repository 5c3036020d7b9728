//! The partner's side: the reference wallet.
