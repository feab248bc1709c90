//! Commands of docker's groups that are ours under another name, with the flags of ours.

/// How docker says it, and how we do.
pub(crate) const EQUIVALENTS: [(&[&str], &[&str]); 20] = [
    (&["builder", "build"], &["build"]),
    (&["builder", "prune"], &["prune"]),
    (&["buildx", "bake"], &["bake"]),
    (&["buildx", "build"], &["build"]),
    (&["buildx", "du"], &["du"]),
    (&["buildx", "imagetools", "create"], &["index", "create"]),
    (&["buildx", "prune"], &["prune"]),
    (&["image", "build"], &["build"]),
    (&["image", "history"], &["history"]),
    (&["image", "inspect"], &["inspect"]),
    (&["image", "load"], &["load"]),
    (&["image", "ls"], &["images"]),
    (&["image", "prune"], &["prune"]),
    (&["image", "pull"], &["pull"]),
    (&["image", "push"], &["push"]),
    (&["image", "rm"], &["rmi"]),
    (&["image", "save"], &["save"]),
    (&["image", "tag"], &["tag"]),
    (&["system", "df"], &["du"]),
    (&["system", "prune"], &["prune"]),
];

/// How else a command of ours is called.
pub(crate) fn of(ours: &[&str]) -> Vec<Vec<&'static str>> {
    let named = EQUIVALENTS.iter().filter(|(_, known)| *known == ours);
    named.map(|(others, _)| others.to_vec()).collect()
}

/// What a command is called by us.
pub(crate) fn ours<'a>(called: &[&'a str]) -> Vec<&'a str> {
    let known = EQUIVALENTS.iter().find(|(others, _)| *others == called);
    known.map_or_else(|| called.to_vec(), |(_, ours)| ours.to_vec())
}
