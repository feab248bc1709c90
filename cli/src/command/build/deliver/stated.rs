//! A statement of how files were built, as a file among them.

use std::sync::Arc;

use serde_json::{Value, json};
use wythe_store::tree::entry::{Directory, Entry, File, Metadata, Node, Tree};
use wythe_store::tree::files::files;

use super::goods::Goods;
use crate::command::build::provenance::statement;
use crate::failure::{Class, Failure};

/// The mode of the file, as `BuildKit` has it.
const MODE: u32 = 0o600;

impl Goods<'_> {
    /// The files with a statement of this name about each of them, in the place of what has that name.
    pub(super) fn stated(
        &self,
        tree: &Tree,
        name: &str,
        predicate: &Value,
    ) -> Result<Tree, Failure> {
        let mut subject = Vec::new();
        for (path, _, file) in files(&tree.children) {
            let bytes = self.lease.store().body(&file.body)?.ok_or_else(|| {
                Failure::new(Class::Damage, format!("the bytes of {path} are missing"))
            })?;
            let name = String::from_utf8_lossy(path.as_bytes());
            let digest = bytes.digest()?.hex();
            subject.push(json!({"name": name, "digest": {"sha256": digest}}));
        }
        let text = format!("{:#}\n", statement(&subject, predicate));
        let body = self.lease.put_body(text.as_bytes())?;
        let file = File { body, size: text.len() as u64, link: None };
        let metadata = Metadata { mode: MODE, ..Metadata::default() };
        let mut children = Directory::clone(&tree.children);
        children.insert(Entry { name: name.as_bytes().into(), metadata, node: Node::File(file) });
        Ok(Tree { root: tree.root.clone(), children: Arc::new(children) })
    }
}
