//! Trees for tests, written as words: `d/` directory, `d@7/` directory of user 7, `d!` opaque directory,
//! `f=body` file, `f=body@1` file of link group 1, `l>target` link, `-x` or `d/-x` whiteout.

use crate::id::BodyId;
use crate::path::LayerPath;
use crate::timestamp::Timestamp;
use crate::tree::build::TreeBuilder;
use crate::tree::entry::{File, LinkGroup, Metadata, Node, Tree};

/// Builds the tree that `words` describe.
pub(crate) fn sketch(words: &str) -> Tree {
    let mut builder = TreeBuilder::new();
    for word in words.split_whitespace() {
        add(&mut builder, word);
    }
    builder.finish()
}

fn add(builder: &mut TreeBuilder, word: &str) {
    let path = |text: &str| LayerPath::parse(text.as_bytes()).expect("a name of a test");
    let directory = Metadata { mode: 0o755, ..Metadata::default() };
    let mtime = Timestamp::from_seconds(1);
    if let Some((name, body)) = word.split_once('=') {
        let (body, group) = body.split_once('@').map_or((body, None), |(b, g)| (b, Some(g)));
        let link = group.map(|group| LinkGroup(group.parse().expect("a name of a test")));
        let file = File { body: BodyId::of(body.as_bytes()), size: body.len() as u64, link };
        let metadata = Metadata { mode: 0o644, mtime, ..Metadata::default() };
        builder.insert(&path(name), metadata, Node::File(file)).expect("a name of a test");
    } else if let Some((name, target)) = word.split_once('>') {
        let metadata = Metadata { mode: 0o777, mtime, ..Metadata::default() };
        builder
            .insert(&path(name), metadata, Node::Symlink(target.as_bytes().into()))
            .expect("a name of a test");
    } else if let Some(name) = word.strip_suffix('/') {
        let (name, user) = name.split_once('@').unwrap_or((name, "0"));
        let directory = Metadata { uid: user.parse().expect("a name of a test"), ..directory };
        builder.directory(&path(name), directory).expect("a name of a test");
    } else if let Some(name) = word.strip_suffix('!') {
        builder.directory(&path(name), directory).expect("a name of a test");
        builder.opaque(&path(name)).expect("a name of a test");
    } else {
        let (parent, name) = word.rsplit_once('/').unwrap_or(("", word));
        builder.whiteout(&path(&format!("{parent}/{}", &name[1..]))).expect("a name of a test");
    }
}
