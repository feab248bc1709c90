//! The words in which keys and explanations speak of a step.
//!
//! Every value has its words here, written out: a key is made of bytes that we chose, and not of what
//! a name in the code happens to be.

use wythe_dockerfile::mount::{Access, Owner, Sharing};
use wythe_sandbox::step::Limit;
use wythe_store::oci::platform::Platform;

use super::copy::Archives;
use super::run::SecurityMode;
use crate::copy::{CopyTarget, Layout};

/// One thing a result depends on: a name that `--explain` shows, and a value.
pub type Fact = (String, String);

/// A value that has words of its own.
pub(crate) trait Worded {
    fn words(&self) -> String;
}

/// Facts as they are collected.
#[derive(Debug, Default)]
pub(crate) struct Facts(pub(super) Vec<Fact>);

impl Facts {
    pub(crate) fn add(&mut self, name: &str, value: &(impl Worded + ?Sized)) {
        self.0.push((name.to_owned(), value.words()));
    }

    pub(crate) fn optional(&mut self, name: &str, value: Option<&impl Worded>) {
        if let Some(value) = value {
            self.add(name, value);
        }
    }

    pub(crate) fn each<'v, T: Worded + ?Sized + 'v>(
        &mut self,
        name: &str,
        values: impl IntoIterator<Item = &'v T>,
    ) {
        for value in values {
            self.add(name, value);
        }
    }

    /// Owner and mode, which are told apart.
    pub(crate) fn owner(&mut self, owner: Owner) {
        self.add("owner", &format!("{}:{}", owner.uid, owner.gid));
        self.add("mode", &format!("{:04o}", owner.mode));
    }
}

impl Worded for str {
    fn words(&self) -> String {
        self.to_owned()
    }
}

impl Worded for String {
    fn words(&self) -> String {
        self.clone()
    }
}

impl Worded for u32 {
    fn words(&self) -> String {
        self.to_string()
    }
}

impl Worded for u64 {
    fn words(&self) -> String {
        self.to_string()
    }
}

impl Worded for i64 {
    fn words(&self) -> String {
        self.to_string()
    }
}

impl Worded for Platform {
    /// `OS/ARCHITECTURE[/VARIANT]`, as `--platform` has it.
    fn words(&self) -> String {
        self.to_string()
    }
}

impl Worded for (String, String) {
    /// A variable.
    fn words(&self) -> String {
        let (name, value) = self;
        format!("{name}={value}")
    }
}

impl Worded for Limit {
    /// As `--ulimit` has it.
    fn words(&self) -> String {
        format!("{}={}:{}", self.resource.name(), self.soft, self.hard)
    }
}

impl Worded for Access {
    fn words(&self) -> String {
        match self {
            Self::ReadOnly => "read-only".words(),
            Self::ReadWrite => "read-write".words(),
        }
    }
}

impl Worded for Sharing {
    fn words(&self) -> String {
        match self {
            Self::Shared => "shared".words(),
            Self::Private => "private".words(),
            Self::Locked => "locked".words(),
        }
    }
}

impl Worded for SecurityMode {
    fn words(&self) -> String {
        match self {
            Self::Sandbox => "sandbox".words(),
            Self::Insecure => "insecure".words(),
        }
    }
}

impl Worded for Layout {
    fn words(&self) -> String {
        match self {
            Self::Flat => "flat".words(),
            Self::Parents => "parents".words(),
        }
    }
}

impl Worded for CopyTarget {
    fn words(&self) -> String {
        match self {
            Self::Destination => "destination".words(),
            Self::Nothing => "nothing".words(),
        }
    }
}

impl Worded for Archives {
    fn words(&self) -> String {
        match self {
            Self::Keep => "keep".words(),
            Self::UnpackLocal => "unpack local".words(),
            Self::Unpack => "unpack".words(),
        }
    }
}
