//! Progress of a build that may turn out to need another try: nothing shows before that is clear.

use std::sync::{Mutex, OnceLock, PoisonError};

use wythe_builder::progress::{Event, Progress};
use wythe_dockerfile::diagnostic::Diagnostic;

/// Holds warnings back until something else happens. Who drops it before has shown nothing.
pub(crate) struct Held<F> {
    /// Begins to show.
    show: F,
    warnings: Mutex<Vec<Diagnostic>>,
    shown: OnceLock<Box<dyn Progress + Send>>,
}

impl<F: Fn() -> Box<dyn Progress + Send>> Held<F> {
    pub(crate) fn new(show: F) -> Self {
        Self { show, warnings: Mutex::default(), shown: OnceLock::new() }
    }

    fn shown(&self) -> &dyn Progress {
        &**self.shown.get_or_init(|| {
            let shown = (self.show)();
            let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
            for diagnostic in &std::mem::take(&mut *warnings) {
                shown.event(&Event::Warning { diagnostic });
            }
            shown
        })
    }
}

impl<F: Fn() -> Box<dyn Progress + Send> + Sync> Progress for Held<F> {
    fn event(&self, event: &Event<'_>) {
        if let (None, Event::Warning { diagnostic }) = (self.shown.get(), event) {
            let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
            return warnings.push((*diagnostic).clone());
        }
        self.shown().event(event);
    }

    fn is_curious(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use wythe_dockerfile::span::Span;

    use super::*;

    /// What was shown, as text.
    #[derive(Clone, Debug, Default)]
    struct Log(Arc<Mutex<Vec<String>>>);

    impl Progress for Log {
        fn event(&self, event: &Event<'_>) {
            let text = if let Event::Warning { diagnostic } = event {
                diagnostic.message.clone()
            } else {
                format!("{event:?}")
            };
            self.0.lock().unwrap().push(text);
        }
    }

    #[test]
    fn warnings_show_when_it_is_clear_that_the_build_goes_on_and_else_never() {
        let log = Log::default();
        let held = Held::new(|| Box::new(log.clone()) as Box<dyn Progress + Send>);
        let diagnostic = |text: &str| Diagnostic::warning("Rule", Span::default(), text.to_owned());
        held.event(&Event::Warning { diagnostic: &diagnostic("a") });
        held.event(&Event::Warning { diagnostic: &diagnostic("b") });
        assert!(log.0.lock().unwrap().is_empty());
        held.event(&Event::Planned { steps: 1 });
        held.event(&Event::Warning { diagnostic: &diagnostic("c") });
        assert_eq!(*log.0.lock().unwrap(), ["a", "b", "Planned { steps: 1 }", "c"]);
    }
}
