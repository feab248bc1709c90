//! The last step: an image's configuration and manifest, once its layers are known.

use std::collections::BTreeMap;

use wythe_store::digest::DiffId;
use wythe_store::oci::config::{HistoryEntry, ImageConfig};
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::manifest::Manifest;
use wythe_store::timestamp::Timestamp;

use crate::graph::{ImagePlan, VertexId};
use crate::history::COMMENT;

/// What `BuildKit` remarks on the entries that it adds to the history of a base image.
const EVENED: &str = "buildkit.exporter.image.v0";

/// A layer that a vertex made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MadeLayer {
    /// The digest of its archive.
    pub diff_id: DiffId,
    /// When it was made.
    pub created: Timestamp,
}

/// Why a configuration cannot be put together.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AssembleError {
    /// A vertex that makes a layer has none.
    #[error("the layer of {created_by:?} is missing")]
    MissingLayer {
        /// The instruction.
        created_by: String,
    },
    /// A time is outside of what a date can say.
    #[error("{} seconds since 1970 are no date", .0.seconds)]
    Time(Timestamp),
}

/// The configuration of the image a plan describes.
///
/// An instruction without a layer is as old as the layer before it, and one before all layers as
/// old as the first. Where nothing made a layer, that is `now`.
///
/// # Errors
///
/// When a layer is missing from `layers`, or a time cannot be written.
pub fn configuration(
    plan: &ImagePlan,
    layers: &BTreeMap<VertexId, MadeLayer>,
    now: Timestamp,
) -> Result<ImageConfig, AssembleError> {
    let mut config = plan.config.clone();
    even_out(&mut config);
    let mut time = first_time(plan, layers).unwrap_or(now);
    for record in &plan.instructions {
        if let Some(vertex) = record.layer {
            let created_by = || record.created_by.clone();
            let layer = layers
                .get(&vertex)
                .ok_or_else(|| AssembleError::MissingLayer { created_by: created_by() })?;
            time = layer.created;
            config.rootfs.diff_ids.push(layer.diff_id);
        }
        config.history.push(HistoryEntry {
            created: Some(date(shown(plan, time))?),
            created_by: Some(record.created_by.clone()),
            comment: Some(COMMENT.to_owned()),
            empty_layer: record.layer.is_none(),
            ..HistoryEntry::default()
        });
    }
    if let Some(created) = created(plan, layers, now) {
        config.created = Some(date(created)?);
    }
    Ok(config)
}

/// The manifest over a configuration and its layers.
pub fn manifest(
    config: Descriptor,
    layers: Vec<Descriptor>,
    annotations: &BTreeMap<String, String>,
) -> Manifest {
    Manifest { annotations: annotations.clone(), ..Manifest::new(config, layers) }
}

/// Makes the history of a base image name as many layers as it has: one that names fewer gets entries
/// without a word, as in `BuildKit`, and in one that names more the last ones are without a layer. So
/// what follows is never taken for a layer of the base.
fn even_out(config: &mut ImageConfig) {
    let mut left = config.rootfs.diff_ids.len();
    for entry in &mut config.history {
        entry.empty_layer |= left == 0;
        left -= usize::from(!entry.empty_layer);
    }
    let wordless = HistoryEntry { comment: Some(EVENED.to_owned()), ..HistoryEntry::default() };
    config.history.extend(std::iter::repeat_n(wordless, left));
}

fn first_time(plan: &ImagePlan, layers: &BTreeMap<VertexId, MadeLayer>) -> Option<Timestamp> {
    let made = |record: &crate::graph::InstructionRecord| layers.get(&record.layer?);
    plan.instructions.iter().find_map(made).map(|layer| layer.created)
}

/// The newest time of what the build added; nothing where it added nothing.
fn created(
    plan: &ImagePlan,
    layers: &BTreeMap<VertexId, MadeLayer>,
    now: Timestamp,
) -> Option<Timestamp> {
    if plan.instructions.is_empty() && plan.epoch.is_none() {
        return None;
    }
    let made = plan.instructions.iter().filter_map(|record| layers.get(&record.layer?));
    let newest = made.map(|layer| layer.created).max_by_key(|time| (time.seconds, time.nanos));
    Some(shown(plan, newest.unwrap_or(now)))
}

