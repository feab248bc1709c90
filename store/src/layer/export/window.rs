//! Parts that are made together.

use super::in_order::{Push, Stopped};
use crate::layer::fragment::{Part, cut_tree};
use crate::tree::entry::Tree;

/// How many parts wait for each other.
#[derive(Clone, Copy, Debug)]
pub(super) struct WindowLimits {
    /// With the part that makes them this long they are enough.
    bytes: u64,
    /// Or with this many.
    parts: usize,
}

impl WindowLimits {
    /// Enough to keep every core busy, and little enough to hold.
    pub(super) const ALL_THREADS: Self = Self { bytes: 16 << 20, parts: 1024 };
    /// Work for one thread: enough that handing it over costs nothing, and no more than one long part, so that what is
    /// made can leave soon.
    pub(super) const ONE_THREAD: Self = Self { bytes: 1 << 20, parts: 128 };
}

/// Parts that wait for others.
#[derive(Debug)]
pub(super) struct Window {
    limits: WindowLimits,
    parts: Vec<Part>,
    bytes: u64,
}

impl Window {
    pub(super) fn new(limits: WindowLimits) -> Self {
        Self { limits, parts: Vec::new(), bytes: 0 }
    }

    /// Adds a part. With the last that there is room for, gives all of them back.
    pub(super) fn push(&mut self, part: Part) -> Option<Vec<Part>> {
        self.bytes += part.length();
        self.parts.push(part);
        let WindowLimits { bytes, parts } = self.limits;
        let is_full = bytes <= self.bytes || parts <= self.parts.len();
        is_full.then(|| self.take())
    }

    /// What waits.
    pub(super) fn take(&mut self) -> Vec<Part> {
        self.bytes = 0;
        std::mem::take(&mut self.parts)
    }
}

/// Cuts the canonical tar stream of a tree, and pushes its parts, some at a time, with the number of their bytes.
pub(super) fn cut_in_windows(tree: &Tree, push: Push<'_, Vec<Part>>) -> Result<(), Stopped> {
    let mut window = Window::new(WindowLimits::ONE_THREAD);
    let mut push = |window: Vec<Part>| {
        let bytes = window.iter().map(Part::length).sum();
        push(window, bytes)
    };
    cut_tree(tree, &mut |part| window.push(part).map_or(Ok(()), &mut push))?;
    push(window.take())
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
        let most = WindowLimits::ONE_THREAD.parts;
        let tree = tree(most * 40);
        let (mut at_once, mut in_windows, mut sizes) = (Vec::new(), Vec::new(), Vec::new());
        cut_tree(&tree, &mut |part| {
            at_once.push(part.name(""));
            Ok::<_, ()>(())
        })
        .unwrap();
        cut_in_windows(&tree, &mut |window, _| {
            sizes.push(window.len());
            in_windows.extend(window.iter().map(|part| part.name("")));
            Ok(())
        })
        .unwrap();
        assert!(in_windows == at_once);
        assert!(sizes.len() > 2 && sizes.iter().all(|size| *size <= most), "{sizes:?}");
    }

    #[test]
    fn who_takes_no_more_ends_the_cutting() {
        let mut windows = 0;
        let stopped = cut_in_windows(&tree(40 * WindowLimits::ONE_THREAD.parts), &mut |_, _| {
            windows += 1;
            Err(Stopped)
        });
        assert!(stopped.is_err());
        assert_eq!(windows, 1);
    }
}
