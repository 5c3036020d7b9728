//! Settlements in, partner acknowledgements out.
