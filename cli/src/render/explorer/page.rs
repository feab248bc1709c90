//! What a person walks through: a list of layers or of entries, and where in it the cursor is.

use super::super::row::Tone;
use crate::exploration::{Effect, Ending, Exploration, Item, ItemId, ItemKind};

/// The most paths that a search shows: of more one searches again.
const MOST_FOUND: usize = 1000;

/// A list.
#[derive(Debug)]
pub(super) struct ExplorerPage {
    pub(super) title: String,
    pub(super) places: Vec<PageEntry>,
    /// Where the cursor is.
    pub(super) at: usize,
    /// Whether the entries are from anywhere, so that their paths are shown.
    pub(super) is_list: bool,
    /// The directory of one layer it is about.
    pub(super) within: Option<ItemId>,
}

/// What the cursor can be at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum PageEntry {
    Item(ItemId),
    Layer(usize),
}

impl ExplorerPage {
    fn new(title: String, places: Vec<PageEntry>) -> Self {
        Self { title, places, at: 0, is_list: false, within: None }
    }

    /// All layers, the lowest first.
    pub(super) fn layers(exploration: &Exploration) -> Self {
        let places = (0..exploration.layers.len()).map(PageEntry::Layer).collect();
        Self::new("bytes of files by layer, and what made it".to_owned(), places)
    }

    /// What a layer has in a directory, the largest first.
    pub(super) fn files(exploration: &Exploration, directory: ItemId) -> Self {
        let mut items = exploration.get(directory).children.clone();
        items.sort_by_key(|item| std::cmp::Reverse(exploration.get(*item).bytes));
        let path = exploration.path(directory);
        let layer = exploration.layer(directory) + 1;
        let title = format!("layer {layer}: {path}/");
        let places = items.into_iter().map(PageEntry::Item).collect();
        Self { within: Some(directory), ..Self::new(title, places) }
    }

    /// The same with the cursor at an entry.
    pub(super) fn pointing_at(self, item: ItemId) -> Self {
        let at = self.places.iter().position(|place| *place == PageEntry::Item(item));
        Self { at: at.unwrap_or_default(), ..self }
    }

    /// What no container sees, the largest first.
    pub(super) fn waste(exploration: &Exploration) -> Self {
        let items = exploration.lost();
        let title = format!("{} files that no container sees", items.len());
        let places = items.into_iter().map(PageEntry::Item).collect();
        Self { is_list: true, ..Self::new(title, places) }
    }

    /// The paths of a directory, or of all layers, that have these words in them.
    pub(super) fn found(exploration: &Exploration, within: Option<ItemId>, words: &str) -> Self {
        let roots = match within {
            Some(directory) => vec![directory],
            None => (0..exploration.layers.len()).map(|layer| exploration.root(layer)).collect(),
        };
        let mut items = Vec::new();
        for root in roots {
            let (words, path) = (words.to_lowercase(), exploration.path(root));
            search(exploration, (root, &path), &words, &mut items);
        }
        let more = if items.len() > MOST_FOUND { ", and more" } else { "" };
        items.truncate(MOST_FOUND);
        let title = format!("{} paths with {words:?}{more}", items.len());
        let places = items.into_iter().map(PageEntry::Item).collect();
        Self { is_list: true, within, ..Self::new(title, places) }
    }

    /// The first place that is shown in so many rows, so that the cursor is among them.
    pub(super) fn first(&self, rows: usize) -> usize {
        let last = self.places.len().saturating_sub(rows);
        self.at.saturating_sub(rows / 2).min(last)
    }
}

fn search(
    exploration: &Exploration,
    (directory, above): (ItemId, &str),
    words: &str,
    found: &mut Vec<ItemId>,
) {
    for child in &exploration.get(directory).children {
        if found.len() > MOST_FOUND {
            return;
        }
        let path = format!("{above}/{}", String::from_utf8_lossy(&exploration.get(*child).name));
        if path.to_lowercase().contains(words) {
            found.push(*child);
        }
        search(exploration, (*child, &path), words, found);
    }
}

/// What an entry did, as one character.
pub(super) fn sign(item: &Item) -> (char, Tone) {
    match (item.effect, item.end) {
        (Effect::Removes, _) => ('-', Tone::Bad),
        (_, Some(_)) => ('x', Tone::Warning),
        (Effect::Adds, None) => ('+', Tone::Good),
        (Effect::Changes, None) => (' ', Tone::Neutral),
        (Effect::Replaces, None) => ('~', Tone::Neutral),
    }
}

/// What became of an entry, or what it did, in words.
pub(super) fn end(item: &Item) -> String {
    match (item.end, item.effect, item.kind) {
        (Some((layer, Ending::Removed)), ..) => format!("removed by layer {}", layer + 1),
        (Some((layer, Ending::Replaced)), ..) => format!("replaced by layer {}", layer + 1),
        (None, Effect::Removes, _) => "removed".to_owned(),
        (None, Effect::Replaces, _) => "replaces".to_owned(),
        (None, _, ItemKind::Link) => "link".to_owned(),
        (None, _, ItemKind::Other) => "special".to_owned(),
        (None, ..) => String::new(),
    }
}
