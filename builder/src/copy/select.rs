//! From source words to what they mean: wildcards matched, links followed, excludes left out.

use std::collections::BTreeSet;
use std::sync::Arc;

use wythe_store::tree::entry::{Directory, Entry, Metadata, Name, Node, Tree};

use super::canvas::{Canvas, children};
use super::error::{CopyCause, CopyError, Missing, nearest};
use super::filter::{Taken, all, exists, routed};
use super::route::{Route, Step};
use super::{CopySpec, Layout};
use crate::ignore::Rules;

/// What a COPY copies, in order.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Selection {
    items: Vec<Item>,
}

/// One source after wildcards.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Item {
    /// A file, pipe or device. The entry's name is that of the source, also where that was a link.
    File(Entry),
    /// What is in a directory; the directory itself gives only its modification time.
    Contents {
        /// The name of the source; empty for the root.
        name: Name,
        /// The directory's own metadata, where it is known.
        metadata: Option<Metadata>,
        /// The selected entries.
        children: Arc<Directory>,
        /// Paths from here on of directories that are selected only for what they lead to: where the
        /// destination has them, they get no more than the mode.
        on_the_way: BTreeSet<Vec<u8>>,
    },
}

impl Selection {
    /// A selection of these items, for those who lay a part of one.
    pub fn from_items(items: Vec<Item>) -> Self {
        Self { items }
    }

    /// The items in the order they are written.
    pub fn items(&self) -> &[Item] {
        &self.items
    }
}

/// What the sources of `spec` mean in `source`.
///
/// # Errors
/// A source that is not there, or a pattern that cannot be read.
pub fn select(source: &Tree, spec: &CopySpec) -> Result<Selection, CopyError> {
    let exclude = Rules::exclude(&spec.exclude).map_err(|error| CopyError {
        subject: "--exclude".to_owned(),
        cause: CopyCause::Exclude(error.pattern),
    })?;
    let view = Canvas::over(source.children.clone());
    let chooser = Picker { source, view, exclude: &exclude };
    let mut items = Vec::new();
    for word in &spec.sources {
        let picked = match spec.layout {
            Layout::Flat => chooser.flat(word, &mut items),
            Layout::Parents => chooser.parents(word, &mut items),
        };
        picked.map_err(|cause| CopyError { subject: word.clone(), cause })?;
    }
    Ok(Selection { items })
}

struct Picker<'a> {
    source: &'a Tree,
    view: Canvas,
    exclude: &'a Rules,
}

impl Picker<'_> {
    fn flat(&self, word: &str, items: &mut Vec<Item>) -> Result<(), CopyCause> {
        for path in self.expand(&Route::flat(word).ok_or(CopyCause::Pattern)?)? {
            let place = self.follow(&path)?;
            items.push(self.item(&path, &place)?);
        }
        Ok(())
    }

    fn parents(&self, word: &str, items: &mut Vec<Item>) -> Result<(), CopyCause> {
        let (pivot, pattern) = word.split_once("/./").unwrap_or(("/", word));
        let route = Route::nested(pattern).ok_or(CopyCause::Pattern)?;
        let pivots = Route::flat(pivot).ok_or(CopyCause::Pattern)?;
        // Where a wildcard is, in front of the pivot too, nothing need match.
        let required = pivots.names().and_then(|_| route.names()).unwrap_or_default();
        for path in self.expand(&pivots)? {
            let place = self.follow(&path)?;
            let found = self.directory(&place);
            let inside = found.as_ref().map(|(_, directory)| &**directory);
            if !required.is_empty() && !inside.is_some_and(|inside| exists(inside, &required)) {
                return Err(self.missing(&place.into_iter().chain(required).collect::<Vec<_>>()));
            }
            items.push(match found {
                Some((metadata, directory)) => {
                    let routes = std::slice::from_ref(&route);
                    contents(&path, metadata, routed(&directory, routes, self.exclude))
                }
                // There is nothing below a file that a pattern could be for.
                None => self.item(&path, &place)?,
            });
        }
        Ok(())
    }

    fn item(&self, path: &[Name], place: &[Name]) -> Result<Item, CopyCause> {
        if let Some((metadata, directory)) = self.directory(place) {
            return Ok(contents(path, metadata, all(&directory, self.exclude)));
        }
        let name = path.last().cloned().unwrap_or_default();
        let entry = self.view.entry(place).ok_or_else(|| self.missing(path))?;
        Ok(Item::File(Entry { name, ..entry.clone() }))
    }

    fn directory(&self, place: &[Name]) -> Option<(Option<Metadata>, Arc<Directory>)> {
        if place.is_empty() {
            return Some((self.source.root.clone(), self.source.children.clone()));
        }
        let entry = self.view.entry(place)?;
        let Node::Directory(directory) = &entry.node else { return None };
        Some((Some(entry.metadata.clone()), directory.children.clone()))
    }

    /// The physical place of a source that must exist.
    fn follow(&self, path: &[Name]) -> Result<Vec<Name>, CopyCause> {
        let place = self.view.resolve(&path.join(&b'/'))?;
        if self.view.seen(&place).is_none() {
            return Err(self.missing(&place));
        }
        Ok(place)
    }

    /// The paths a route names: one for a plain route, else those that match, in byte order.
    fn expand(&self, route: &Route) -> Result<Vec<Vec<Name>>, CopyCause> {
        let plain = |step: &Step| match step {
            Step::Name(name) => Some(name.clone()),
            Step::Pattern(_) | Step::AnyDepth => None,
        };
        let start: Vec<Name> = route.steps().iter().map_while(plain).collect();
        let patterns = &route.steps()[start.len()..];
        if patterns.is_empty() {
            return Ok(vec![start]);
        }
        // What is before the first pattern has to be there, though nothing need match.
        let place = self.follow(&start)?;
        let mut found = Vec::new();
        if let Some((_, directory)) = self.directory(&place) {
            matching(&directory, patterns, &mut place.clone(), &mut found);
        }
        Ok(found)
    }

    fn missing(&self, path: &[Name]) -> CopyCause {
        let (last, parent) = path.split_last().map_or((&b""[..], path), |(last, up)| (last, up));
        let directory = self.directory(parent).map(|(_, directory)| directory);
        let names = directory.iter().flat_map(|directory| directory.entries());
        let similar = nearest(last, names.map(|entry| &*entry.name));
        let near = similar.into_iter().map(|name| shown(parent, name)).collect();
        let path = shown(parent, last);
        CopyCause::Missing(Box::new(Missing { path, nearest: near, ..Missing::default() }))
    }
}

fn contents(path: &[Name], metadata: Option<Metadata>, taken: Taken) -> Item {
    let Taken { children, on_the_way } = taken;
    let name = path.last().cloned().unwrap_or_default();
    Item::Contents { name, metadata, children, on_the_way }
}

fn matching(directory: &Directory, steps: &[Step], at: &mut Vec<Name>, found: &mut Vec<Vec<Name>>) {
    let Some((step, rest)) = steps.split_first() else { return };
    for entry in directory.entries().iter().filter(|entry| step.matches(&entry.name)) {
        at.push(entry.name.clone());
        match children(entry) {
            _ if rest.is_empty() => found.push(at.clone()),
            Some(below) => matching(below, rest, at, found),
            None => {}
        }
        at.pop();
    }
}

/// A path as people write it, from the root.
pub(crate) fn shown(parent: &[Name], name: &[u8]) -> String {
    let mut text = String::new();
    for part in parent.iter().map(|part| &**part).chain([name]) {
        text.push('/');
        text.push_str(&String::from_utf8_lossy(part));
    }
    text
}
