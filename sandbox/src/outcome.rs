//! How a step ended.

/// How the command of a step ended. By then no process of the step is left.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// It ended itself. 127: the command was not found, 126: it could not be executed; both are
    /// explained on the step's standard error.
    Exited(i32),
    /// A signal ended it; 9 without a request of ours is often the kernel out of memory.
    Signaled(i32),
    /// The [`Cancel`](crate::Cancel) switch ended it.
    Cancelled,
    /// The time of the step was up.
    TimedOut,
    /// The kernel ended it, because its processes wanted more memory together than this many bytes, its
    /// [quota](crate::step::Quota).
    OutOfMemory(u64),
    /// It was ended because it made a device, which was [awaited](crate::step::Devices::Awaited).
    MadeDevice,
}

impl Outcome {
    /// The code a shell reports: 128 + n for signal n.
    pub fn code(self) -> i32 {
        match self {
            Self::Exited(code) => code,
            Self::Signaled(signal) => 128 + signal,
            Self::Cancelled => 130,
            Self::TimedOut => 124,
            // Killed, or as if it had been.
            Self::OutOfMemory(_) | Self::MadeDevice => 137,
        }
    }

    /// Whether the command ended with 0.
    pub fn is_success(self) -> bool {
        self == Self::Exited(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_reported_as_a_shell_does() {
        assert_eq!(Outcome::Signaled(9).code(), 137);
        assert!(!Outcome::Signaled(9).is_success());
        assert!(Outcome::Exited(0).is_success());
    }
}
