//! Why a step was not answered from the cache: its inputs beside those of the last time.

use wythe_store::id::CacheKey;
use wythe_store::journal::batch::{Batch, Table};

use crate::environment::Environment;
use crate::graph::Vertex;
use crate::operation::Lookup;
use crate::operation::facts::Fact;
use crate::progress::{Event, StepId};

/// Remembers which key the step of this place had.
pub(crate) fn note(batch: &mut Batch, vertex: &Vertex, key: CacheKey) {
    batch.put(Table::Notes, &slot(vertex), key.as_bytes().to_vec());
}

/// Reports what differs from the last time a step of this place ran, to who wants to know.
pub(crate) fn report(env: Environment<'_>, index: usize, vertex: &Vertex) {
    if !env.progress.is_curious() {
        return;
    }
    let reason = match earlier(env, vertex) {
        None => "no earlier result is known".to_owned(),
        Some(old) => difference(&old, &vertex.operation.facts(Lookup::Definition)),
    };
    env.progress.event(&Event::Explained { step: StepId(index + 1), reason: &reason });
}

fn earlier(env: Environment<'_>, vertex: &Vertex) -> Option<Vec<Fact>> {
    let key = env.store.journal().get(Table::Notes, &slot(vertex))?;
    let key = CacheKey::from_bytes(key.try_into().ok()?);
    env.store.action(&key).ok().flatten().map(|action| action.inputs)
}

/// The place of a step: which stage, which instruction.
fn slot(vertex: &Vertex) -> Vec<u8> {
    let label = vertex.name.split(']').next().unwrap_or_default();
    [b"explain\0", label.as_bytes()].concat()
}

fn difference(old: &[Fact], new: &[Fact]) -> String {
    let changed = new.iter().zip(old).find(|(new, old)| new != old);
    match changed {
        Some(((name, new), (old_name, old))) if name == old_name => {
            format!("{name} changed from {old:?} to {new:?}")
        }
        Some(((name, new), _)) => format!("{name} {new:?} is new"),
        None if new.len() != old.len() => "the instruction has other parts".to_owned(),
        None => "what it reads has changed: the step below it, or files that it copies".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::difference;

    #[test]
    fn the_first_difference_is_named() {
        let fact = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let old = [fact("argument", "a"), fact("user", "root")];
        let new = [fact("argument", "a"), fact("user", "app")];
        assert_eq!(difference(&old, &new), "user changed from \"root\" to \"app\"");
        assert!(difference(&old, &old).contains("files"));
    }
}
