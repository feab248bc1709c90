//! This program against every switch of `wythe-quirks`, and with a fault at each request: what has to work
//! works, what cannot is refused by name, credentials stay where they belong, and nothing is sent twice.

#![expect(clippy::unwrap_used, reason = "a test whose files cannot be read has failed")]

#[path = "quirks/bench.rs"]
mod bench;
#[path = "quirks/faults.rs"]
mod faults;
#[path = "quirks/handshakes.rs"]
mod handshakes;
#[path = "quirks/http.rs"]
mod http;
#[path = "quirks/image.rs"]
mod image;
#[path = "quirks/indexes.rs"]
mod indexes;
#[path = "quirks/long.rs"]
mod long;
#[path = "quirks/paths.rs"]
mod paths;
#[path = "quirks/referring.rs"]
mod referring;
#[path = "quirks/shapes.rs"]
mod shapes;
#[path = "quirks/switches.rs"]
mod switches;
