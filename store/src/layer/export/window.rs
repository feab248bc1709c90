//! Parts that are made at the same time.

use std::sync::mpsc::sync_channel;

use crate::layer::fragment::{Part, cut_tree};
use crate::tree::entry::Tree;

/// Parts wait until there is this much of them, or this many: enough to keep every core busy, and
/// little enough to hold.
const WINDOW_BYTES: u64 = 16 << 20;
const WINDOW_PARTS: usize = 1024;

/// Windows that are cut before somebody takes them, beside the one that is being cut: their bodies are not
/// read yet, but headers take memory.
const AHEAD: usize = 1;

/// Parts that wait for others.
#[derive(Debug, Default)]
pub(super) struct Window {
    parts: Vec<Part>,
    bytes: u64,
}

impl Window {
    /// Adds a part. With the last that there is room for, gives all of them back.
    pub(super) fn push(&mut self, part: Part) -> Option<Vec<Part>> {
        self.bytes += part.length();
        self.parts.push(part);
        let is_full = WINDOW_BYTES <= self.bytes || WINDOW_PARTS <= self.parts.len();
        is_full.then(|| self.take())
    }

    /// What waits.
    pub(super) fn take(&mut self) -> Vec<Part> {
        self.bytes = 0;
        std::mem::take(&mut self.parts)
    }
}

/// Cuts the canonical tar stream of a tree, and hands its parts to `sink`, one window after the other. They are
/// cut on a thread of their own, so that those who make the parts of one window need not wait for the next.
pub(super) fn cut_ahead<E>(
    tree: &Tree,
    sink: &mut dyn FnMut(&[Part]) -> Result<(), E>,
) -> Result<(), E> {
    let (sender, windows) = sync_channel(AHEAD);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut window = Window::default();
            let mut push = |part| window.push(part).map_or(Ok(()), |full| sender.send(full));
            // Nobody listens any more where making a part has failed.
            if cut_tree(tree, &mut push).is_ok() {
                let _ = sender.send(window.take());
            }
        });
        windows.into_iter().try_for_each(|window| sink(&window))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::LayerPath;
    use crate::tree::build::TreeBuilder;
    use crate::tree::entry::{Metadata, Node};

    fn tree(entries: usize) -> Tree {
        let mut tree = TreeBuilder::new();
        for n in 0..entries {
            let path = LayerPath::parse(format!("d{n}").as_bytes()).unwrap();
            tree.insert(&path, Metadata::default(), Node::Fifo).unwrap();
        }
        tree.finish()
    }

    #[test]
    fn windows_hold_the_parts_of_the_tree_in_order_and_none_too_many() {
        let tree = tree(WINDOW_PARTS * 40);
        let (mut at_once, mut in_windows, mut sizes) = (Vec::new(), Vec::new(), Vec::new());
        cut_tree(&tree, &mut |part| {
            at_once.push(part.name(""));
            Ok::<_, ()>(())
        })
        .unwrap();
        cut_ahead(&tree, &mut |window| {
            sizes.push(window.len());
            in_windows.extend(window.iter().map(|part| part.name("")));
            Ok::<_, ()>(())
        })
        .unwrap();
        assert!(in_windows == at_once);
        assert!(sizes.len() > 2 && sizes.iter().all(|size| *size <= WINDOW_PARTS), "{sizes:?}");
    }

    #[test]
    fn a_sink_that_fails_ends_the_cutting() {
        let mut windows = 0;
        let failed = cut_ahead(&tree(WINDOW_PARTS * 40), &mut |_| {
            windows += 1;
            Err("full")
        });
        assert_eq!((failed, windows), (Err("full"), 1));
    }
}
