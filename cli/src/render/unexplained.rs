//! Progress without the reasons that only `--explain` asks for.

use wythe_builder::progress::{Event, Progress};

/// Hands on every event, and asks for no explanations.
pub(crate) struct Unexplained<'a>(pub(crate) Box<dyn Progress + 'a>);

impl Progress for Unexplained<'_> {
    fn event(&self, event: &Event<'_>) {
        self.0.event(event);
    }

    fn is_curious(&self) -> bool {
        false
    }
}
