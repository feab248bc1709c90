//! The blobs of the registry, for who tests with it.

use std::collections::BTreeSet;

use wythe_store::digest::Digest;

use super::FakeRegistry;

impl FakeRegistry {
    /// Puts a blob into a repository.
    pub fn put_blob(&self, repository: &str, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        self.state().blobs.insert((repository.to_owned(), digest), bytes.to_vec());
        digest
    }

    /// Loses all blobs of a repository.
    pub fn lose_blobs(&self, repository: &str) {
        self.state().blobs.retain(|(name, _), _| name != repository);
    }

    /// The blobs of a repository.
    pub fn blobs(&self, repository: &str) -> BTreeSet<Digest> {
        let state = self.state();
        let keys = state.blobs.keys().filter(|(name, _)| name == repository);
        keys.map(|(_, digest)| *digest).collect()
    }
}
