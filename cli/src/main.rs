//! The `wythe` program.

fn main() {}
