//! A root file system as one tar stream.

use std::io::Write;

use crate::layer::bodies::Bodies;
use crate::layer::tar_write::{WriteTarError, tar_write};
use crate::tree::entry::Tree;
use crate::tree::times;

/// Writes a merged tree, with all times at `epoch` if there is one. Equal trees give equal bytes.
///
/// # Errors
///
/// If the bytes of a file are not in `bodies`, or `out` fails.
pub fn write(
    root: &Tree,
    bodies: &dyn Bodies,
    epoch: Option<i64>,
    out: &mut dyn Write,
) -> Result<(), WriteTarError> {
    match epoch {
        Some(epoch) => tar_write(&times::set(root, epoch), bodies, None, out),
        None => tar_write(root, bodies, None, out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::FileBytes;
    use crate::id::BodyId;
    use crate::tree::sketch::sketch;
    use std::collections::BTreeMap;

    #[test]
    fn an_epoch_is_the_time_of_everything() {
        let bodies = BTreeMap::from([(BodyId::of(b"1"), FileBytes::from(b"1".to_vec()))]);
        let mut out = Vec::new();
        write(&sketch("a=1 d/ l>a"), &bodies, Some(7), &mut out).unwrap();
        let mut archive = tar::Archive::new(&out[..]);
        let times = archive.entries().unwrap().map(|entry| entry.unwrap().header().mtime());
        assert_eq!(times.map(Result::unwrap).collect::<Vec<u64>>(), [7, 7, 7]);
    }
}
