//! The collections of a `WebDAV` server, which has to be told of each before something can lie in it.

use wythe_store::cache_backend::CacheError;

use super::HttpCache;

impl HttpCache {
    /// Makes the collections above an address, from the lowest that can be made downwards.
    ///
    /// `false` if the server knows no collections.
    pub(super) fn make_collections_above(&self, url: &str) -> Result<bool, CacheError> {
        let mut wanted = Vec::new();
        let mut next = parent(url);
        while let Some(collection) = next {
            let answer = self.ask_for("MKCOL", collection, &[], 0)?;
            match answer.status {
                // 405 says that something is there.
                200..=299 | 405 => break,
                // There is nothing it could lie in.
                404 | 409 => wanted.push(collection),
                401 => return Err(self.requests.refused("making a collection", answer)),
                _ => return Ok(false),
            }
            next = parent(collection);
        }
        for collection in wanted.iter().rev() {
            let answer = self.ask_for("MKCOL", collection, &[], 0)?;
            // Another machine may have been faster.
            if !matches!(answer.status, 200..=299 | 405) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// What an address lies in, with a slash at its end; `None` above the root of a server.
fn parent(url: &str) -> Option<&str> {
    let path = url.find("://")? + 3;
    let root = url[path..].find('/')? + path;
    let end = url.trim_end_matches('/').rfind('/')?;
    (end > root).then(|| &url[..=end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn above_the_first_step_of_a_path_there_is_nothing() {
        let above = parent("http://h:1/a/cas/x");
        assert_eq!(above, Some("http://h:1/a/cas/"));
        assert_eq!(above.and_then(parent), Some("http://h:1/a/"));
        assert_eq!(parent("http://h:1/a/"), None);
        assert_eq!(parent("http://h:1/x"), None);
    }
}
