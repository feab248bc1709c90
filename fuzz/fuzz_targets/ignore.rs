//! Ignore files: matching agrees with a plain matcher that tries everything.

#![no_main]

libfuzzer_sys::fuzz_target!(|case: wythe_fuzz::ignore::Case| case.check());
