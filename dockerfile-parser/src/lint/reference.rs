//! Whether a text could name an image.
//!
//! The grammar is that of Docker's references: `[domain/]path[:tag][@digest]`.

/// The longest path of an image, with its domain.
const MAX_NAME: usize = 255;

/// The longest tag.
const MAX_TAG: usize = 128;

/// Whether a text is a reference as people write them, the domain left out or not.
pub(super) fn is_valid(text: &str) -> bool {
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (text, None),
    };
    let (name, tag) = match rest.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (rest, None),
    };
    let (domain, path) = match name.split_once('/') {
        Some((first, path)) if is_domain_like(first) => (Some(first), path),
        _ => (None, name),
    };
    // Sixty-four hex digits are read as an identifier everywhere.
    let identifier = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    !identifier
        && name.len() <= MAX_NAME
        && domain.is_none_or(is_domain)
        && path.split('/').all(is_component)
        && tag.is_none_or(is_tag)
        && digest.is_none_or(is_digest)
}

fn is_domain_like(first: &str) -> bool {
    first.contains(['.', ':']) || first == "localhost" || first.to_lowercase() != first
}

fn is_domain(domain: &str) -> bool {
    let (host, port) = match domain.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (domain, None),
    };
    let label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        !label.is_empty()
            && label.bytes().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let known = match address {
        Some(address) => address.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':'),
        None => host.split('.').all(label),
    };
    let digits = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    known && port.is_none_or(digits)
}

/// Lower-case words joined by `.`, `_`, `__` or any number of `-`.
fn is_component(component: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = component.as_bytes();
    let ends = bytes.first().zip(bytes.last());
    if !ends.is_some_and(|(first, last)| is_word(*first) && is_word(*last)) {
        return false;
    }
    let separators = component.split(|letter: char| letter.is_ascii_alphanumeric());
    bytes.iter().all(|byte| is_word(*byte) || b"._-".contains(byte))
        && separators
            .into_iter()
            .all(|run| matches!(run, "" | "." | "_" | "__") || run.bytes().all(|byte| byte == b'-'))
}

fn is_tag(tag: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let all = tag.bytes().all(|byte| word(byte) || byte == b'.' || byte == b'-');
    tag.bytes().next().is_some_and(word) && all && tag.len() <= MAX_TAG
}

fn is_digest(digest: &str) -> bool {
    let Some((algorithm, hex)) = digest.split_once(':') else { return false };
    let digits = hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let length = match algorithm {
        "sha256" => 64,
        "sha384" => 96,
        "sha512" => 128,
        _ => return false,
    };
    digits && hex.len() == length
}

#[cfg(test)]
mod tests {
    use super::is_valid;

    #[test]
    fn references_as_people_write_them_are_valid() {
        for text in [
            "alpine",
            "alpine:3.20",
            "docker.io/library/alpine",
            "localhost:5000/a/b-c__d.e:V_1",
            "a@sha256:0123456789012345678901234567890123456789012345678901234567890123",
            "[::1]:5000/x",
        ] {
            assert!(is_valid(text), "{text}");
        }
    }

    #[test]
    fn what_names_no_image_is_not() {
        for text in [
            "",
            "alpine:",
            ":3",
            "Base:UP",
            "base@sha256:bad",
            "\"\"",
            "a//b",
            "a..b",
            "-a",
            "a___b",
            "a b",
        ] {
            assert!(!is_valid(text), "{text}");
        }
    }
}
