//! Images: from a name to documents that agree with each other.

pub mod resolve;
