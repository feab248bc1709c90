//! Signals as `STOPSIGNAL` takes them.

/// How far the names of the real-time signals count up from the lowest, and down from the highest.
const UP: u8 = 15;
const DOWN: u8 = 14;

const NAMES: [&str; 36] = [
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL",
    "PIPE", "POLL", "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP",
    "TTIN", "TTOU", "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ", "RTMIN", "RTMAX",
];

/// Whether a text names a signal, by name with or without `SIG`, or by a number: any but zero, since
/// which there are is up to the machine that runs the image.
pub(crate) fn is_valid(text: &str) -> bool {
    if let Ok(number) = text.parse::<i64>() {
        return number != 0;
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    NAMES.contains(&name) || is_realtime(name)
}

fn is_realtime(name: &str) -> bool {
    let within = |prefix: &str, most: u8| {
        let offset = name.strip_prefix(prefix).and_then(|offset| offset.parse::<u8>().ok());
        offset.is_some_and(|offset| (1..=most).contains(&offset))
    };
    within("RTMIN+", UP) || within("RTMAX-", DOWN)
}

#[cfg(test)]
mod tests {
    use super::is_valid;

    #[test]
    fn numbers_and_names_are_signals() {
        for good in ["9", "SIGINT", "int", "SIGRTMIN+3", "RTMAX-14", "64", "999", "-1", "+9"] {
            assert!(is_valid(good), "{good}");
        }
        for bad in ["0", "00", "0x9", "SIGFOO", "", "RTMIN+16", "RTMAX-15", "RTMIN+0"] {
            assert!(!is_valid(bad), "{bad}");
        }
    }
}
