//! What the layers of an image hold, and what of it a container never sees.
//!
//! A layer that replaces or removes a file does not make the image smaller: the bytes stay in the layer below, are
//! stored and sent, and nobody can read them. That is waste.

use std::collections::BTreeMap;

use wythe_store::tree::entry::{Claim, Directory, Entry, LinkGroup, Name, Node, Tree};

/// All layers of an image, the lowest first.
#[derive(Debug, Default)]
pub(crate) struct Exploration {
    pub(crate) layers: Vec<ExploredLayer>,
    items: Vec<Item>,
    bodies: Vec<Body>,
}

/// One layer.
#[derive(Debug)]
pub(crate) struct ExploredLayer {
    /// The instruction that made it.
    pub(crate) title: String,
    /// How many regular files it has, and their bytes; hard links count once.
    pub(crate) files: usize,
    pub(crate) bytes: u64,
    /// How many of these bytes no container sees.
    pub(crate) wasted: u64,
    root: ItemId,
}

/// An entry of a layer, by its number among those of all layers.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct ItemId(usize);

/// An entry of a layer.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) name: Name,
    pub(crate) kind: ItemKind,
    /// What it did to the layers below.
    pub(crate) effect: Effect,
    /// Bytes of regular files in it or below it; hard links count at their first name.
    pub(crate) bytes: u64,
    /// Which layer ended it, and how.
    pub(crate) end: Option<(usize, Ending)>,
    pub(crate) parent: Option<ItemId>,
    pub(crate) children: Vec<ItemId>,
    body: Option<usize>,
}

/// What an entry is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ItemKind {
    Directory,
    File,
    Link,
    /// A pipe or a device.
    Other,
    Whiteout,
}

/// What an entry of a layer does to what is below.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Effect {
    Adds,
    /// A directory that was there, in which something changes.
    Changes,
    Removes,
    Replaces,
}

/// How a later layer ended what an entry had brought.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ending {
    Removed,
    Replaced,
}

/// A path and what is lost of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Waste {
    pub(crate) path: String,
    pub(crate) bytes: u64,
    /// In which layers these bytes are, from 1.
    pub(crate) layers: Vec<usize>,
}

/// Bytes that one or, as hard links, several names have.
#[derive(Debug)]
struct Body {
    item: ItemId,
    layer: usize,
    names: usize,
    size: u64,
}

/// What a container sees at a name once the layers until now lie over each other.
#[derive(Debug, Default)]
struct Visible {
    item: Option<ItemId>,
    is_directory: bool,
    children: BTreeMap<Name, Visible>,
}

