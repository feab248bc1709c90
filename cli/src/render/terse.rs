//! Progress without the reasons that only `--explain` asks for.

use wythe_builder::progress::{Event, Progress};

/// Hands on every event but the explanations.
pub(crate) struct Terse(pub(crate) Box<dyn Progress>);

impl Progress for Terse {
    fn event(&self, event: &Event<'_>) {
        if !matches!(event, Event::Explained { .. }) {
            self.0.event(event);
        }
    }
}
