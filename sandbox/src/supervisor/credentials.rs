//! Who the processes of a step take themselves to be, where the kernel knows one user only.
//!
//! What somebody is has to pass on to whoever it starts, whether that asks for it or not, and whether
//! its parent still lives then. The kernel passes nothing on that would serve but limits: the limit of
//! file locks of a process, which means nothing to the kernel, is the number of what it is. The
//! filter keeps steps from reading and setting it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use rustix::io::Errno;

use super::capabilities::{Capabilities, DAC_OVERRIDE, SETGID, SETUID};
use crate::plan::DOCKER_CAPABILITIES;
use crate::step::Identity;
use crate::sys;

/// The four ids of one kind that a process has.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct FourIds {
    pub(super) real: u32,
    pub(super) effective: u32,
    pub(super) saved: u32,
    /// Whom files belong to that are made.
    pub(super) files: u32,
}

/// What a process is.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Credentials {
    pub(super) users: FourIds,
    pub(super) groups: FourIds,
    pub(super) supplementary: Vec<u32>,
    pub(super) capabilities: Capabilities,
}

/// In a call: the id stays as it is.
pub(super) const SAME: u32 = u32::MAX;

impl FourIds {
    pub(super) fn all(id: u32) -> Self {
        Self { real: id, effective: id, saved: id, files: id }
    }

    /// `setuid` and `setgid`, of somebody who may become anybody or may not.
    pub(super) fn set(self, id: u32, power: Power) -> Result<Self, Errno> {
        match power {
            _ if id == SAME => Err(Errno::INVAL),
            Power::Any => Ok(Self::all(id)),
            Power::Own if id == self.real || id == self.saved => {
                Ok(Self { effective: id, files: id, ..self })
            }
            Power::Own => Err(Errno::PERM),
        }
    }

    /// `setreuid` and `setregid`.
    pub(super) fn set_two(self, [real, effective]: [u32; 2], power: Power) -> Result<Self, Errno> {
        let may_be_real = [SAME, self.real, self.effective].contains(&real);
        let may_be_effective =
            effective == self.saved || [SAME, self.real, self.effective].contains(&effective);
        if power == Power::Own && !(may_be_real && may_be_effective) {
            return Err(Errno::PERM);
        }
        let new =
            Self { real: or(real, self.real), effective: or(effective, self.effective), ..self };
        let is_saved = real != SAME || (effective != SAME && effective != self.real);
        let saved = if is_saved { new.effective } else { self.saved };
        Ok(Self { saved, files: new.effective, ..new })
    }

    /// `setresuid` and `setresgid`.
    pub(super) fn set_three(self, ids: [u32; 3], power: Power) -> Result<Self, Errno> {
        let own = [SAME, self.real, self.effective, self.saved];
        if power == Power::Own && !ids.iter().all(|id| own.contains(id)) {
            return Err(Errno::PERM);
        }
        let [real, effective, saved] = ids;
        let effective = or(effective, self.effective);
        Ok(Self {
            real: or(real, self.real),
            effective,
            saved: or(saved, self.saved),
            files: effective,
        })
    }

    /// `setfsuid` and `setfsgid`, which never say that they fail.
    pub(super) fn set_files(self, id: u32, power: Power) -> Self {
        let own = [self.real, self.effective, self.saved, self.files];
        let may = id != SAME && (power == Power::Any || own.contains(&id));
        Self { files: or(if may { id } else { SAME }, self.files), ..self }
    }

    /// What becomes of it when a program is executed, which belongs to `owner` if that is whom it
    /// runs as.
    fn executing(self, owner: Option<u32>) -> Self {
        let id = owner.unwrap_or(self.effective);
        Self { real: self.real, effective: id, saved: id, files: id }
    }
}

fn or(id: u32, otherwise: u32) -> u32 {
    if id == SAME { otherwise } else { id }
}

/// Whom a process may become.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Power {
    /// Anybody: it is root.
    Any,
    /// Whom it has been.
    Own,
}

impl Credentials {
    pub(super) fn of(identity: &Identity) -> Self {
        let mut supplementary = identity.groups.clone();
        supplementary.sort_unstable();
        Self {
            users: FourIds::all(identity.uid),
            groups: FourIds::all(identity.gid),
            supplementary,
            capabilities: Capabilities::of(identity.uid, DOCKER_CAPABILITIES),
        }
    }

    /// Which users it may become.
    pub(super) fn power(&self) -> Power {
        self.power_by(SETUID)
    }

    /// Which groups it may take.
    pub(super) fn group_power(&self) -> Power {
        self.power_by(SETGID)
    }

    fn power_by(&self, capability: u32) -> Power {
        if self.capabilities.has(capability) { Power::Any } else { Power::Own }
    }

    /// The same with other users, as calls set them.
    pub(super) fn with_users(&self, users: FourIds) -> Self {
        let capabilities = self.capabilities.after(self.users, users);
        let capabilities = capabilities.after_files(self.users.files, users.files);
        Self { users, capabilities, ..self.clone() }
    }

    /// The same with another user for files.
    pub(super) fn with_user_for_files(&self, users: FourIds) -> Self {
        let capabilities = self.capabilities.after_files(self.users.files, users.files);
        Self { users, capabilities, ..self.clone() }
    }

    /// Whether it may do everything with files.
    pub(super) fn has_all_files(&self) -> bool {
        self.capabilities.has(DAC_OVERRIDE)
    }

    pub(super) fn is_in(&self, group: u32) -> bool {
        self.groups.files == group || self.supplementary.binary_search(&group).is_ok()
    }

