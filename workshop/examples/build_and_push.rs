//! `build_and_push STORE CONTEXT NAME` builds `CONTEXT/Dockerfile` and pushes the image as `NAME`.
#![expect(clippy::print_stdout, reason = "this is a program")]

use std::error::Error;
use std::path::Path;

use wythe_workshop::{Order, Workshop};

fn main() -> Result<(), Box<dyn Error>> {
    wythe_workshop::init()?; // enters the namespaces: before threads, and before anything is open
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [store, context, name] = &words[..] else { return Err("three words, please".into()) };
    let workshop = Workshop::open(Path::new(store))?;
    let image = workshop.build(&Order::read(Path::new(context))?)?;
    let digest = workshop.push(&image, name)?;
    println!("{name} {digest}");
    Ok(())
}
