//! Annotations: `--annotation manifest:KEY=VALUE` and `annotation-manifest.KEY=VALUE` of an output.

use std::collections::BTreeMap;

use super::attributes::Attributes;
use super::key_value::KeyValue;

/// What is said of an image, and where.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Annotations {
    /// In each manifest.
    pub(crate) manifest: BTreeMap<String, String>,
    /// In the index.
    pub(crate) index: BTreeMap<String, String>,
    /// At the index's entry of each manifest.
    pub(crate) entry: BTreeMap<String, String>,
}

impl Annotations {
    /// Takes those of an output out of its attributes.
    pub(crate) fn take(attributes: &mut Attributes) -> Self {
        let mut take = |prefix| attributes.take_prefixed(prefix).into_iter().collect();
        let mut manifest: BTreeMap<String, String> = take("annotation.");
        manifest.append(&mut take("annotation-manifest."));
        let (index, entry) = (take("annotation-index."), take("annotation-manifest-descriptor."));
        Self { manifest, index, entry }
    }

    /// Those of `--annotation`, which are about the manifest unless they say something else.
    pub(crate) fn of_flags(flags: &[KeyValue]) -> Self {
        let mut found = Self::default();
        for KeyValue { key, value } in flags {
            let (place, key) = match key.split_once(':') {
                Some(("manifest", key)) => (&mut found.manifest, key),
                Some(("index", key)) => (&mut found.index, key),
                Some(("manifest-descriptor", key)) => (&mut found.entry, key),
                _ => (&mut found.manifest, key.as_str()),
            };
            place.insert(key.to_owned(), value.clone().unwrap_or_default());
        }
        found
    }

    /// These and others; the others win.
    pub(crate) fn with(mut self, others: &Self) -> Self {
        let pairs = [
            (&mut self.manifest, &others.manifest),
            (&mut self.index, &others.index),
            (&mut self.entry, &others.entry),
        ];
        for (own, other) in pairs {
            own.extend(other.clone());
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_says_which_document_it_is_about() {
        let flags = ["a=1", "index:b=2", "manifest:c=3", "manifest-descriptor:d=4", "e:f=5"];
        let flags = flags.map(|flag| flag.parse().unwrap());
        let found = Annotations::of_flags(&flags);
        let keys = |map: &BTreeMap<String, String>| map.keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&found.manifest), ["a", "c", "e:f"]);
        assert_eq!((keys(&found.index), keys(&found.entry)), (vec!["b".into()], vec!["d".into()]));
    }

    #[test]
    fn keys_of_an_output_keep_their_case() {
        let mut attributes =
            Attributes::parse("annotation.Some.Key=v,annotation-index.k=w").unwrap();
        let found = Annotations::take(&mut attributes);
        assert_eq!(found.manifest["Some.Key"], "v");
        assert_eq!(found.index["k"], "w");
    }
}
