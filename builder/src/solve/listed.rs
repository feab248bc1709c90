//! Steps whose network is a list of hosts: where they went, and which of their results are taken.

use std::sync::PoisonError;

use wythe_store::id::CacheKey;
use wythe_store::journal::batch::Batch;

use super::{Known, Solver};
use crate::built::StepEgress;
use crate::egress::{Contact, contacts_of, note_contacts};
use crate::error::BuildCause;
use crate::execute::Execution;
use crate::explain::durations::{duration_of, note_duration};
use crate::operation::Operation;
use crate::options::NetworkMode;

impl Solver<'_> {
    /// The result that is remembered under a key of a vertex, unless it is [beyond](Self::is_beyond) the list.
    pub(super) fn admitted(
        &self,
        index: usize,
        key: &CacheKey,
    ) -> Result<Option<Known>, BuildCause> {
        if self.is_beyond(index, key) { Ok(None) } else { self.remembered(key) }
    }

    /// Whether the step whose result is remembered under a key of a vertex reached hosts that it may not
    /// reach in this build.
    pub(super) fn is_beyond(&self, index: usize, key: &CacheKey) -> bool {
        let list = self.options.egress.as_ref().filter(|_| self.is_listed(index));
        list.is_some_and(|list| {
            let contacts = contacts_of(self.env.store, key);
            contacts.is_some_and(|contacts| !list.admits_all(&contacts))
        })
    }

    /// Where the step went that made what a vertex came to, where it has a list.
    pub(crate) fn egress(&self, index: usize) -> Option<StepEgress> {
        let key = self.keys.get(&index).filter(|_| self.is_listed(index))?;
        let name = self.graph.vertices[index].name.clone();
        Some(StepEgress { name, contacts: contacts_of(self.env.store, key) })
    }

    /// Notes where a step went that ran.
    pub(super) fn note_egress(&self, batch: &mut Batch, index: usize, execution: Execution<'_>) {
        if self.is_listed(index) {
            let contacts = execution.contacts.into_inner().unwrap_or_else(PoisonError::into_inner);
            let contacts: Vec<Contact> = contacts.into_iter().collect();
            note_contacts(batch, &self.keys[&index], &contacts);
        }
    }

    /// What is noted of a result that is remembered under one key, noted for another.
    pub(super) fn carry_notes(&self, batch: &mut Batch, from: &CacheKey, to: &CacheKey) {
        note_duration(batch, to, duration_of(self.env.store, from));
        if let Some(contacts) = contacts_of(self.env.store, from) {
            note_contacts(batch, to, &contacts);
        }
    }

    fn is_listed(&self, index: usize) -> bool {
        let operation = &self.graph.vertices[index].operation;
        matches!(operation, Operation::Run(run) if run.network == NetworkMode::Allow)
    }
}
