//! Stand-in until the Dockerfile crate's component patterns land.

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

/// Whether a pattern has no open bracket and does not end in an escape.
pub(crate) fn is_valid(part: &str) -> bool {
    let mut bytes = part.bytes();
    while let Some(byte) = bytes.next() {
        let closed = match byte {
            b'\\' => bytes.next().is_some(),
            b'[' => bytes.any(|byte| byte == b']'),
            _ => true,
        };
        if !closed {
            return false;
        }
    }
    true
}

pub(crate) fn is_plain(part: &str) -> bool {
    !part.contains(['*', '?', '[', '\\'])
}

pub(crate) fn component(pattern: &str, name: &[u8]) -> bool {
    let p = pattern.as_bytes();
    match (p.first(), name.first()) {
        (None, None) => true,
        (Some(b'*'), _) => (0..=name.len()).any(|skip| component(&pattern[1..], &name[skip..])),
        (Some(b'?'), Some(_)) => component(&pattern[1..], &name[1..]),
        (Some(b'['), Some(byte)) => {
            let end = pattern[1..].find(']').map_or(pattern.len() - 1, |end| end + 1);
            let class = &p[1..end];
            let (negated, class) =
                if class.first() == Some(&b'^') { (true, &class[1..]) } else { (false, class) };
            let mut hit = class.contains(byte);
            for window in class.windows(3) {
                hit |= window[1] == b'-' && (window[0]..=window[2]).contains(byte);
            }
            hit != negated && component(&pattern[(end + 1).min(p.len())..], &name[1..])
        }
        (Some(b'\\'), Some(_)) if p.len() > 1 => {
            p[1] == name[0] && component(&pattern[2..], &name[1..])
        }
        (Some(a), Some(b)) => a == b && component(&pattern[1..], &name[1..]),
        _ => false,
    }
}