    /// What becomes of it when a program is executed that makes who runs it these.
    pub(super) fn executing(&self, [user, group]: [Option<u32>; 2]) -> Self {
        let (users, groups) = (self.users.executing(user), self.groups.executing(group));
        let capabilities = self.capabilities.executing(users, [user, group]);
        Self { users, groups, capabilities, supplementary: self.supplementary.clone() }
    }

    /// Whether it may do these things (as bits of [`READ`] and so on) with what belongs to somebody and
    /// has this mode.
    pub(super) fn may(&self, wanted: u32, (uid, gid): (u32, u32), mode: u32) -> bool {
        if self.has_all_files() {
            // Who may do everything executes nothing that nobody may.
            return wanted & EXECUTE == 0
                || mode & 0o111 != 0
                || mode & libc::S_IFMT == libc::S_IFDIR;
        }
        let granted = match () {
            () if self.users.files == uid => mode >> 6,
            () if self.is_in(gid) => mode >> 3,
            () => mode,
        };
        granted & wanted == wanted
    }
}

pub(super) const READ: u32 = 4;
pub(super) const WRITE: u32 = 2;
pub(super) const EXECUTE: u32 = 1;

/// What the processes of one step are.
#[derive(Debug)]
pub(super) struct People(Mutex<Known>);

#[derive(Debug)]
struct Known {
    /// By their numbers.
    all: Vec<Credentials>,
    numbers: HashMap<Credentials, usize>,
}

impl People {
    /// The processes of a step that begins as somebody.
    pub(super) fn new(first: Credentials) -> Self {
        let numbers = HashMap::from([(first.clone(), 0)]);
        Self(Mutex::new(Known { all: vec![first], numbers }))
    }

    /// What a process is.
    pub(super) fn of(&self, process: u32) -> Result<Credentials, Errno> {
        let number = sys::lock_limit(process)?;
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = usize::try_from(number).ok().and_then(|number| known.all.get(number));
        found.cloned().ok_or(Errno::PERM)
    }

    /// Makes it something else. That it waits for its answer has to be known.
    pub(super) fn put(&self, process: u32, credentials: &Credentials) -> Result<(), Errno> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = match known.numbers.get(credentials) {
            Some(number) => *number,
            None if known.all.len() == MOST => return Err(Errno::AGAIN),
            None => {
                let number = known.all.len();
                known.all.push(credentials.clone());
                known.numbers.insert(credentials.clone(), number);
                number
            }
        };
        drop(known);
        sys::set_lock_limit(process, number as u64)
    }
}

/// Different things that the processes of a step may be, so that none fills our memory: each may have
/// 65536 groups.
const MOST: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: FourIds = FourIds { real: 0, effective: 0, saved: 0, files: 0 };
    const ADA: FourIds = FourIds { real: 7, effective: 7, saved: 7, files: 7 };

    #[test]
    fn root_becomes_anybody_for_good() {
        assert_eq!(ROOT.set(7, Power::Any), Ok(ADA));
        assert_eq!(ADA.set(0, Power::Own), Err(Errno::PERM));
        assert_eq!(ADA.set(7, Power::Own), Ok(ADA));
        assert_eq!(ROOT.set(SAME, Power::Any), Err(Errno::INVAL));
    }

    #[test]
    fn who_keeps_a_saved_id_comes_back() {
        let lent = ROOT.set_three([SAME, 7, SAME], Power::Any).unwrap();
        assert_eq!(lent, FourIds { effective: 7, files: 7, ..ROOT });
        assert_eq!(lent.set_three([SAME, 0, SAME], Power::Own), Ok(ROOT));
        assert_eq!(lent.set(0, Power::Own), Ok(ROOT));
        assert_eq!(lent.set_three([8, SAME, SAME], Power::Own), Err(Errno::PERM));
        assert_eq!(lent.set_three([7, 7, 7], Power::Own), Ok(ADA));
    }

    #[test]
    fn two_ids_are_exchanged_and_the_saved_one_follows() {
        let lent = FourIds { real: 7, effective: 0, saved: 0, files: 0 };
        let swapped = lent.set_two([0, 7], Power::Own).unwrap();
        assert_eq!(swapped, FourIds { real: 0, effective: 7, saved: 7, files: 7 });
        assert_eq!(lent.set_two([SAME, 7], Power::Own).unwrap().saved, 0);
        assert_eq!(ADA.set_two([SAME, 0], Power::Own), Err(Errno::PERM));
    }

    #[test]
    fn only_files_follow_the_fourth_id() {
        assert_eq!(ROOT.set_files(7, Power::Any), FourIds { files: 7, ..ROOT });
        assert_eq!(ADA.set_files(8, Power::Own), ADA);
        assert_eq!(ROOT.set_files(SAME, Power::Any), ROOT);
    }

    fn ada() -> Credentials {
        Credentials::of(&Identity { uid: 7, gid: 7, groups: vec![9, 8] })
    }

    #[test]
    fn a_set_user_id_program_has_its_owner_and_comes_back_from_it() {
        let sudo = ada().executing([Some(0), None]);
        assert_eq!(sudo.users, FourIds { real: 7, ..ROOT });
        assert_eq!(sudo.groups, ADA);
        assert_eq!(sudo.power(), Power::Any);
    }

    #[test]
    fn permissions_are_those_of_the_first_class_that_fits() {
        let ada = ada();
        assert!(ada.may(WRITE, (7, 0), 0o200));
        assert!(!ada.may(WRITE, (7, 7), 0o077));
        assert!(ada.may(READ | WRITE, (0, 9), 0o060));
        assert!(!ada.may(WRITE, (0, 8), 0o606));
        assert!(ada.may(READ, (0, 0), 0o004));
        let root = Credentials::of(&Identity::default());
        assert!(root.may(READ | WRITE, (7, 7), 0));
        assert!(!root.may(EXECUTE, (7, 7), 0o600));
    }
}
