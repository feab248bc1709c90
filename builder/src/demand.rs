//! Which vertices of a graph have to be looked at, and which have to run.
//!
//! Work starts at the targets and goes down. A vertex whose result is known needs nothing but its
//! *parent*, the vertex whose layers lie below its own, because those are part of the image too. A
//! vertex whose result is not known needs all its inputs. What nobody needs is never touched.

use std::collections::BTreeMap;

/// How vertices hang together, as far as demand goes. Inputs have lower indexes than their users.
#[derive(Clone, Debug, Default)]
pub struct Wiring {
    /// For each vertex the vertex below it in its stage, if any.
    pub parents: Vec<Option<usize>>,
    /// For each vertex everything it reads, the parent included.
    pub inputs: Vec<Vec<usize>>,
}

/// What is needed of a graph.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Demand<T> {
    /// Vertices whose results are known, with those results.
    pub known: BTreeMap<usize, T>,
    /// Vertices that have to run, in an order in which inputs come first.
    pub unknown: Vec<usize>,
}

/// Finds out what `targets` need. `find` looks a result up and is asked once for each vertex.
///
/// # Errors
///
/// The first error of `find`.
pub fn demand<T, E>(
    wiring: &Wiring,
    targets: &[usize],
    find: &mut dyn FnMut(usize) -> Result<Option<T>, E>,
) -> Result<Demand<T>, E> {
    let mut demand = Demand { known: BTreeMap::new(), unknown: Vec::new() };
    let mut seen = vec![false; wiring.parents.len()];
    let mut open = targets.to_vec();
    while let Some(vertex) = open.pop() {
        if std::mem::replace(&mut seen[vertex], true) {
            continue;
        }
        if let Some(result) = find(vertex)? {
            demand.known.insert(vertex, result);
            open.extend(wiring.parents[vertex]);
        } else {
            demand.unknown.push(vertex);
            open.extend(&wiring.inputs[vertex]);
        }
    }
    demand.unknown.sort_unstable();
    Ok(demand)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    /// base(0) ← run(1) ← copy(3) from other base(2)
    fn wiring() -> Wiring {
        Wiring {
            parents: vec![None, Some(0), None, Some(1)],
            inputs: vec![vec![], vec![0], vec![], vec![1, 2]],
        }
    }

    #[track_caller]
    fn check(known: &[usize], expected_known: &[usize], expected_unknown: &[usize]) {
        let find = &mut |vertex| Ok::<_, Infallible>(known.contains(&vertex).then_some(()));
        let Ok(demand) = demand(&wiring(), &[3], find);
        assert_eq!(demand.known.keys().copied().collect::<Vec<_>>(), expected_known);
        assert_eq!(demand.unknown, expected_unknown);
    }

    #[test]
    fn a_known_result_needs_its_parents_and_not_what_it_was_copied_from() {
        check(&[0, 1, 2, 3], &[0, 1, 3], &[]);
    }

    #[test]
    fn an_unknown_result_needs_everything_it_reads() {
        check(&[0, 1, 2], &[0, 1, 2], &[3]);
    }

    #[test]
    fn a_lost_result_in_the_middle_runs_again() {
        check(&[0, 2, 3], &[0, 3], &[1]);
    }
}
