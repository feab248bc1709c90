//! What a process may do, as the kernel would say if it knew more than one user.
//!
//! To the kernel every process here is root and keeps what root has until it gives it up by name. Here is what
//! becomes of the sets when ids change and programs are executed.

use rustix::io::Errno;

use super::credentials::FourIds;

/// The sets of a process, a bit for each capability.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Capabilities {
    pub(super) permitted: u64,
    pub(super) effective: u64,
    pub(super) inheritable: u64,
    ambient: u64,
    bounding: u64,
    /// How much being root means (`SECBIT_*`).
    securebits: u32,
}

impl Capabilities {
    /// Those of the first process of a step that may have `all`.
    pub(super) fn of(user: u32, all: u64) -> Self {
        let held = if user == 0 { all } else { 0 };
        Self {
            permitted: held,
            effective: held,
            inheritable: 0,
            ambient: 0,
            bounding: all,
            securebits: 0,
        }
    }

    pub(super) fn has(&self, capability: u32) -> bool {
        self.effective >> capability & 1 == 1
    }

    /// After the user ids have changed, but not for files alone.
    pub(super) fn after(mut self, old: FourIds, new: FourIds) -> Self {
        if self.securebits & NO_SETUID_FIXUP != 0 {
            return self;
        }
        let is_root_somewhere = |ids: FourIds| [ids.real, ids.effective, ids.saved].contains(&0);
        if is_root_somewhere(old) && !is_root_somewhere(new) {
            if self.securebits & KEEP_CAPS == 0 {
                (self.permitted, self.effective) = (0, 0);
            }
            self.ambient = 0;
        }
        match (old.effective, new.effective) {
            (0, 0) => {}
            (0, _) => self.effective = 0,
            (_, 0) => self.effective = self.permitted,
            _ => {}
        }
        self
    }

    /// After the user id for files has changed.
    pub(super) fn after_files(mut self, old: u32, new: u32) -> Self {
        if self.securebits & NO_SETUID_FIXUP == 0 {
            match (old, new) {
                (0, 0) => {}
                (0, _) => self.effective &= !OF_FILES,
                (_, 0) => self.effective |= self.permitted & OF_FILES,
                _ => {}
            }
        }
        self
    }

    /// After a program was executed by which the process has these users; `owners` are those whose set-ID
    /// bits made it so. What a file has of its own is not looked at.
    pub(super) fn executing(self, users: FourIds, owners: [Option<u32>; 2]) -> Self {
        let ambient = if owners == [None, None] { self.ambient } else { 0 };
        let is_root = self.securebits & NO_ROOT == 0 && [users.real, users.effective].contains(&0);
        let permitted = if is_root { self.bounding | self.inheritable } else { ambient };
        let effective = if is_root && users.effective != 0 { ambient } else { permitted };
        let securebits = self.securebits & !KEEP_CAPS;
        Self { permitted, effective, ambient, securebits, ..self }
    }

    /// `capset`
    pub(super) fn set(self, [effective, permitted, inheritable]: [u64; 3]) -> Result<Self, Errno> {
        let may_inherit = self.inheritable | self.bounding;
        let is_allowed = permitted & !self.permitted == 0
            && effective & !permitted == 0
            && inheritable & !may_inherit == 0;
        let ambient = self.ambient & permitted & inheritable;
        if is_allowed {
            Ok(Self { permitted, effective, inheritable, ambient, ..self })
        } else {
            Err(Errno::PERM)
        }
    }

    /// What options of `prctl` do that have to do with capabilities.
    pub(super) fn controlled(
        mut self,
        option: u32,
        [second, third]: [u32; 2],
    ) -> Result<Self, Errno> {
        let bit = |number: u32| 1_u64.checked_shl(number).ok_or(Errno::INVAL);
        match option {
            SET_KEEP_CAPS if second == 0 => self.securebits &= !KEEP_CAPS,
            SET_KEEP_CAPS => self.securebits |= KEEP_CAPS,
            SET_SECUREBITS | DROP_BOUNDING if !self.has(SETPCAP) => return Err(Errno::PERM),
            SET_SECUREBITS => self.securebits = second,
            DROP_BOUNDING => self.bounding &= !bit(second)?,
            AMBIENT => match second {
                1 => {}
                2 if self.permitted & self.inheritable & bit(third)? == 0 => {
                    return Err(Errno::PERM);
                }
                2 => self.ambient |= bit(third)?,
                3 => self.ambient &= !bit(third)?,
                4 => self.ambient = 0,
                _ => return Err(Errno::INVAL),
            },
            _ => {}
        }
        Ok(self)
    }
}