impl Exploration {
    /// Layers with what made them, the lowest first.
    pub(crate) fn new<'t>(layers: impl IntoIterator<Item = (String, &'t Tree)>) -> Self {
        let mut found = Self::default();
        let mut seen = Visible { is_directory: true, ..Visible::default() };
        for (title, tree) in layers {
            let root = found.item(b"", ItemKind::Directory, None);
            let layer = ExploredLayer { title, files: 0, bytes: 0, wasted: 0, root };
            found.layers.push(layer);
            let mut links = BTreeMap::new();
            found.directory(&tree.children, root, &mut seen, &mut links);
        }
        for body in &found.bodies {
            if body.names == 0 {
                found.layers[body.layer].wasted += body.size;
            }
        }
        found
    }

    /// The bytes of regular files of all layers.
    pub(crate) fn bytes(&self) -> u64 {
        self.layers.iter().map(|layer| layer.bytes).sum()
    }

    /// How many of them no container sees.
    pub(crate) fn wasted(&self) -> u64 {
        self.layers.iter().map(|layer| layer.wasted).sum()
    }

    /// The share of bytes that containers see, from 0 to 1.
    pub(crate) fn efficiency(&self) -> f64 {
        1.0 - share(self.wasted(), self.bytes())
    }

    /// The share of the bytes of all layers but the lowest that are lost, from 0 to 1: what one's own instructions waste.
    pub(crate) fn own_waste(&self) -> f64 {
        let own = self.layers.iter().skip(1);
        let (wasted, bytes) =
            own.fold((0, 0), |(wasted, bytes), layer| (wasted + layer.wasted, bytes + layer.bytes));
        share(wasted, bytes)
    }

    /// What is lost, by path, the most first.
    pub(crate) fn waste(&self) -> Vec<Waste> {
        let mut found: BTreeMap<String, Waste> = BTreeMap::new();
        for body in self.lost_bodies() {
            let path = self.path(body.item);
            let waste = found.entry(path.clone());
            let waste = waste.or_insert(Waste { path, bytes: 0, layers: Vec::new() });
            waste.bytes += body.size;
            waste.layers.push(body.layer + 1);
        }
        let mut found: Vec<Waste> = found.into_values().collect();
        found.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.path.cmp(&b.path)));
        found
    }

    fn lost_bodies(&self) -> impl Iterator<Item = &Body> {
        self.bodies.iter().filter(|body| body.names == 0 && body.size > 0)
    }

    pub(crate) fn get(&self, id: ItemId) -> &Item {
        &self.items[id.0]
    }

    /// The first names of what is lost, the most first.
    pub(crate) fn lost(&self) -> Vec<ItemId> {
        let mut lost: Vec<&Body> = self.lost_bodies().collect();
        lost.sort_by_key(|body| std::cmp::Reverse(body.size));
        lost.iter().map(|body| body.item).collect()
    }

    /// Which layer an entry is of, from 0.
    pub(crate) fn layer(&self, id: ItemId) -> usize {
        // The entries of a layer come after its root, and before the next one's.
        self.layers.partition_point(|layer| layer.root <= id).saturating_sub(1)
    }

    /// The root directory of a layer, from 0.
    pub(crate) fn root(&self, layer: usize) -> ItemId {
        self.layers[layer].root
    }

    /// From the root of its image on.
    pub(crate) fn path(&self, id: ItemId) -> String {
        let item = self.get(id);
        match item.parent {
            None => String::new(),
            Some(parent) => {
                format!("{}/{}", self.path(parent), String::from_utf8_lossy(&item.name))
            }
        }
    }

    fn item(&mut self, name: &[u8], kind: ItemKind, parent: Option<ItemId>) -> ItemId {
        let id = ItemId(self.items.len());
        let (effect, children) = (Effect::Adds, Vec::new());
        let (bytes, end, body) = (0, None, None);
        self.items.push(Item {
            name: name.into(),
            kind,
            effect,
            bytes,
            end,
            parent,
            children,
            body,
        });
        if let Some(parent) = parent {
            self.items[parent.0].children.push(id);
        }
        id
    }

    /// Lays a directory of the last layer over what is seen there.
    fn directory(
        &mut self,
        directory: &Directory,
        parent: ItemId,
        seen: &mut Visible,
        links: &mut BTreeMap<LinkGroup, usize>,
    ) {
        for entry in directory.entries() {
            let item = self.item(&entry.name, kind(&entry.node), Some(parent));
            match &entry.node {
                Node::Whiteout => {
                    self.items[item.0].effect = Effect::Removes;
                    if let Some(below) = seen.children.remove(&entry.name) {
                        self.end(&below, Ending::Removed);
                    }
                }
                Node::Directory(below) => {
                    let child = seen.children.entry(entry.name.clone()).or_default();
                    self.open(child, (item, below.claim));
                    self.directory(&below.children, item, child, links);
                }
                Node::BlockDevice(_)
                | Node::CharDevice(_)
                | Node::Fifo
                | Node::File(_)
                | Node::Symlink(_) => self.leaf(entry, item, seen, links),
            }
        }
        let children = self.items[parent.0].children.iter();
        self.items[parent.0].bytes = children.map(|child| self.items[child.0].bytes).sum();
    }

    /// A directory over whatever was seen there.
    fn open(&mut self, seen: &mut Visible, (item, claim): (ItemId, Claim)) {
        let effect = match (seen.is_directory, seen.item) {
            (true, _) => Effect::Changes,
            (false, Some(_)) => Effect::Replaces,
            (false, None) => Effect::Adds,
        };
        self.items[item.0].effect = effect;
        if !seen.is_directory {
            self.end(seen, Ending::Replaced);
        }
        if claim == Claim::Opaque {
            for below in std::mem::take(&mut seen.children).values() {
                self.end(below, Ending::Removed);
            }
        }
        (seen.item, seen.is_directory) = (Some(item), true);
    }

    /// Anything but a directory over whatever was seen there.
    fn leaf(
        &mut self,
        entry: &Entry,
        item: ItemId,
        seen: &mut Visible,
        links: &mut BTreeMap<LinkGroup, usize>,
    ) {
        let new = Visible { item: Some(item), ..Visible::default() };
        if let Some(below) = seen.children.insert(entry.name.clone(), new) {
            self.items[item.0].effect = Effect::Replaces;
            self.end(&below, Ending::Replaced);
        }
        let Node::File(file) = &entry.node else { return };
        let known = file.link.and_then(|link| links.get(&link).copied());
        let body = known.unwrap_or(self.bodies.len());
        self.items[item.0].body = Some(body);
        if let Some(body) = known {
            self.bodies[body].names += 1;
            return;
        }
        let layer = self.layers.len() - 1;
        self.bodies.push(Body { item, layer, names: 1, size: file.size });
        self.items[item.0].bytes = file.size;
        self.layers[layer].files += 1;
        self.layers[layer].bytes += file.size;
        if let Some(link) = file.link {
            links.insert(link, body);
        }
    }

    /// What was seen until now is no more, because of the last layer.
    fn end(&mut self, seen: &Visible, how: Ending) {
        if let Some(item) = seen.item {
            let layer = self.layers.len() - 1;
            self.items[item.0].end = Some((layer, how));
            if let Some(body) = self.items[item.0].body {
                self.bodies[body].names -= 1;
            }
        }
        seen.children.values().for_each(|below| self.end(below, Ending::Removed));
    }
}