fn shown(plan: &ImagePlan, time: Timestamp) -> Timestamp {
    plan.epoch.map_or(time, Timestamp::from_seconds)
}

fn date(time: Timestamp) -> Result<String, AssembleError> {
    let nanos = i32::try_from(time.nanos).map_err(|_| AssembleError::Time(time))?;
    let instant =
        jiff::Timestamp::new(time.seconds, nanos).map_err(|_| AssembleError::Time(time))?;
    Ok(instant.to_string())
}

#[cfg(test)]
mod tests {
    use wythe_store::digest::Digest;
    use wythe_store::oci::platform::Platform;

    use super::*;
    use crate::graph::InstructionRecord;

    fn plan(layers: &[Option<usize>], epoch: Option<i64>) -> ImagePlan {
        let record = |layer: &Option<usize>| InstructionRecord {
            created_by: "X".to_owned(),
            layer: layer.map(VertexId),
        };
        let instructions = layers.iter().map(record).collect();
        let (target, platform) = ("default".to_owned(), Platform::linux("amd64"));
        let (top, config) = (None, ImageConfig::default());
        ImagePlan { target, platform, top, config, instructions, epoch }
    }

    fn made(seconds: i64) -> MadeLayer {
        let diff_id = DiffId(Digest::of(b"x"));
        MadeLayer { diff_id, created: Timestamp::from_seconds(seconds) }
    }

    #[track_caller]
    fn check(plan: &ImagePlan, expected: &[&str], created: Option<&str>) {
        let layers = BTreeMap::from([(VertexId(0), made(10)), (VertexId(1), made(20))]);
        let config = configuration(plan, &layers, Timestamp::from_seconds(30)).unwrap();
        let times: Vec<&str> =
            config.history.iter().map(|entry| entry.created.as_deref().unwrap()).collect();
        assert_eq!(times, expected);
        assert_eq!(config.created.as_deref(), created);
    }

    const T10: &str = "1970-01-01T00:00:10Z";
    const T20: &str = "1970-01-01T00:00:20Z";
    const T30: &str = "1970-01-01T00:00:30Z";

    #[test]
    fn an_instruction_without_a_layer_is_as_old_as_its_neighbour() {
        check(&plan(&[None, Some(0), None, Some(1)], None), &[T10, T10, T10, T20], Some(T20));
    }

    /// Whether entries of the history are without a layer, before and after what is built.
    #[track_caller]
    fn check_history(base_layers: usize, base: &[bool], expected: &[bool]) {
        let mut plan = plan(&[Some(0), None], None);
        plan.config.rootfs.diff_ids = vec![made(0).diff_id; base_layers];
        let entry = |&empty_layer| HistoryEntry { empty_layer, ..HistoryEntry::default() };
        plan.config.history = base.iter().map(entry).collect();
        let layers = BTreeMap::from([(VertexId(0), made(10))]);
        let config = configuration(&plan, &layers, Timestamp::from_seconds(30)).unwrap();
        let found: Vec<bool> = config.history.iter().map(|entry| entry.empty_layer).collect();
        assert_eq!(found, [expected, &[false, true]].concat());
    }

    #[test]
    fn the_history_of_a_base_names_as_many_layers_as_there_are() {
        check_history(2, &[false, true, false], &[false, true, false]);
        check_history(2, &[], &[false, false]);
        check_history(2, &[true, false], &[true, false, false]);
        check_history(1, &[false, true, false, false], &[false, true, true, true]);
        check_history(0, &[false], &[true]);
    }

    #[test]
    fn an_image_without_layers_is_made_now() {
        check(&plan(&[None], None), &[T30], Some(T30));
    }

    #[test]
    fn the_epoch_replaces_every_new_time() {
        check(&plan(&[Some(0), None], Some(20)), &[T20, T20], Some(T20));
    }

    #[test]
    fn a_build_that_adds_nothing_keeps_the_time_of_its_base() {
        check(&plan(&[], None), &[], None);
    }

    #[test]
    fn a_missing_layer_is_named() {
        let error = configuration(&plan(&[Some(7)], None), &BTreeMap::new(), Timestamp::default());
        assert_eq!(error, Err(AssembleError::MissingLayer { created_by: "X".to_owned() }));
    }
}
