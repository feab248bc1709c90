//! Whom a file of an image belongs to, in numbers.

/// The numbers a file belongs to.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Owner {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}
