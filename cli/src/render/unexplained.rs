//! Progress without the reasons, or all of the reasons, that only `--explain` asks for.

use wythe_builder::progress::{Event, Progress};
use wythe_builder::reason::Reason;

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

/// Hands on every event, and of the reasons those that are news: what was never made before is none.
pub(crate) struct BrieflyExplained<'a>(pub(crate) Box<dyn Progress + 'a>);

impl Progress for BrieflyExplained<'_> {
    fn event(&self, event: &Event<'_>) {
        let is_news = |reason: &Reason| {
            matches!(reason, Reason::Changed { .. } | Reason::Evicted | Reason::Failed)
        };
        if let Event::Explained { reason, .. } = *event
            && !is_news(reason)
        {
            return;
        }
        self.0.event(event);
    }

    /// The store of this machine answers at once, others do not.
    fn asks_caches(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use wythe_builder::progress::StepId;

    use super::*;

    struct Heard<'a>(&'a Mutex<usize>);

    impl Progress for Heard<'_> {
        fn event(&self, _: &Event<'_>) {
            *self.0.lock().unwrap() += 1;
        }
    }

    #[test]
    fn in_brief_only_news_are_a_reason() {
        let heard = Mutex::new(0);
        let brief = BrieflyExplained(Box::new(Heard(&heard)));
        let step = StepId(1);
        brief.event(&Event::Explained { step, reason: &Reason::Unknown });
        assert_eq!(*heard.lock().unwrap(), 0);
        brief.event(&Event::Explained { step, reason: &Reason::Evicted });
        brief.event(&Event::Started { step, name: "x" });
        assert_eq!(*heard.lock().unwrap(), 2);
        assert!(brief.is_curious() && !brief.asks_caches());
    }
}
