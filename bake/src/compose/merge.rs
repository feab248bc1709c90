//! One project out of several files: mappings are merged, lists joined, the rest replaced.

use super::yaml::{Data, Merging, Node};
use crate::source::Span;

/// Keys whose lists of `name=value` are mappings in another form.
const PAIRS: [&str; 7] =
    ["additional_contexts", "args", "environment", "extra_hosts", "labels", "ssh", "sysctls"];

/// What `over` says, over what `base` says; `key` is what they are the values of.
pub(super) fn merged(base: Node, over: Node, key: &str) -> Node {
    if over.tag == Some(Merging::Override) {
        return Node { tag: None, ..over };
    }
    let (base, over) = (normal(base, key), normal(over, key));
    let (span, tag) = (over.span, over.tag);
    let data = match (base.data, over.data) {
        (base, Data::Null) => base,
        (Data::Mapping(base), Data::Mapping(over)) => Data::Mapping(members(base, over)),
        (Data::Sequence(mut base), Data::Sequence(over)) => {
            for item in over {
                if !base.iter().any(|other| is_same(other, &item)) {
                    base.push(item);
                }
            }
            Data::Sequence(base)
        }
        (_, over) => over,
    };
    Node { data, span, tag }
}

fn members(mut base: Vec<(String, Node)>, over: Vec<(String, Node)>) -> Vec<(String, Node)> {
    for (name, node) in over {
        let at = base.iter().position(|(other, _)| *other == name);
        match at {
            Some(at) if node.tag == Some(Merging::Reset) => drop(base.remove(at)),
            None if node.tag == Some(Merging::Reset) => {}
            Some(at) => {
                let (_, before) = base.remove(at);
                base.insert(at, (name.clone(), merged(before, node, &name)));
            }
            None => base.push((name, node)),
        }
    }
    base
}

fn is_same(one: &Node, other: &Node) -> bool {
    match (&one.data, &other.data) {
        (Data::Scalar { text: one, .. }, Data::Scalar { text: other, .. }) => one == other,
        _ => false,
    }
}

/// The long form of what may be written shorter, so that two forms can be merged.
pub(super) fn normal(node: Node, key: &str) -> Node {
    let Node { data, span, tag } = node;
    let data = match data {
        Data::Scalar { text, is_plain } if key == "build" => {
            let context = Node { data: Data::Scalar { text, is_plain }, span, tag: None };
            Data::Mapping(vec![("context".to_owned(), context)])
        }
        Data::Sequence(items) if PAIRS.contains(&key) => {
            Data::Mapping(items.into_iter().filter_map(|item| pair(item, key)).collect())
        }
        data => data,
    };
    Node { data, span, tag }
}

/// `name=value` as a member; a name alone has no value.
fn pair(item: Node, key: &str) -> Option<(String, Node)> {
    let span = item.span;
    let Data::Scalar { text, .. } = item.data else { return None };
    let split = text.split_once('=').or_else(|| {
        let colon = if key == "extra_hosts" { text.split_once(':') } else { None };
        colon.map(|(name, value)| (name, value.trim()))
    });
    Some(match split {
        Some((name, value)) => (name.to_owned(), Node::scalar(value, span)),
        None => (text.clone(), absent(key, span)),
    })
}

/// What a name without a value stands for: labels are empty, arguments are looked up.
fn absent(key: &str, span: Span) -> Node {
    if key == "labels" || key == "ssh" {
        return Node::scalar("", span);
    }
    Node { data: Data::Null, span, tag: None }
}
