//! What `/proc` says of the rights of a process.

/// What `/proc/PID/status` says of a process.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Status {
    /// The number of its first thread.
    pub(super) process: u32,
    pub(super) umask: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// All supplementary groups.
    pub(super) groups: Vec<u32>,
    pub(super) capabilities: u64,
}

impl Status {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let words = |name: &str| {
            let words = text.lines().find_map(|line| line.strip_prefix(name))?;
            Some(words.split_ascii_whitespace())
        };
        let number = |name: &str, index: usize, radix: u32| {
            u64::from_str_radix(words(name)?.nth(index)?, radix).ok()
        };
        let groups = words("Groups:")?.map(str::parse);
        Some(Self {
            process: u32::try_from(number("Tgid:", 0, 10)?).ok()?,
            groups: groups.collect::<Result<_, _>>().ok()?,
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
        let text = "Umask:\t0027\nTgid:\t77\nUid:\t0\t0\t0\t5\nGid:\t1\t2\t3\t4\n\
            Groups:\t7 8 \nCapEff:\t00000000a80425fb\n";
        let (uid, gid, groups) = (5, 4, vec![7, 8]);
        let capabilities = 0xa804_25fb;
        let status = Status { process: 77, umask: 0o27, uid, gid, groups, capabilities };
        assert_eq!(Status::parse(text), Some(status));
        assert_eq!(Status::parse("Umask:\t0027\n"), None);
    }
}
