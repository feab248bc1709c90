//! What `/proc` says of the rights of a process.

/// What `/proc/PID/status` says of a process.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Status {
    pub(super) umask: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) capabilities: u64,
}

impl Status {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let number = |name: &str, index: usize, radix: u32| {
            let words = text.lines().find_map(|line| line.strip_prefix(name))?;
            let word = words.split_ascii_whitespace().nth(index)?;
            u64::from_str_radix(word, radix).ok()
        };
        Some(Self {
            umask: u32::try_from(number("Umask:", 0, 8)?).ok()?,
            uid: u32::try_from(number("Uid:", FILE_SYSTEM, 10)?).ok()?,
            gid: u32::try_from(number("Gid:", FILE_SYSTEM, 10)?).ok()?,
            capabilities: number("CapEff:", 0, 16)?,
        })
    }
}

/// Of the four ids in `/proc/PID/status`, the one that files are made with.
const FILE_SYSTEM: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ids_of_a_process_are_those_that_files_are_made_with() {
        let text = "Umask:\t0027\nUid:\t0\t0\t0\t5\nGid:\t1\t2\t3\t4\nCapEff:\t00000000a80425fb\n";
        let status = Status { umask: 0o27, uid: 5, gid: 4, capabilities: 0xa804_25fb };
        assert_eq!(Status::parse(text), Some(status));
        assert_eq!(Status::parse("Umask:\t0027\n"), None);
    }
}
