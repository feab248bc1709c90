//! What is damaged is traced to the images that suffer from it.

use wythe_store::fsck::Depth;
use wythe_store::fsck::damage::{Damage, ImagePart, ImageProblem};
use wythe_store::id::BodyId;
use wythe_store::journal::Durability;
use wythe_store::journal::batch::Batch;
use wythe_store::object::Kind;
use wythe_store::oci::config::ImageConfig;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::document::RawDocument;
use wythe_store::oci::manifest::Manifest;
use wythe_store::oci::media_type::MediaType;
use wythe_store::sim::Sim;
use wythe_store::store::Store;
use wythe_store::vfs::Vfs as _;

use crate::made::{filled, flip, images, objects, open};

#[test]
fn an_undamaged_image_is_whole_at_every_depth() {
    let made = filled();
    for depth in [Depth::Quick, Depth::Full] {
        let damage = open(&made.sim).verify(depth).unwrap();
        assert!(damage.is_empty(), "{depth:?}: {damage:?}");
    }
}

#[test]
fn a_damaged_document_names_the_image_and_what_it_is_of_it() {
    let made = filled();
    flip(&made.sim, Kind::Document, made.config.digest.as_bytes());
    let found = images(&open(&made.sim), Depth::Full);
    let names: Vec<&str> = found.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["app", "several"]);
    for one in &found {
        assert_eq!(one.part, ImagePart::Configuration(made.config.digest));
        assert!(matches!(one.problem, ImageProblem::Unreadable(_)), "{one}");
    }
    flip(&made.sim, Kind::Document, made.config.digest.as_bytes());
    flip(&made.sim, Kind::Document, made.manifest.digest.as_bytes());
    let found = images(&open(&made.sim), Depth::Quick);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found.iter().all(|one| one.part == ImagePart::Manifest(made.manifest.digest)));
}

#[test]
fn a_damaged_file_is_named_with_its_layer_and_platform() {
    let made = filled();
    flip(&made.sim, Kind::Body, BodyId::of(b"second of the plain one").as_bytes());
    let found = images(&open(&made.sim), Depth::Full);
    assert_eq!(found.len(), 2, "{found:?}");
    let digest = made.layers[0].digest;
    assert_eq!(found[0].part, ImagePart::Layer { number: 1, of: 3, digest });
    let ImageProblem::Files { path, n_files: 1, .. } = &found[0].problem else {
        panic!("{found:?}")
    };
    assert_eq!(path.as_bytes(), b"etc/second");
    let text = found[0].to_string();
    assert!(text.starts_with("image app for "), "{text}");
    assert!(
        text.contains(&format!("layer 1 of 3, {digest}: the bytes of /etc/second: ")),
        "{text}"
    );
    assert!(text.contains("checksum mismatch"), "{text}");
}

#[test]
fn damage_of_anything_an_image_needs_names_the_image() {
    let made = filled();
    let plain: Vec<[u8; 32]> = [&b"first of the plain one"[..], b"second of the plain one"]
        .map(|text| *BodyId::of(text).as_bytes())
        .into();
    let kinds = [Kind::Document, Kind::Recipe, Kind::Run, Kind::Fragment];
    let needed = kinds
        .into_iter()
        .flat_map(|kind| objects(&made.sim, kind).into_iter().map(move |id| (kind, id)));
    let bodies = plain.into_iter().map(|id| (Kind::Body, id));
    for (kind, id) in needed.chain(bodies) {
        flip(&made.sim, kind, &id);
        let found = images(&open(&made.sim), Depth::Full);
        assert!(!found.is_empty(), "{kind:?}");
        flip(&made.sim, kind, &id);
    }
    assert!(images(&open(&made.sim), Depth::Full).is_empty());
    flip(&made.sim, Kind::Body, BodyId::of(b"nobody needs this").as_bytes());
    let damage = open(&made.sim).verify(Depth::Full).unwrap();
    assert!(matches!(&damage[..], [Damage::Unreadable(_)]), "{damage:?}");
}

#[test]
fn a_blob_that_has_changed_or_gone_names_the_image() {
    let made = filled();
    let blob = format!("blobs/sha256/{}", made.layers[2].digest.hex());
    made.sim.flip(&blob, 700).unwrap();
    let found = images(&open(&made.sim), Depth::Full);
    let digest = made.layers[2].digest;
    assert_eq!(found[0].part, ImagePart::Layer { number: 3, of: 3, digest });
    assert!(images(&open(&made.sim), Depth::Quick).is_empty(), "no look at its bytes");
    made.sim.unlink(&blob).unwrap();
    for depth in [Depth::Quick, Depth::Full] {
        let found = images(&open(&made.sim), depth);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].problem, ImageProblem::Missing);
    }
}

#[test]
fn what_a_registry_is_known_to_have_is_not_missing() {
    let made = filled();
    let store = open(&made.sim);
    let digest = made.layers[2].digest;
    let mut record = store.layer_of_blob(&digest).unwrap().unwrap();
    record.origins.push("r.example/base".to_owned());
    let mut batch = Batch::new();
    batch.put_layer(&record);
    store.lease().unwrap().commit(batch, Durability::Durable).unwrap();
    made.sim.unlink(&format!("blobs/sha256/{}", digest.hex())).unwrap();
    let damage = open(&made.sim).verify(Depth::Full).unwrap();
    assert!(damage.is_empty(), "{damage:?}");
}

#[test]
fn an_image_whose_objects_were_never_stored_is_named_whatever_is_missing() {
    let sim = Sim::default();
    let store = open(&sim);
    let lease = store.lease().unwrap();
    let config = RawDocument::new(ImageConfig::default());
    let layer = Descriptor::of(MediaType::LAYER_GZIP, b"nowhere");
    let manifest = RawDocument::new(Manifest::new(config.descriptor(), vec![layer.clone()]));
    let mut batch = Batch::new();
    batch.set_ref("nothing", &manifest.descriptor());
    lease.commit(batch, Durability::Durable).unwrap();
    let part = |store: &Store| images(store, Depth::Quick).remove(0).part;
    assert_eq!(part(&store), ImagePart::Manifest(manifest.descriptor().digest));
    lease.put_document(manifest.bytes()).unwrap();
    assert_eq!(part(&store), ImagePart::Configuration(config.descriptor().digest));
    lease.put_document(config.bytes()).unwrap();
    assert_eq!(part(&store), ImagePart::Layer { number: 1, of: 1, digest: layer.digest });
}
