//! One target of `sfbulk_tests::targets` for libFuzzer: the one with the name of this binary.
//!
//! The crate's only source: each binary of the manifest is built from it. It is the one crate here
//! that does not forbid unsafe code, because libFuzzer calls it from C++.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sfbulk_tests::targets::run(env!("CARGO_BIN_NAME"), bytes));
