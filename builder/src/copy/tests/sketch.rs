//! Trees as one line of text, for tests: `d/` is a directory, `d/f=F` a file of one letter,
//! `l->t` a link, `p|` a pipe, `x!w` a whiteout; `!755`, `@5:6`, `#2` and `~9` give mode, owner,
//! link group and mtime. A changeset shows implied directories in brackets.

use std::fmt::Write;
use std::sync::Arc;

use wythe_store::id::BodyId;
use wythe_store::timestamp::Timestamp;
use wythe_store::tree::entry::{
    Claim, Directory, Entry, File, LinkGroup, Metadata, Name, Node, Subdirectory, Tree,
};

use crate::copy::canvas::Canvas;

/// The tree of a sketch; directories on the way are 0755 root.
pub(crate) fn tree(sketch: &str) -> Tree {
    let mut canvas = Canvas::over(Arc::default());
    for word in sketch.split_whitespace() {
        let (path, metadata, node) = parse(word);
        let path: Vec<Name> =
            path.trim_end_matches('/').split('/').map(|part| part.as_bytes().into()).collect();
        for end in 1..path.len() {
            if canvas.seen(&path[..end]).is_none() {
                canvas
                    .make_directory(&path[..end], Metadata { mode: 0o755, ..Metadata::default() });
            }
        }
        let name = path[path.len() - 1].clone();
        match node {
            Some(node) => canvas.put(&path, Entry { name, metadata, node }),
            None => canvas.make_directory(&path, metadata),
        }
    }
    Tree { root: Some(Metadata { mode: 0o755, ..Metadata::default() }), ..canvas.finish() }
}

pub(crate) fn parse(word: &str) -> (&str, Metadata, Option<Node>) {
    let at = word.find(['!', '@', '#', '~']).unwrap_or(word.len());
    let (what, flags) = word.split_at(at);
    let (path, mut node) = match (what.split_once("->"), what.split_once('=')) {
        (Some((path, target)), _) => (path, Some(Node::Symlink(target.as_bytes().into()))),
        (None, Some((path, text))) => (path, Some(file(text))),
        (None, None) if what.ends_with('|') => (what.trim_end_matches('|'), Some(Node::Fifo)),
        (None, None) => (what, None),
    };
    let mode = match &node {
        Some(Node::Symlink(_)) => 0o777,
        Some(_) => 0o644,
        None => 0o755,
    };
    let mut metadata = Metadata { mode, ..Metadata::default() };
    let mut rest = flags;
    while let Some(sign) = rest.chars().next() {
        let end = rest[1..].find(['!', '@', '#', '~']).map_or(rest.len(), |end| end + 1);
        flag(sign, &rest[1..end], &mut metadata, &mut node);
        rest = &rest[end..];
    }
    (path, metadata, node)
}

fn flag(sign: char, value: &str, metadata: &mut Metadata, node: &mut Option<Node>) {
    match (sign, node) {
        ('!', _) => metadata.mode = u32::from_str_radix(value, 8).unwrap(),
        ('@', _) => {
            let (uid, gid) = value.split_once(':').unwrap();
            (metadata.uid, metadata.gid) = (uid.parse().unwrap(), gid.parse().unwrap());
        }
        ('~', _) => metadata.mtime = Timestamp::from_seconds(value.parse().unwrap()),
        ('#', Some(Node::File(file))) => file.link = Some(LinkGroup(value.parse().unwrap())),
        _ => panic!("no such flag: {sign}{value}"),
    }
}

fn file(text: &str) -> Node {
    Node::File(File { body: BodyId::of(text.as_bytes()), size: text.len() as u64, link: None })
}

/// The sketch of a tree, in order. Ordinary modes, root and the epoch are left out.
pub(crate) fn show(tree: &Tree) -> String {
    let mut words = Vec::new();
    walk(&tree.children, "", &mut words);
    words.join(" ")
}

fn walk(directory: &Directory, path: &str, words: &mut Vec<String>) {
    for entry in directory.entries() {
        let path = format!("{path}{}", String::from_utf8_lossy(&entry.name));
        let Metadata { mode, uid, gid, mtime, .. } = entry.metadata;
        let (mut word, usual) = match &entry.node {
            Node::Directory(Subdirectory { claim: Claim::Implied, .. }) => {
                (format!("[{path}/]"), mode)
            }
            Node::Directory(Subdirectory { claim: Claim::Opaque, .. }) => {
                (format!("{path}/opaque"), 0o755)
            }
            Node::Directory(_) => (format!("{path}/"), 0o755),
            Node::Symlink(target) => {
                (format!("{path}->{}", String::from_utf8_lossy(target)), 0o777)
            }
            Node::File(file) => (format!("{path}={}", letter(file)), 0o644),
            Node::Fifo => (format!("{path}|"), 0o644),
            other @ (Node::BlockDevice(_) | Node::CharDevice(_) | Node::Whiteout) => {
                panic!("not in sketches: {other:?}")
            }
        };
        if mode != usual {
            write!(word, "!{mode:o}").unwrap();
        }
        if (uid, gid) != (0, 0) {
            write!(word, "@{uid}:{gid}").unwrap();
        }
        if let Node::File(File { link: Some(LinkGroup(group)), .. }) = entry.node {
            write!(word, "#{group}").unwrap();
        }
        if mtime != Timestamp::default() {
            write!(word, "~{}", mtime.seconds).unwrap();
        }
        words.push(word);
        if let Node::Directory(below) = &entry.node {
            walk(&below.children, &format!("{path}/"), words);
        }
    }
}

fn letter(file: &File) -> char {
    let all = (' '..='~').find(|letter| BodyId::of(letter.to_string().as_bytes()) == file.body);
    all.unwrap_or('?')
}
