//! Interruption: the first signal asks for an orderly end, the second does not wait for it. Nor does anybody else for long:
//! what is under way may be a registry that does not answer.

use std::io;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::failure::Class;

/// How long an orderly end may take. Steps have eight seconds to end, and whoever ends jobs of CI sends what cannot be
/// caught after ten.
const ORDERLY: Duration = Duration::from_secs(9);
/// How often it is looked for the second signal.
const LOOK: Duration = Duration::from_millis(50);

/// Calls `interrupt` at the first signal that asks this process to end, and ends it at the second, or where it has not
/// ended in time.
///
/// Starts a thread, so that it has to be called after the namespaces were entered.
pub(crate) fn watch(interrupt: impl Fn() + Send + 'static) -> io::Result<()> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
    let thread = std::thread::Builder::new().name("signals".to_owned());
    thread.spawn(move || {
        if signals.forever().next().is_none() {
            return;
        }
        let begun = Instant::now();
        interrupt();
        while begun.elapsed() < ORDERLY && signals.pending().next().is_none() {
            std::thread::sleep(LOOK);
        }
        leave();
    })?;
    Ok(())
}

/// Ends the process. Steps die with their parent, and the store survives this as it does any death.
#[expect(clippy::exit, reason = "asked for by whoever waits no longer")]
fn leave() {
    std::process::exit(Class::Cancelled as i32);
}
