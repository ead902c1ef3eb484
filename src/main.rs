//! The binary `mkto-audit`.

fn main() {}
