//! The table `[cache]` of the configuration file: caches for every build that says nothing else.

use std::str::FromStr;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use crate::args::cache::{CacheArgError, CacheFrom, CacheTo};

/// Caches for builds that name none.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct CacheDefaults {
    /// Those that are read; `None` where nothing is said, and none where that is said.
    pub(crate) from: Option<Vec<CacheFrom>>,
    /// Those that are written.
    pub(crate) to: Option<Vec<CacheTo>>,
}

/// The table as it is written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct CacheTable {
    from: Option<Vec<Flag<CacheFrom>>>,
    to: Option<Vec<Flag<CacheTo>>>,
}

/// What a flag takes.
struct Flag<T>(T);

impl CacheTable {
    pub(super) fn defaults(self) -> CacheDefaults {
        fn values<T>(flags: Vec<Flag<T>>) -> Vec<T> {
            flags.into_iter().map(|flag| flag.0).collect()
        }
        CacheDefaults { from: self.from.map(values), to: self.to.map(values) }
    }
}

impl<'de, T: FromStr<Err = CacheArgError>> Deserialize<'de> for Flag<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map(Self).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::file::read;

    #[test]
    fn caches_are_written_as_flags_take_them() {
        let text = "from = [\"r.example/app:cache\", 'type=local,src=d']\nto = []";
        let defaults = read::<CacheTable>(text).unwrap().defaults();
        let expected =
            ["r.example/app:cache", "type=local,src=d"].map(|text| text.parse().unwrap());
        assert_eq!(defaults, CacheDefaults { from: Some(expected.into()), to: Some(Vec::new()) });
        assert_eq!(read::<CacheTable>("").unwrap().defaults(), CacheDefaults::default());
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_its_line() {
        for (text, words) in [
            ("\nform = []", ["line 2", "form"]),
            ("\nto = [\n  'type=local,dest=d',\n  'type=azblob']", ["line 2", "azblob"]),
            ("from = ['type=local,src=d,scoep=x']", ["line 1", "scoep"]),
            ("from = 'r.example/app'", ["line 1", "from"]),
        ] {
            let told = read::<CacheTable>(text).map(|_| ()).unwrap_err().to_string();
            assert!(words.iter().all(|word| told.contains(word)), "{told}");
        }
    }

    #[test]
    fn what_may_be_a_secret_is_not_shown() {
        let text = "to = ['type=http,password=sec,ulr=x']";
        let told = read::<CacheTable>(text).map(|_| ()).unwrap_err().to_string();
        assert!(told.contains("`to`") && !told.contains("sec"), "{told}");
    }
}
