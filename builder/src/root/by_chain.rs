//! What is known of chains of layers.

use std::collections::HashMap;

use wythe_store::id::LayerId;

use super::Chain;

/// Values by chains. Those of a long stage are the beginnings of one another, so that they are told apart
/// by their lengths and their tops before all their layers are compared.
#[derive(Debug)]
pub(super) struct ByChain<T>(HashMap<Extent, Vec<(Chain, T)>>);

/// How long a chain is, and its top.
type Extent = (usize, Option<LayerId>);

impl<T> Default for ByChain<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T> ByChain<T> {
    pub(super) fn get(&self, chain: &[LayerId]) -> Option<&T> {
        let known = self.0.get(&extent(chain))?;
        known.iter().find(|(one, _)| *one == chain).map(|(_, value)| value)
    }

    pub(super) fn insert(&mut self, chain: &[LayerId], value: T) {
        let known = self.0.entry(extent(chain)).or_default();
        match known.iter_mut().find(|(one, _)| *one == chain) {
            Some((_, old)) => *old = value,
            None => known.push((chain.to_vec(), value)),
        }
    }
}

fn extent(chain: &[LayerId]) -> Extent {
    (chain.len(), chain.last().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_of_one_length_and_top_have_values_of_their_own() {
        let [a, b, top] = [1, 2, 3].map(|byte| LayerId::from_bytes([byte; 32]));
        let mut known = ByChain::default();
        known.insert(&[a, top], 1);
        known.insert(&[b, top], 2);
        known.insert(&[a, top], 3);
        assert_eq!(known.get(&[a, top]), Some(&3));
        assert_eq!(known.get(&[b, top]), Some(&2));
        assert_eq!(known.get(&[top]), None);
        assert_eq!(known.get(&[]), None);
    }
}
