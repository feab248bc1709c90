//! Words and variables: expansion ends, keeps to its limit, and leaves plain text alone.

#![no_main]

libfuzzer_sys::fuzz_target!(|case: wythe_fuzz::word::Case| case.check());
