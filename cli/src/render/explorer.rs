//! Layers to walk through: what is shown, and what keys do, as values.

mod page;

use self::page::{ExplorerPage, PageEntry};
use super::look::Look;
use super::quantity::Bytes;
use super::row::{Tone, ViewLine, ViewRow};
use super::sanitize::{self, Medium};
use super::view::Window;
use crate::exploration::{Exploration, ItemId, ItemKind};

/// What a person has typed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Key {
    Back,
    Char(char),
    Down,
    End,
    Enter,
    Erase,
    Escape,
    Home,
    Interrupt,
    PageDown,
    PageUp,
    Up,
}

/// Whether it goes on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Flow {
    Continue,
    Quit,
}

/// Where a person is in the layers of an image.
#[derive(Debug)]
pub(crate) struct Explorer<'e> {
    name: &'e str,
    exploration: &'e Exploration,
    /// The page that is shown is the last one; those before are gone back to.
    pages: Vec<ExplorerPage>,
    /// What is searched for, while it is typed.
    typed: Option<String>,
}

/// What is shown besides the list: the head, an empty line, and the keys.
const AROUND: usize = 4;

impl<'e> Explorer<'e> {
    /// At the layers of the image of this name.
    pub(crate) fn new(name: &'e str, exploration: &'e Exploration) -> Self {
        Self { name, exploration, pages: vec![ExplorerPage::layers(exploration)], typed: None }
    }

    fn page(&mut self) -> Option<&mut ExplorerPage> {
        self.pages.last_mut()
    }

    /// Does what a key asks for, in a window of this size.
    pub(crate) fn press(&mut self, key: Key, window: Window) -> Flow {
        if key == Key::Interrupt {
            return Flow::Quit;
        }
        if self.typed.is_some() {
            self.search(key);
            return Flow::Continue;
        }
        let step = window.rows.saturating_sub(AROUND).max(1);
        match key {
            Key::Char('q') => return Flow::Quit,
            Key::Back | Key::Escape | Key::Erase | Key::Char('h') => self.back(),
            Key::Enter | Key::Char('l') => self.enter(),
            Key::Char('/') => self.typed = Some(String::new()),
            Key::Char('w') => self.open(ExplorerPage::waste(self.exploration)),
            Key::Up | Key::Char('k') => self.go(|at| at.saturating_sub(1)),
            Key::Down | Key::Char('j') => self.go(|at| at + 1),
            Key::PageUp => self.go(|at| at.saturating_sub(step)),
            Key::PageDown => self.go(|at| at + step),
            Key::Home | Key::Char('g') => self.go(|_| 0),
            Key::End | Key::Char('G') => self.go(|_| usize::MAX),
            Key::Char(_) | Key::Interrupt => {}
        }
        Flow::Continue
    }

    fn go(&mut self, to: impl Fn(usize) -> usize) {
        if let Some(page) = self.page() {
            page.at = to(page.at).min(page.places.len().saturating_sub(1));
        }
    }

    fn back(&mut self) {
        if self.pages.len() > 1 {
            self.pages.pop();
        }
    }

    fn open(&mut self, page: ExplorerPage) {
        self.pages.push(page);
    }

    /// Opens what the cursor is at: a layer, a directory, or the directory that a path of a list is in.
    fn enter(&mut self) {
        let Some(page) = self.pages.last() else { return };
        let Some(place) = page.places.get(page.at) else { return };
        let opened = match *place {
            PageEntry::Layer(layer) => {
                ExplorerPage::files(self.exploration, self.exploration.root(layer))
            }
            PageEntry::Item(item) => {
                let found = self.exploration.get(item);
                match (found.kind, found.parent, page.is_list) {
                    (ItemKind::Directory, _, _) => ExplorerPage::files(self.exploration, item),
                    (_, Some(parent), true) => {
                        ExplorerPage::files(self.exploration, parent).pointing_at(item)
                    }
                    _ => return,
                }
            }
        };
        self.open(opened);
    }

