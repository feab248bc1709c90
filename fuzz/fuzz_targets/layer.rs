//! Layers: what is read can be written, and read again as the same.

#![no_main]

libfuzzer_sys::fuzz_target!(|case: wythe_fuzz::layer::Case| case.check());
