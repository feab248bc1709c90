//! Dockerfiles become graphs or a message, for every stage.

#![no_main]

libfuzzer_sys::fuzz_target!(|case: wythe_fuzz::lower::Case| case.check());
