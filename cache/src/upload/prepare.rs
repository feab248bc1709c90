//! What is kept of steps: the cache is asked which it lacks, and the layers of those are compressed.

use wythe_store::id::CacheKey;
use wythe_store::layer::export::{ExportError, Exporting, export_once};
use wythe_store::portable_action::PortableAction;
use wythe_store::portable_listings;
use wythe_store::tree::encode::content_id;

use super::queue::Queue;
use super::{MadeStep, UploadError, UploadPlan};

/// Prepares what comes until no more does. All that came meanwhile is asked for at once.
pub(super) fn run(plan: &UploadPlan, queue: &Queue) -> Result<(), UploadError> {
    while let Some(steps) = queue.steps() {
        let keys: Vec<CacheKey> = steps.iter().map(|step| step.key).collect();
        let known = {
            let _request = queue.request();
            plan.backend.records(&keys)?
        };
        for (step, found) in steps.iter().zip(&known) {
            if found.as_deref().and_then(PortableAction::decode).is_some() {
                queue.is_there(step.key);
            } else if let Some(record) = plan.record(step)? {
                let latest = record.as_latest(step.key);
                if !queue.ready([(step.key, record), (step.place, latest)]) {
                    return Ok(());
                }
            }
        }
    }
    queue.prepared();
    Ok(())
}

impl UploadPlan {
    /// What is kept of a step, whose layer is compressed for it; nothing where the layer is not here.
    fn record(&self, step: &MadeStep) -> Result<Option<PortableAction>, UploadError> {
        let store = self.lease.store();
        let found = store.layer(&step.layer)?.and_then(|layer| layer.tree);
        let Some(tree) = found.map(|id| store.tree(&id)).transpose()?.flatten() else {
            return Ok(None);
        };
        let read = || {
            let found = store.layer(&step.layer).map_err(ExportError::Read)?;
            found.ok_or(ExportError::Gone)
        };
        let how = Exporting { codec: step.codec, pool: &self.pool, begun: &|_| {}, measured: None };
        let (layer, blob) = export_once(&self.lease, step.layer, read, how)?;
        let (Some(diff_id), Some(tar_size)) = (layer.diff_id, layer.tar_size) else {
            return Ok(None);
        };
        let MadeStep { name, created, duration, inputs, origin, .. } = step.clone();
        let listings = portable_listings::pack(&self.lease, &inputs)?;
        let content = content_id(&tree);
        Ok(Some(PortableAction {
            diff_id,
            tar_size,
            blob,
            content,
            created,
            duration,
            step: name,
            inputs,
            listings,
            latest: None,
            origin,
        }))
    }
}
