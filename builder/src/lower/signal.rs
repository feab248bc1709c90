//! Signals as `STOPSIGNAL` takes them.

/// The highest signal number on Linux.
const MAX_SIGNAL: u8 = 64;

const NAMES: [&str; 36] = [
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL",
    "PIPE", "POLL", "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP",
    "TTIN", "TTOU", "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ", "RTMIN", "RTMAX",
];

/// Whether a text names a signal, by number or by name with or without `SIG`.
pub(crate) fn is_valid(text: &str) -> bool {
    if let Ok(number) = text.parse::<u8>() {
        return (1..=MAX_SIGNAL).contains(&number);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    NAMES.contains(&name) || is_realtime(name)
}

fn is_realtime(name: &str) -> bool {
    let offset = name.strip_prefix("RTMIN+").or_else(|| name.strip_prefix("RTMAX-"));
    offset.and_then(|offset| offset.parse::<u8>().ok()).is_some_and(|offset| offset <= 30)
}

#[cfg(test)]
mod tests {
    use super::is_valid;

    #[test]
    fn numbers_and_names_are_signals() {
        for good in ["9", "SIGINT", "int", "SIGRTMIN+3", "64"] {
            assert!(is_valid(good), "{good}");
        }
        for bad in ["0", "65", "SIGFOO", "", "-9", "RTMIN+99"] {
            assert!(!is_valid(bad), "{bad}");
        }
    }
}
