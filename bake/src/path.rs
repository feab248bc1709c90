//! Paths as text, by slashes, on every machine.

/// The path without `.`, `..` and repeated slashes, where that does not change what it means.
pub(crate) fn clean(path: &str) -> String {
    let is_absolute = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            ".." if is_absolute => {}
            part => parts.push(part),
        }
    }
    match (is_absolute, parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => parts.join("/"),
    }
}

/// The last element.
pub(crate) fn base(path: &str) -> &str {
    let trimmed = path.trim_end_matches('/');
    match (path, trimmed) {
        ("", _) => ".",
        (_, "") => "/",
        (_, trimmed) => trimmed.rsplit('/').next().unwrap_or(trimmed),
    }
}

/// All but the last element.
pub(crate) fn directory(path: &str) -> String {
    clean(path.rfind('/').map_or("", |at| &path[..=at]))
}

/// A path below a directory; an absolute one stays.
pub(crate) fn join(directory: &str, path: &str) -> String {
    if path.starts_with('/') { clean(path) } else { clean(&format!("{directory}/{path}")) }
}

/// Whether a name matches a pattern: `*` and `?` stand for anything but slashes, `[a-z]` for one of
/// them, `[^a-z]` for none, a backslash for what follows it. None if the pattern is broken.
pub(crate) fn matches(pattern: &str, name: &str) -> Option<bool> {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    match_from(&pattern, &name)
}

fn match_from(pattern: &[char], name: &[char]) -> Option<bool> {
    let Some((first, rest)) = pattern.split_first() else { return Some(name.is_empty()) };
    match first {
        '*' => {
            let stretch = name.iter().take_while(|c| **c != '/').count();
            // A broken rest is broken wherever it is tried.
            let mut tried = (0..=stretch).map(|taken| match_from(rest, &name[taken..]));
            tried.try_fold(false, |so_far, one| one.map(|is_match| so_far || is_match))
        }
        '?' => match name.split_first() {
            Some((c, name)) if *c != '/' => match_from(rest, name),
            _ => match_from(rest, &[]).map(|_| false),
        },
        '[' => {
            let end = rest.iter().skip(1).position(|c| *c == ']')? + 1;
            let (set, rest) = (&rest[..end], &rest[end + 1..]);
            match name.split_first() {
                Some((c, name)) if is_in(set, *c) => match_from(rest, name),
                _ => match_from(rest, &[]).map(|_| false),
            }
        }
        '\\' => {
            let (wanted, rest) = rest.split_first()?;
            match name.split_first() {
                Some((c, name)) if c == wanted => match_from(rest, name),
                _ => match_from(rest, &[]).map(|_| false),
            }
        }
        wanted => match name.split_first() {
            Some((c, name)) if c == wanted => match_from(rest, name),
            _ => match_from(rest, &[]).map(|_| false),
        },
    }
}

fn is_in(set: &[char], c: char) -> bool {
    let (is_negated, set) = match set.split_first() {
        Some(('^', rest)) => (true, rest),
        _ => (false, set),
    };
    let mut at = 0;
    let mut is_found = false;
    while at < set.len() {
        if set.len() > at + 2 && set[at + 1] == '-' {
            is_found |= (set[at]..=set[at + 2]).contains(&c);
            at += 3;
        } else {
            is_found |= set[at] == c;
            at += 1;
        }
    }
    is_found != is_negated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_as_others_clean_them() {
        for (path, cleaned) in [
            ("", "."),
            ("./a//b/", "a/b"),
            ("a/../b", "b"),
            ("../x/..", ".."),
            ("/..", "/"),
            ("/a/./b", "/a/b"),
        ] {
            assert_eq!(clean(path), cleaned, "{path:?}");
        }
        assert_eq!((base("a/b/"), base(""), base("//")), ("b", ".", "/"));
        assert_eq!((directory("a/b").as_str(), directory("b").as_str()), ("a", "."));
        assert_eq!(join("a", "../b"), "b");
        assert_eq!(join("a", "/b"), "/b");
    }

    #[test]
    fn patterns_match_names() {
        for (pattern, name, is_match) in [
            ("*", "app", true),
            ("app-*", "app-web", true),
            ("app-*", "web", false),
            ("a?c", "abc", true),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("\\*", "*", true),
            ("*b*", "abc", true),
        ] {
            assert_eq!(matches(pattern, name), Some(is_match), "{pattern} {name}");
        }
        assert_eq!(matches("[a", "a"), None);
    }
}
