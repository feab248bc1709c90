//! `service STORE SECONDS CONTEXT…` builds contexts beside each other in an asynchronous program, and gives each so long.
#![expect(clippy::print_stdout, reason = "this is a program")]

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use wythe_api::{BuildRequest, Cancel, Wythe};

/// What `#[tokio::main]` would make, behind the line that comes before threads.
fn main() -> Result<(), Box<dyn Error>> {
    wythe_api::init()?;
    tokio::runtime::Runtime::new()?.block_on(serve())
}

async fn serve() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [store, seconds, contexts @ ..] = &words[..] else {
        return Err("two words at least".into());
    };
    let (wythe, seconds) = (Wythe::open(Path::new(store))?, seconds.parse()?);
    let builds: Vec<_> = contexts
        .iter()
        .map(|context| tokio::spawn(limited(wythe.clone(), context.clone(), seconds)))
        .collect();
    for (build, context) in builds.into_iter().zip(contexts) {
        println!("{context} {}", build.await?.unwrap_or_else(|error| error));
    }
    Ok(())
}

/// Builds where it may block; when the time is over the build is cancelled, and waited for.
async fn limited(wythe: Wythe, context: String, seconds: u64) -> Result<String, String> {
    let cancel = Cancel::new().map_err(told)?;
    let wythe = wythe.stopped_by(&cancel);
    let build = move || {
        let request = BuildRequest::read(Path::new(&context)).map_err(told)?;
        let image = wythe.build(&request).map_err(told)?;
        let made = wythe.read(&image, "/made").map_err(told)?;
        Ok(String::from_utf8_lossy(&made).trim().to_owned())
    };
    let mut build = tokio::task::spawn_blocking(build);
    let in_time = tokio::time::timeout(Duration::from_secs(seconds), &mut build).await;
    let ended = if let Ok(ended) = in_time {
        ended
    } else {
        cancel.cancel();
        build.await
    };
    ended.map_err(told)?
}

fn told(error: impl std::fmt::Display) -> String {
    error.to_string()
}
