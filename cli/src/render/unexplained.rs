//! Progress without the reasons that only `--explain` asks for.

use wythe_builder::progress::{Event, Progress};

/// Hands on every event, and asks for no explanations.
pub(crate) struct Unexplained(pub(crate) Box<dyn Progress>);

impl Progress for Unexplained {
    fn event(&self, event: &Event<'_>) {
        self.0.event(event);
    }

    fn is_curious(&self) -> bool {
        false
    }
}
