//! The half of ADD that is not COPY: archives among the sources are unpacked.

use std::sync::Arc;

use wythe_store::tree::diff::diff;
use wythe_store::tree::entry::{Node, Tree};
use wythe_store::tree::merge::merge;

use super::Execution;
use crate::add::archive::{is_archive, unpack};
use crate::copy::place::place;
use crate::copy::select::{Item, Selection, select};
use crate::copy::{CopySpec, CopyTarget};
use crate::error::BuildCause;
use crate::operation::copy::{Archives, CopySource, CopyStep};

/// What becomes of one thing that is added.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Treatment {
    Copy,
    Unpack,
}

impl Execution<'_> {
    /// Lays what a step selects of `source` onto `lower`, unpacking what is an archive.
    pub(crate) fn add(
        &self,
        step: &CopyStep,
        source: &Tree,
        lower: &Arc<Tree>,
        spec: &CopySpec,
    ) -> Result<Tree, BuildCause> {
        let items = self.treatments(step, source, spec)?;
        if items.iter().all(|(_, treatment)| *treatment == Treatment::Copy) {
            let all = items.into_iter().map(|(item, _)| item).collect();
            return Ok(place(&Selection::from_items(all), &lower.children, spec)?);
        }
        if let [(item, treatment)] = &items[..] {
            return self.one(item, *treatment, lower, spec);
        }
        // Each sees what those before it have made, also where none sees what is below.
        let below = match spec.base {
            CopyTarget::Destination => (**lower).clone(),
            CopyTarget::Nothing => Tree::default(),
        };
        let spec = CopySpec { base: CopyTarget::Destination, ..spec.clone() };
        let mut root = below.clone();
        for (item, treatment) in &items {
            root = merge(&root, &self.one(item, *treatment, &root, &spec)?);
        }
        Ok(diff(&below, &root))
    }

    fn one(
        &self,
        item: &Item,
        treatment: Treatment,
        root: &Tree,
        spec: &CopySpec,
    ) -> Result<Tree, BuildCause> {
        if let (Item::File(entry), Treatment::Unpack) = (item, treatment)
            && let Node::File(file) = &entry.node
        {
            let unpacked = unpack(self.env.lease, &file.body, &root.children, spec);
            return Ok(unpacked.map_err(|error| error.of(&entry.name))?);
        }
        Ok(place(&Selection::from_items(vec![item.clone()]), &root.children, spec)?)
    }

    /// What every source selects, and what becomes of it.
    fn treatments(
        &self,
        step: &CopyStep,
        source: &Tree,
        spec: &CopySpec,
    ) -> Result<Vec<(Item, Treatment)>, BuildCause> {
        let mut found = Vec::new();
        for (one, word) in step.sources.iter().zip(&spec.sources) {
            let spec = CopySpec { sources: vec![word.clone()], ..spec.clone() };
            let unpacked = match one {
                CopySource::Path(_) | CopySource::Heredoc { .. } => true,
                CopySource::Url(_) | CopySource::Git(_) => step.archives == Archives::Unpack,
            };
            for item in select(source, &spec)?.items() {
                let unpacked = unpacked && self.archive(item)?;
                let treatment = if unpacked { Treatment::Unpack } else { Treatment::Copy };
                found.push((item.clone(), treatment));
            }
        }
        Ok(found)
    }

    fn archive(&self, item: &Item) -> Result<bool, BuildCause> {
        let Item::File(entry) = item else { return Ok(false) };
        let Node::File(file) = &entry.node else { return Ok(false) };
        let told = is_archive(self.env.lease, &file.body);
        Ok(told.map_err(|error| error.of(&entry.name))?)
    }
}
