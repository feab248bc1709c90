//! Dockerfiles: every word lies in the source, and line ends do not matter.

#![no_main]

libfuzzer_sys::fuzz_target!(|case: wythe_fuzz::dockerfile::Text| case.check());
