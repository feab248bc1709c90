//! Which sources of `ADD` are not paths.

/// Where an expanded source comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SourceKind {
    /// A path or pattern.
    Path,
    /// A file behind `http` or `https`.
    Url,
    /// A git repository.
    Git,
}

/// The kind of an expanded source.
pub fn source_kind(source: &str) -> SourceKind {
    let Some((scheme, rest)) = source.split_once("://") else {
        return if is_scp_like(source) { SourceKind::Git } else { SourceKind::Path };
    };
    match scheme {
        "git" | "ssh" => SourceKind::Git,
        "http" | "https" if path_of(rest).strip_suffix(".git").is_some() => SourceKind::Git,
        "http" | "https" => SourceKind::Url,
        _ => SourceKind::Path,
    }
}

/// What stands between the host and a query or fragment.
fn path_of(rest: &str) -> &str {
    let end = rest.find(['?', '#']).unwrap_or(rest.len());
    rest[..end].find('/').map_or("", |start| &rest[start..end])
}

/// `git@host:path`
fn is_scp_like(source: &str) -> bool {
    let host = source.strip_prefix("git@").and_then(|rest| rest.split_once(':'));
    host.is_some_and(|(host, path)| !host.is_empty() && !host.contains('/') && !path.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_has_its_kind() {
        let cases = [
            ("a/b", SourceKind::Path),
            ("git@h", SourceKind::Path),
            ("git@h:p", SourceKind::Git),
            ("git://h/p", SourceKind::Git),
            ("https://h/p.git#main:sub", SourceKind::Git),
            ("https://h/p.git?ref=x", SourceKind::Git),
            ("https://h/p?x=.git", SourceKind::Url),
            ("https://h.git", SourceKind::Url),
            ("http://h/f.tar.gz", SourceKind::Url),
        ];
        for (source, expected) in cases {
            assert_eq!(source_kind(source), expected, "{source}");
        }
    }
}
