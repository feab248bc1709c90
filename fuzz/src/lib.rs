//! Grammars that turn a fuzzer's bytes into inputs close to what people write, and the claims that
//! must hold for every one of them. A claim that fails panics.

pub mod dockerfile;
pub mod ignore;
pub mod layer;
pub mod lower;
pub mod word;