    fn search(&mut self, key: Key) {
        let Some(typed) = &mut self.typed else { return };
        match key {
            Key::Char(char) => typed.push(char),
            Key::Erase => {
                typed.pop();
            }
            Key::Enter => {
                let words = std::mem::take(typed);
                self.typed = None;
                if !words.is_empty() {
                    let within = self.pages.last().and_then(|page| page.within);
                    self.open(ExplorerPage::found(self.exploration, within, &words));
                }
            }
            Key::Escape => self.typed = None,
            Key::Back
            | Key::Down
            | Key::End
            | Key::Home
            | Key::Interrupt
            | Key::PageDown
            | Key::PageUp
            | Key::Up => {}
        }
    }

    /// The rows of the window, from the top.
    pub(crate) fn draw(&self, window: Window, look: Look) -> Vec<ViewRow> {
        let room = window.rows.saturating_sub(AROUND);
        let mut lines = vec![self.head()];
        if let Some(page) = self.pages.last() {
            lines.push(ViewLine::new(clean(&page.title), Tone::Faint));
            let first = page.first(room);
            let shown = page.places.iter().enumerate().skip(first).take(room);
            lines.extend(shown.map(|(at, place)| self.line(page, at, *place)));
        }
        let rows = window.rows.saturating_sub(1);
        lines.truncate(rows);
        lines.resize(rows, ViewLine::default());
        lines.extend((window.rows > 0).then(|| self.foot()));
        lines.iter().map(|line| line.fit(window.columns, look)).collect()
    }

    fn head(&self) -> ViewLine {
        let found = self.exploration;
        let (all, lost) = (Bytes(found.bytes()), Bytes(found.wasted()));
        let text = format!("{}: {} layers", clean(self.name), found.layers.len());
        let percent = found.efficiency() * 100.0;
        ViewLine::new(text, Tone::Neutral)
            .ending(format!("{all}, {lost} wasted, {percent:.1}% seen"))
    }

    fn foot(&self) -> ViewLine {
        if let Some(typed) = &self.typed {
            return ViewLine::new(format!("search: {typed}_"), Tone::Warning);
        }
        ViewLine::new("arrows move, enter opens, / searches, w for waste, q quits", Tone::Faint)
    }

    fn line(&self, page: &ExplorerPage, at: usize, place: PageEntry) -> ViewLine {
        let mark = if at == page.at { ">" } else { " " };
        match place {
            PageEntry::Layer(number) => {
                let layer = &self.exploration.layers[number];
                let tone = if layer.wasted > 0 { Tone::Warning } else { Tone::Neutral };
                let title = clean(&layer.title);
                let text = format!("{mark} {:>3} {:>7} {title}", number + 1, Bytes(layer.bytes));
                let lost = format!("{} wasted", Bytes(layer.wasted));
                ViewLine::new(text, tone).ending(if layer.wasted > 0 {
                    lost
                } else {
                    String::new()
                })
            }
            PageEntry::Item(item) => self.item(mark, item, page),
        }
    }

    fn item(&self, mark: &str, id: ItemId, page: &ExplorerPage) -> ViewLine {
        let item = self.exploration.get(id);
        let name = if page.is_list {
            format!("{} (layer {})", self.exploration.path(id), self.exploration.layer(id) + 1)
        } else {
            let slash = if item.kind == ItemKind::Directory { "/" } else { "" };
            format!("{}{slash}", String::from_utf8_lossy(&item.name))
        };
        let (sign, tone) = page::sign(item);
        let text = format!("{mark} {sign} {:>7} {}", Bytes(item.bytes), clean(&name));
        ViewLine::new(text, tone).ending(page::end(item))
    }
}

fn clean(text: &str) -> String {
    sanitize::text(text.as_bytes(), Medium::Log).replace('\t', " ")
}

#[cfg(test)]
mod tests;
