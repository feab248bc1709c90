//! `${NAME}` in strings of Compose files, and of `.env` files.

/// What a variable is, if it is set.
pub(super) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The deepest nesting of defaults in defaults.
const MAX_DEPTH: usize = 32;

/// Text with its variables replaced: `$NAME`, `${NAME}`, `${NAME:-default}`, `${NAME:?message}`,
/// `${NAME:+other}`, each without its colon for what is set and empty; `$$` is a dollar.
pub(super) fn interpolated(text: &str, lookup: Lookup<'_>) -> Result<String, String> {
    replaced(text, lookup, 0)
}

fn replaced(text: &str, lookup: Lookup<'_>, depth: usize) -> Result<String, String> {
    if depth > MAX_DEPTH {
        return Err(format!("defaults are nested more than {MAX_DEPTH} deep"));
    }
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some(inner) = after.strip_prefix('{') {
            let end = closing(inner).ok_or_else(|| format!("{text:?} has a ${{ without its }}"))?;
            out.push_str(&braced(&inner[..end], lookup, depth)?);
            rest = &inner[end + 1..];
        } else {
            let length = name_length(after);
            if length == 0 {
                return Err(format!("{text:?} has a $ without a name; write $$ for a dollar"));
            }
            out.push_str(&lookup(&after[..length]).unwrap_or_default());
            rest = &after[length..];
        }
    }
    out.push_str(rest);
    Ok(out)
}

fn name_length(text: &str) -> usize {
    let is_first = |c: char| c.is_ascii_alphabetic() || c == '_';
    if !text.starts_with(is_first) {
        return 0;
    }
    text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len())
}

/// Where the brace that is open closes.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let bytes = text.as_bytes();
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' if at > 0 && bytes[at - 1] == b'$' => depth += 1,
            b'}' if depth == 0 => return Some(at),
            b'}' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn braced(inner: &str, lookup: Lookup<'_>, depth: usize) -> Result<String, String> {
    let length = name_length(inner);
    let (name, operation) = inner.split_at(length);
    if length == 0 {
        return Err(format!("${{{inner}}} names no variable"));
    }
    let (may_be_empty, operation) = match operation.strip_prefix(':') {
        Some(operation) => (false, operation),
        None => (true, operation),
    };
    let value = lookup(name).filter(|value| may_be_empty || !value.is_empty());
    let mut letters = operation.chars();
    let other = |text: &str| replaced(text, lookup, depth + 1);
    match (letters.next(), value) {
        (None, value) if may_be_empty => Ok(value.unwrap_or_default()),
        (Some('-' | '?'), Some(value)) => Ok(value),
        (Some('?'), None) => {
            let message = other(letters.as_str())?;
            Err(format!(
                "{name} has to be set{}{message}",
                if message.is_empty() { "" } else { ": " }
            ))
        }
        (Some('-'), None) | (Some('+'), Some(_)) => other(letters.as_str()),
        (Some('+'), None) => Ok(String::new()),
        _ => Err(format!("${{{inner}}} is no way to write a variable")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let lookup = |name: &str| match name {
            "A" => Some("a".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        let found = interpolated(text, &lookup).unwrap_or_else(|error| format!("error: {error}"));
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn variables_are_replaced_as_compose_replaces_them() {
        check("x$A-${A}$$A", "xa-a$A");
        check("${NONE}${NONE-d}${EMPTY-d}${EMPTY:-d}", "dd");
        check("${NONE:-x${A:-y}z}", "xaz");
        check("${A:+set}${NONE:+set}${EMPTY+set}", "setset");
        check("${NONE:?give it}", "error: NONE has to be set: give it");
        check("$", "error: \"$\" has a $ without a name; write $$ for a dollar");
        check("${A", "error: \"${A\" has a ${ without its }");
    }
}
