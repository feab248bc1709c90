//! What a definition may ask of the world: the caller answers, so that this crate does not look.

use jiff::Timestamp;

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
        "cwd://".to_owned()
    }
}
