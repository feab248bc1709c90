//! `build_and_push STORE CONTEXT NAME` builds `CONTEXT/Dockerfile` and pushes the image as `NAME`.
#![expect(clippy::print_stdout, reason = "this is a program")]

use std::error::Error;
use std::path::Path;

use wythe_api::{BuildRequest, Wythe};

fn main() -> Result<(), Box<dyn Error>> {
    wythe_api::init()?; // enters the namespaces: before threads, and before anything is open
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [store, context, name] = &words[..] else { return Err("three words, please".into()) };
    let wythe = Wythe::open(Path::new(store))?;
    let image = wythe.build(&BuildRequest::read(Path::new(context))?)?;
    let digest = wythe.push(&image, name)?;
    println!("{name} {digest}");
    Ok(())
}
