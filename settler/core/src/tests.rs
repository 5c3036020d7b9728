use super::{EXPIRY_TICKS, RULES_VERSION, expiry_ticks, knows};

#[test]
fn rules_versions() {
    assert!(!knows(0));
    assert!(knows(RULES_VERSION));
    assert!(!knows(RULES_VERSION + 1));
    assert_eq!(expiry_ticks(0), None);
    assert_eq!(expiry_ticks(1), Some(6));
    assert_eq!(expiry_ticks(RULES_VERSION), Some(EXPIRY_TICKS));
    assert_eq!(expiry_ticks(RULES_VERSION + 1), None);
}
