//! What a definition may ask of the world: the caller answers, so that this crate does not look.

use jiff::Timestamp;

use crate::definition::HERE;

/// The world as a definition sees it.
pub trait Surroundings {
    /// The value of a variable: what was given for it by name, else that of the environment.
    fn variable(&self, name: &str) -> Option<String>;

    /// The text of another file that a definition names, `env_file` or `extends`; none if there is none.
    ///
    /// # Errors
    ///
    /// If it is there and cannot be read: why.
    fn file(&self, path: &str) -> Result<Option<String>, String>;

    /// The time, for `timestamp()`.
    fn now(&self) -> Timestamp;

    /// Random bytes, for `uuidv4()`.
    fn random(&self) -> [u8; 16];

    /// The home directory, for `homedir()`.
    fn home(&self) -> String;

    /// The platform of this machine, as `linux/amd64`, for `BAKE_LOCAL_PLATFORM`.
    fn platform(&self) -> String;

    /// The context given on the command line, for `BAKE_CMD_CONTEXT`.
    fn command_context(&self) -> String {
        HERE.to_owned()
    }

    /// The address of the repository or archive that the definition came from, if it came from one: the
    /// paths of contexts are those of directories in there, and a context `.` is the address itself.
    fn origin(&self) -> Option<String> {
        None
    }
}