fn kind(node: &Node) -> ItemKind {
    match node {
        Node::Directory(_) => ItemKind::Directory,
        Node::File(_) => ItemKind::File,
        Node::Symlink(_) => ItemKind::Link,
        Node::Whiteout => ItemKind::Whiteout,
        Node::BlockDevice(_) | Node::CharDevice(_) | Node::Fifo => ItemKind::Other,
    }
}

/// One number of another; of nothing nothing is a part.
#[expect(clippy::cast_precision_loss, reason = "shares are shown with four digits")]
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;

    use wythe_store::id::BodyId;
    use wythe_store::tree::entry::{File, Metadata, Subdirectory};

    use super::*;

    fn entry(name: &str, node: Node) -> Entry {
        Entry { name: name.as_bytes().into(), metadata: Metadata::default(), node }
    }

    pub(crate) fn file(name: &str, size: u64) -> Entry {
        entry(name, Node::File(File { body: BodyId::of(b""), size, link: None }))
    }

    fn link(name: &str, size: u64) -> Entry {
        entry(name, Node::File(File { body: BodyId::of(b""), size, link: Some(LinkGroup(1)) }))
    }

    pub(crate) fn gone(name: &str) -> Entry {
        entry(name, Node::Whiteout)
    }

    pub(crate) fn directory(name: &str, claim: Claim, entries: Vec<Entry>) -> Entry {
        let children = Arc::new(Directory::from_entries(entries));
        entry(name, Node::Directory(Subdirectory { claim, children }))
    }

    pub(crate) fn explore(layers: Vec<Vec<Entry>>) -> Exploration {
        let tree =
            |entries| Tree { root: None, children: Arc::new(Directory::from_entries(entries)) };
        let trees: Vec<Tree> = layers.into_iter().map(tree).collect();
        let titles = (1..).map(|layer| format!("RUN {layer}"));
        Exploration::new(titles.zip(&trees))
    }

    #[track_caller]
    fn check(layers: Vec<Vec<Entry>>, wasted: &[u64], waste: &[(&str, u64, &[usize])]) {
        let found = explore(layers);
        let by_layer: Vec<u64> = found.layers.iter().map(|layer| layer.wasted).collect();
        assert_eq!(by_layer, wasted);
        let expected = waste.iter().map(|(path, bytes, layers)| Waste {
            path: (*path).to_owned(),
            bytes: *bytes,
            layers: layers.to_vec(),
        });
        assert_eq!(found.waste(), expected.collect::<Vec<_>>());
    }

    #[test]
    fn a_file_that_is_replaced_or_removed_is_lost_in_the_layer_that_has_it() {
        let layers = vec![
            vec![file("a", 10), file("b", 20), file("c", 5)],
            vec![file("a", 11), gone("b")],
            vec![file("a", 12)],
        ];
        check(layers, &[30, 11, 0], &[("/a", 21, &[1, 2]), ("/b", 20, &[1])]);
    }

    #[test]
    fn what_lies_below_a_directory_goes_with_it() {
        use Claim::{Explicit, Opaque};
        let full = || vec![directory("d", Explicit, vec![file("x", 3), file("y", 4)])];
        check(vec![full(), vec![gone("d")]], &[7, 0], &[("/d/y", 4, &[1]), ("/d/x", 3, &[1])]);
        let over = vec![directory("d", Opaque, vec![file("x", 1)])];
        check(vec![full(), over], &[7, 0], &[("/d/y", 4, &[1]), ("/d/x", 3, &[1])]);
        let beside = vec![directory("d", Explicit, vec![file("z", 1)])];
        check(vec![full(), beside], &[0, 0], &[]);
        check(vec![full(), vec![file("d", 9)]], &[7, 0], &[("/d/y", 4, &[1]), ("/d/x", 3, &[1])]);
    }

    #[test]
    fn hard_links_count_once_and_are_lost_with_their_last_name() {
        let both = || vec![link("a", 8), link("b", 8)];
        check(vec![both(), vec![gone("a")]], &[0, 0], &[]);
        check(vec![both(), vec![gone("a")], vec![gone("b")]], &[8, 0, 0], &[("/a", 8, &[1])]);
        assert_eq!(explore(vec![both()]).bytes(), 8);
    }

    #[test]
    fn an_entry_knows_what_it_did_and_what_became_of_it() {
        let layers = vec![
            vec![directory("d", Claim::Explicit, vec![file("x", 3)])],
            vec![directory("d", Claim::Implied, vec![file("x", 4), file("n", 1)])],
        ];
        let found = explore(layers);
        let child = |id, at: usize| found.get(id).children[at];
        let (below, above) = (child(found.root(0), 0), child(found.root(1), 0));
        assert_eq!(found.get(above).effect, Effect::Changes);
        assert_eq!(found.get(child(above, 0)).effect, Effect::Adds);
        assert_eq!(found.get(child(above, 1)).effect, Effect::Replaces);
        assert_eq!(found.get(child(below, 0)).end, Some((1, Ending::Replaced)));
        assert_eq!((found.get(above).bytes, found.path(child(above, 1))), (5, "/d/x".to_owned()));
    }

    #[test]
    fn efficiency_is_the_share_of_bytes_that_are_seen() {
        let found = explore(vec![vec![file("a", 60)], vec![file("a", 20)], vec![file("a", 20)]]);
        assert_eq!((found.bytes(), found.wasted()), (100, 80));
        assert!((found.efficiency() - 0.2).abs() < 1e-9);
        assert!((found.own_waste() - 0.5).abs() < 1e-9);
        assert!((explore(Vec::new()).efficiency() - 1.0).abs() < 1e-9);
    }
}
