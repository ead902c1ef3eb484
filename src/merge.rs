//! Carries a plan out: re-check, back up, write, merge, verify.
