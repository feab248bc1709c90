//! Parts of an address, as far as names and messages need them.

/// The name of a file whose address has none.
const UNNAMED: &str = "__unnamed__";

/// The address without user, query and fragment, any of which may hold a secret.
pub(crate) fn shown(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return without_query(url).to_owned() };
    let (authority, path) = split(without_query(rest));
    let host = authority.rsplit('@').next().unwrap_or(authority);
    format!("{scheme}://{host}{path}")
}

/// The host without user and port.
pub(crate) fn host(url: &str) -> &str {
    let host = authority(url);
    match host.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        Some((address, _)) => address,
        None => host.split(':').next().unwrap_or(host),
    }
}

/// The host with its port, without user.
pub(crate) fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (authority, _) = split(without_query(rest));
    authority.rsplit('@').next().unwrap_or(authority)
}

/// The name of the file behind an address: the last part of its path.
pub(crate) fn file_name(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (_, path) = split(without_query(rest));
    let path = decoded(path);
    let last = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    // Neither can name a file, whatever the server thinks.
    let unusable = matches!(last, "" | "." | "..") || last.contains('\0');
    if unusable { UNNAMED.to_owned() } else { last.to_owned() }
}

fn without_query(url: &str) -> &str {
    &url[..url.find(['?', '#']).unwrap_or(url.len())]
}

fn split(rest: &str) -> (&str, &str) {
    rest.split_at(rest.find('/').unwrap_or(rest.len()))
}

/// Percent signs resolved; what is no code or no UTF-8 stays as it is written.
pub(super) fn decoded(path: &str) -> String {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let code = code.filter(|two| two.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let code = code.and_then(|two| u8::from_str_radix(two, 16).ok());
        if let Some(byte) = code.filter(|_| *first == b'%') {
            bytes.push(byte);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_by_the_last_part_of_the_path() {
        let cases = [
            ("http://h/a/b.txt?x=/y#z", "b.txt"),
            ("http://h/a/", "a"),
            ("http://h", UNNAMED),
            ("http://h/", UNNAMED),
            ("http://h?q/r", UNNAMED),
            ("http://h/a%20b", "a b"),
            ("http://h/a%2fb", "b"),
            ("http://h/%2e%2e", UNNAMED),
            ("http://h/..", UNNAMED),
            ("http://h/50%", "50%"),
            ("http://h/%ff", "%ff"),
            ("http://h/a%00", UNNAMED),
        ];
        for (url, expected) in cases {
            assert_eq!(file_name(url), expected, "{url}");
        }
    }

    #[test]
    fn a_host_has_neither_user_nor_port() {
        let cases = [
            ("http://h:80/x", "h"),
            ("https://u:p@h/x@y", "h"),
            ("http://[::1]:5/x", "::1"),
            ("http://h?a@b", "h"),
        ];
        for (url, expected) in cases {
            assert_eq!(host(url), expected, "{url}");
        }
    }

    #[test]
    fn messages_show_no_secrets() {
        assert_eq!(shown("https://u:p@h:8/x?token=s#f"), "https://h:8/x");
        assert_eq!(shown("git@h:p#main"), "git@h:p");
    }
}
