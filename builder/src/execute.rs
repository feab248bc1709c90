//! Carrying out what was not found in the cache.

pub mod caches;
