//! Files that the digest of an image is written to, in kaniko's forms.

use std::path::PathBuf;

use wythe_store::digest::Digest;
use wythe_store::oci::reference::Reference;

/// A file that is to have the digest of an image.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct DigestFile {
    pub(crate) path: PathBuf,
    pub(crate) form: DigestForm,
}

/// What such a file has of each name of the image.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum DigestForm {
    /// `DIGEST`, once.
    Alone,
    /// `NAME@DIGEST`
    Named,
    /// `NAME:TAG@DIGEST`
    Tagged,
}

impl DigestFile {
    /// What is written to it.
    pub(crate) fn text(&self, digest: Digest, names: &[Reference]) -> String {
        let line = |name: &Reference| match (self.form, name.tag()) {
            (DigestForm::Tagged, Some(tag)) => {
                format!("{}/{}:{tag}@{digest}\n", name.host(), name.repository())
            }
            _ => format!("{}/{}@{digest}\n", name.host(), name.repository()),
        };
        match self.form {
            DigestForm::Alone => digest.to_string(),
            DigestForm::Named | DigestForm::Tagged => names.iter().map(line).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_stands_alone_or_behind_each_name() {
        let digest = Digest::of(b"");
        let names = ["r.io/a:1", "r.io:5000/b/c:2"].map(|name| name.parse().unwrap());
        let text = |form| DigestFile { path: PathBuf::new(), form }.text(digest, &names);
        assert_eq!(text(DigestForm::Alone), digest.to_string());
        assert_eq!(text(DigestForm::Named), format!("r.io/a@{digest}\nr.io:5000/b/c@{digest}\n"));
        let tagged = format!("r.io/a:1@{digest}\nr.io:5000/b/c:2@{digest}\n");
        assert_eq!(text(DigestForm::Tagged), tagged);
    }
}