pub(super) const CHOWN: u32 = 0;
pub(super) const DAC_OVERRIDE: u32 = 1;
pub(super) const FOWNER: u32 = 3;
pub(super) const SETGID: u32 = 6;
pub(super) const SETUID: u32 = 7;
const SETPCAP: u32 = 8;
pub(super) const MKNOD: u32 = 27;
pub(super) const SETFCAP: u32 = 31;

/// Those that go and come with the user for files: `chown`, `dac_override`, `dac_read_search`, fowner,
/// fsetid, `linux_immutable`, `mac_override`, mknod.
const OF_FILES: u64 = 0x1_0800_021f;

/// `SECBIT_NOROOT`, `SECBIT_NO_SETUID_FIXUP` and `SECBIT_KEEP_CAPS`.
const NO_ROOT: u32 = 1;
const NO_SETUID_FIXUP: u32 = 1 << 2;
const KEEP_CAPS: u32 = 1 << 4;

/// `PR_SET_KEEPCAPS`, `PR_CAPBSET_DROP`, `PR_SET_SECUREBITS` and `PR_CAP_AMBIENT`.
pub(super) const SET_KEEP_CAPS: u32 = 8;
pub(super) const DROP_BOUNDING: u32 = 24;
pub(super) const SET_SECUREBITS: u32 = 28;
pub(super) const AMBIENT: u32 = 47;

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: u64 = 0xa804_25fb;
    const ROOT: FourIds = FourIds { real: 0, effective: 0, saved: 0, files: 0 };
    const ADA: FourIds = FourIds { real: 7, effective: 7, saved: 7, files: 7 };

    #[test]
    fn who_gives_up_root_gives_up_what_it_may_do() {
        let root = Capabilities::of(0, ALL);
        let ada = root.after(ROOT, ADA);
        assert_eq!((ada.permitted, ada.effective), (0, 0));
        let lent = FourIds { effective: 7, files: 7, ..ROOT };
        let lending = root.after(ROOT, lent);
        assert_eq!((lending.permitted, lending.effective), (ALL, 0));
        assert_eq!(lending.after(lent, ROOT), root);
    }

    #[test]
    fn who_keeps_capabilities_takes_them_up_again_and_loses_them_to_the_next_program() {
        let keeping = Capabilities::of(0, ALL).controlled(SET_KEEP_CAPS, [1, 0]).unwrap();
        let ada = keeping.after(ROOT, ADA);
        assert_eq!((ada.permitted, ada.effective), (ALL, 0));
        let again = ada.set([1 << SETGID, ALL, 0]).unwrap();
        assert!(again.has(SETGID) && !again.has(SETUID));
        assert_eq!(again.executing(ADA, [None, None]).permitted, 0);
        assert_eq!(again.set([0, u64::MAX, 0]), Err(Errno::PERM));
    }

    #[test]
    fn a_program_of_root_may_what_the_bounding_set_lets_it() {
        let bound = Capabilities::of(0, ALL).controlled(DROP_BOUNDING, [CHOWN, 0]).unwrap();
        assert!(bound.has(CHOWN));
        assert!(!bound.executing(ROOT, [None, None]).has(CHOWN));
        let sudo = FourIds { real: 7, ..ROOT };
        assert_eq!(Capabilities::of(7, ALL).executing(sudo, [Some(0), None]).effective, ALL);
    }

    #[test]
    fn ambient_capabilities_outlive_programs() {
        let kept = Capabilities::of(0, ALL).controlled(SET_KEEP_CAPS, [1, 0]).unwrap();
        let ada = kept.after(ROOT, ADA).set([ALL, ALL, ALL]).unwrap();
        let ada = ada.controlled(AMBIENT, [2, SETUID]).unwrap();
        assert_eq!(ada.executing(ADA, [None, None]).effective, 1 << SETUID);
        assert_eq!(ada.executing(ADA, [None, Some(7)]).effective, 0);
    }

    #[test]
    fn files_are_not_roots_for_who_is_somebody_else_for_files() {
        let root = Capabilities::of(0, ALL);
        let other = root.after_files(0, 7);
        assert!(!other.has(DAC_OVERRIDE) && other.has(SETUID));
        assert_eq!(other.after_files(7, 0), root);
    }
}
