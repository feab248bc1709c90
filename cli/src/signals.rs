//! Interruption: the first signal asks for an orderly end, the second does not wait for it.

use std::io;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::failure::Class;

/// Calls `interrupt` at the first signal that asks this process to end.
///
/// Starts a thread, so that it has to be called after the namespaces were entered.
pub(crate) fn watch(interrupt: impl Fn() + Send + 'static) -> io::Result<()> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
    let thread = std::thread::Builder::new().name("signals".to_owned());
    thread.spawn(move || {
        let mut pending = signals.forever();
        if pending.next().is_some() {
            interrupt();
        }
        if pending.next().is_some() {
            leave();
        }
    })?;
    Ok(())
}

/// Ends the process. Steps die with their parent, and the store survives this as it does any death.
#[expect(clippy::exit, reason = "asked for twice, by the person at the keyboard")]
fn leave() {
    std::process::exit(Class::Cancelled as i32);
}
