//! Scopes: parts of a cache that branches write, each its own, and read, their own and one more.

use std::fmt;

use wythe_store::digest::Digest;

/// The longest name that stands for itself: tags of registries have at most 128 characters, some of which
/// are those of the cache.
const MAX_NAME: usize = 64;
/// How many digits of a hash tell scopes apart whose names read alike in what a tag may have.
const DIGITS: usize = 16;
/// What the registry engine adds to the tag of a cache whose place is taken: no scope is called so.
const RESERVED: &str = "wythe";

/// The part of a cache that one branch writes, by a name such as `main` or `feature/x`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Scope(String);

impl Scope {
    /// The scope of a branch.
    ///
    /// No two names have one scope. What may be in a tag, a key and a path stays as it is; else what may
    /// not be there is a hyphen, and a hash of the name follows.
    pub fn of(name: &str) -> Self {
        if stands_for_itself(name) {
            return Self(name.to_owned());
        }
        let plain = |letter: char| if is_plain(letter) { letter } else { '-' };
        let readable: String = name.chars().take(MAX_NAME).map(plain).collect();
        let readable = readable.trim_start_matches(['.', '-']);
        let digest = Digest::of(name.as_bytes()).hex();
        Self(format!("{readable}-{}", &digest[..DIGITS]).trim_start_matches('-').to_owned())
    }

    /// What it is called, in letters of tags.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of this part of what has a name of its own.
    pub fn of_named(&self, name: &str) -> String {
        format!("{name}-{}", self.0)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

fn is_plain(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '_' | '.' | '-')
}

fn stands_for_itself(name: &str) -> bool {
    let digits = name.as_bytes().iter().rev().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let looks_made = digits >= DIGITS;
    let is_tag = name.chars().all(is_plain) && !name.starts_with(['.', '-']);
    is_tag && !looks_made && (1..=MAX_NAME).contains(&name.len()) && !name.ends_with(RESERVED)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_of_branches_are_read_in_their_scopes() {
        for (name, scope) in [
            ("main", "main"),
            ("v1.2_x", "v1.2_x"),
            ("feature/x", "feature-x-"),
            ("../../etc", "etc-"),
            ("é", ""),
            ("", ""),
            ("wythe", "wythe-"),
        ] {
            let made = Scope::of(name);
            assert!(made.as_str().starts_with(scope), "{name}: {made}");
            assert_eq!(made.as_str() == name, stands_for_itself(name), "{name}: {made}");
        }
    }

    proptest! {
        #[test]
        fn every_scope_is_a_tag_and_no_two_names_have_one(names in prop::collection::vec(".{0,90}|[a/.-]{0,4}", 1..20)) {
            let mut seen = BTreeMap::new();
            for name in names {
                let scope = Scope::of(&name);
                let tag = format!("r.example/app:{}", scope.of_named("cache"));
                prop_assert!(tag.parse::<wythe_store::oci::reference::Reference>().is_ok(), "{}", tag);
                // What was made of a name is the scope of no other.
                if scope.as_str() != name {
                    prop_assert_ne!(Scope::of(scope.as_str()), scope.clone());
                }
                let known = seen.entry(scope.as_str().to_owned()).or_insert_with(|| name.clone());
                prop_assert_eq!(&*known, &name);
            }
        }
    }
}
