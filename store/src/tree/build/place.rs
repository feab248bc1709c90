//! Where an entry goes whose path leads through symbolic links of the same layer: where an unpacker
//! that cannot leave its root would put it.

use crate::path::LayerPath;
use crate::tree::build::{InsertCause, InsertError, Kind, TreeBuilder, failed};
use crate::tree::entry::{Name, Node};
use crate::tree::resolve::LINKS_MAX;

impl TreeBuilder {
    /// The place of a path: links on the way to its last name are followed, as far as they have
    /// been inserted, with the root of the layer for the root.
    ///
    /// # Errors
    ///
    /// If links lead in a circle or out of the root, or the place is past a limit.
    pub fn place(&self, path: LayerPath) -> Result<LayerPath, InsertError> {
        if !self.leads_through_links(&path) {
            return Ok(path);
        }
        let fail = |cause| failed(&path, cause);
        let mut rest: Vec<Name> = path.components().map(Name::from).collect();
        rest.reverse();
        let (mut at, mut links) = (Vec::<Name>::new(), 0);
        while let Some(name) = rest.pop() {
            if &*name == b".." {
                at.pop().ok_or_else(|| fail(InsertCause::Outside))?;
                continue;
            }
            at.push(name);
            let Some(target) = self.link_at(&at).filter(|_| !rest.is_empty()) else { continue };
            links += 1;
            if LINKS_MAX < links {
                return Err(fail(InsertCause::Loop));
            }
            let kept = if target.starts_with(b"/") { 0 } else { at.len() - 1 };
            at.truncate(kept);
            let names = target.split(|byte| *byte == b'/');
            rest.extend(names.filter(|name| !matches!(*name, b"" | b".")).rev().map(Name::from));
        }
        LayerPath::parse(&at.join(&b'/')).map_err(|cause| fail(cause.into()))
    }

    fn leads_through_links(&self, path: &LayerPath) -> bool {
        let mut draft = Some(&self.root);
        for name in path.components() {
            match draft.map(|draft| &draft.kind) {
                Some(Kind::Directory(_, children)) => draft = children.get(name),
                Some(Kind::Leaf(_, Node::Symlink(_))) => return true,
                Some(Kind::Leaf(..) | Kind::Nothing) | None => return false,
            }
        }
        false
    }

    fn link_at(&self, path: &[Name]) -> Option<&[u8]> {
        let mut draft = &self.root;
        for name in path {
            let Kind::Directory(_, children) = &draft.kind else { return None };
            draft = children.get(name)?;
        }
        match &draft.kind {
            Kind::Leaf(_, Node::Symlink(target)) => Some(target),
            Kind::Leaf(..) | Kind::Directory(..) | Kind::Nothing => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::entry::Metadata;

    fn place(links: &[(&str, &str)], path: &str) -> Result<String, InsertCause> {
        let parse = |text: &str| LayerPath::parse(text.as_bytes()).unwrap();
        let mut builder = TreeBuilder::new();
        for (at, target) in links {
            let node = Node::Symlink(target.as_bytes().into());
            builder.insert(&parse(at), Metadata::default(), node).unwrap();
        }
        builder.place(parse(path)).map(|place| place.to_string()).map_err(|error| error.cause)
    }

    #[test]
    fn links_on_the_way_are_followed_beneath_the_root() {
        let links = [("lib", "usr/lib"), ("abs", "/usr/lib"), ("usr/up", "../lib"), ("a", "abs")];
        for path in ["lib/x", "abs/x", "usr/up/x", "a/x", "usr/lib/x"] {
            assert_eq!(place(&links, path).as_deref(), Ok("/usr/lib/x"), "{path}");
        }
        assert_eq!(place(&links, "lib").as_deref(), Ok("/lib"));
        assert_eq!(place(&links, "lib/lib/s/x").as_deref(), Ok("/usr/lib/lib/s/x"));
    }

    #[test]
    fn links_out_of_the_root_and_in_a_circle_lead_nowhere() {
        assert_eq!(place(&[("l", "../etc")], "l/x"), Err(InsertCause::Outside));
        assert_eq!(place(&[("d/l", "../../etc")], "d/l/x"), Err(InsertCause::Outside));
        assert_eq!(place(&[("a", "b"), ("b", "a")], "a/x"), Err(InsertCause::Loop));
        assert_eq!(place(&[("l", "l")], "l/x"), Err(InsertCause::Loop));
    }
}
