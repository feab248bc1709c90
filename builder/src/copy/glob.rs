//! Which parts of a source are patterns.

/// Whether a part of a source has a wildcard, that is one that no backslash takes the meaning of.
pub(crate) fn has_wildcard(part: &str) -> bool {
    let mut bytes = part.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => drop(bytes.next()),
            b'*' | b'?' | b'[' => return true,
            _ => {}
        }
    }
    false
}

/// Whether a pattern is nothing but a name.
pub(crate) fn is_plain(part: &str) -> bool {
    !part.contains(['*', '?', '[', '\\'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escaped_wildcard_is_none_but_no_plain_name_either() {
        assert!(!has_wildcard("arr\\[0\\].txt") && has_wildcard("arr[[]0"));
        assert!(!is_plain("a\\b") && is_plain("a-b!"));
    }
}
