//! One image, delivered everywhere: what arrives is the same.
#![allow(clippy::unwrap_used, reason = "what cannot be set up is a failed test")]

use std::path::Path;
use std::time::{Duration, Instant};

use rayon::{ThreadPool, ThreadPoolBuilder};
use wythe_delivery::annotation::{Annotation, AnnotationTarget};
use wythe_delivery::content::OutgoingContent;
use wythe_delivery::encode::Ready;
use wythe_delivery::error::DeliveryError;
use wythe_delivery::image::OutgoingImage;
use wythe_delivery::options::{ImageOptions, LayerCompression, LayerOptions};
use wythe_delivery::platforms::{PlatformImage, PlatformImages};
use wythe_delivery::push::{Naming, Push};
use wythe_registry::client::Client;
use wythe_registry::delivered::Delivered;
use wythe_registry::fake::{FakeRegistry, Quirks};
use wythe_registry::settings::Settings;
use wythe_store::digest::{DiffId, Digest};
use wythe_store::id::LayerId;
use wythe_store::image::blob_origin::BlobOrigin;
use wythe_store::image::catalog::read_image;
use wythe_store::image::encode::Recompress;
use wythe_store::image::load::unpack;
use wythe_store::journal::Durability;
use wythe_store::journal::batch::Batch;
use wythe_store::layer::export::measure;
use wythe_store::layers::LayerRecord;
use wythe_store::lease::Lease;
use wythe_store::oci::config::ImageConfig;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::document::{Document as _, RawDocument};
use wythe_store::oci::index::Index;
use wythe_store::oci::layout::{Layout, REF_NAME, Selector};
use wythe_store::oci::manifest::Manifest;
use wythe_store::oci::media_type::MediaType;
use wythe_store::oci::platform::Platform;
use wythe_store::oci::reference::Reference;
use wythe_store::oci::source::ImageSource as _;
use wythe_store::path::LayerPath;
use wythe_store::store::{OpenOptions, Store};
use wythe_store::tree::build::TreeBuilder;
use wythe_store::tree::entry::{File, Metadata, Node};

/// A lease on a store, with an image of one layer in it for each of these architectures.
fn built(architectures: &[&str]) -> (tempfile::TempDir, Lease, Vec<Descriptor>) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), &OpenOptions::default()).unwrap();
    let lease = store.lease().unwrap();
    let images = architectures.iter().map(|name| image(&lease, name)).collect();
    (folder, lease, images)
}

fn image(lease: &Lease, architecture: &str) -> Descriptor {
    let body = lease.put_body(architecture.as_bytes()).unwrap();
    let file = File { body, size: architecture.len() as u64, link: None };
    let mut tree = TreeBuilder::new();
    let path = LayerPath::parse(b"greeting").unwrap();
    tree.insert(&path, Metadata::default(), Node::File(file)).unwrap();
    let tree = tree.finish();
    let measured = measure(&tree, lease.store()).unwrap();
    let mut record = LayerRecord::new(LayerId::of(architecture.as_bytes()));
    record.tree = Some(lease.put_tree(&tree).unwrap());
    (record.diff_id, record.tar_size) = (Some(measured.diff_id), Some(measured.size));
    let mut batch = Batch::default();
    batch.put_layer(&record);
    lease.commit(batch, Durability::Relaxed).unwrap();
    let mut config = ImageConfig::default();
    (config.os, config.architecture) = ("linux".to_owned(), architecture.to_owned());
    config.rootfs.diff_ids = vec![measured.diff_id];
    let config = RawDocument::new(config);
    lease.put_document(config.bytes()).unwrap();
    let layer = Descriptor::new(MediaType::LAYER, measured.diff_id.0, measured.size);
    let manifest = RawDocument::new(Manifest::new(config.descriptor(), vec![layer]));
    lease.put_document(manifest.bytes()).unwrap();
    manifest.descriptor()
}

fn pool() -> ThreadPool {
    ThreadPoolBuilder::new().num_threads(2).build().unwrap()
}

fn name(registry: &FakeRegistry, rest: &str) -> Reference {
    format!("{}/{rest}", registry.host()).parse().unwrap()
}

fn encoded<'a>(lease: &'a Lease, client: &'a Client, root: &Descriptor) -> OutgoingImage<'a> {
    let content = OutgoingContent::new(lease, client, &[]);
    OutgoingImage::encode(&content, root, LayerOptions::default(), &pool()).unwrap()
}

/// The root that a layout says an image has.
fn in_layout(directory: &Path) -> Digest {
    let layout = Layout::open(directory, Selector::Default).unwrap();
    let (root, _) = layout.manifest(&"app".parse().unwrap()).unwrap();
    root.digest
}

#[test]
fn what_is_pushed_is_what_archives_and_layouts_hold() {
    let (folder, lease, images) = built(&["amd64"]);
    let registry = FakeRegistry::start(Quirks::default()).unwrap();
    let client = Client::new(Settings::default());
    let image = encoded(&lease, &client, &images[0]);
    image.push(&client, &name(&registry, "app:1"), &()).unwrap();
    assert!(registry.manifest("app", &image.root.digest.to_string()).is_some());
    let layout = folder.path().join("layout");
    image.write_layout(&layout).unwrap();
    assert_eq!(in_layout(&layout), image.root.digest);
    let (mut oci, mut docker) = (Vec::new(), Vec::new());
    image.write_oci(&mut oci).unwrap();
    image.write_docker(&Platform::linux("amd64"), &mut docker).unwrap();
    for bytes in [&oci, &docker] {
        let unpacked = tempfile::tempdir_in(folder.path()).unwrap();
        unpack(Box::new(bytes.as_slice()), unpacked.path()).unwrap();
        assert_eq!(in_layout(unpacked.path()), image.root.digest);
    }
}

#[test]
fn a_layout_says_what_an_image_is_for_and_the_one_without_a_name_is_its_latest() {
    let (folder, lease, images) = built(&["arm64", "s390x"]);
    let client = Client::new(Settings::default());
    let layout = folder.path().join("layout");
    let listed = || {
        let layout = Layout::open(&layout, Selector::Default).unwrap();
        let line = |entry: &Descriptor| {
            let name = entry.annotations.get(REF_NAME).cloned().unwrap_or_default();
            format!("{name} {}", entry.platform.clone().unwrap())
        };
        layout.index().manifests.iter().map(line).collect::<Vec<_>>()
    };
    encoded(&lease, &client, &images[0]).write_layout(&layout).unwrap();
    assert_eq!(listed(), ["latest linux/arm64"]);
    let mut other = encoded(&lease, &client, &images[1]);
    other.write_layout(&layout).unwrap();
    assert_eq!(listed(), ["latest linux/s390x"]);
    other.names = vec!["app:1".parse().unwrap()];
    other.write_layout(&layout).unwrap();
    assert_eq!(listed(), ["latest linux/s390x", "1 linux/s390x"]);
}

#[test]
fn layers_of_a_base_are_fetched_before_a_push_only_where_they_leave_in_another_form() {
    let (_folder, lease, images) = built(&["amd64"]);
    let registry = FakeRegistry::start(Quirks::default()).unwrap();
    let client = Client::new(Settings::default());
    let base = name(&registry, "base:1");
    let layers = [(MediaType::LAYER, "plain"), (MediaType::LAYER_GZIP, "gzip")];
    let origins = layers.map(|(media_type, bytes)| {
        registry.put_blob("base", bytes.as_bytes());
        let descriptor = Descriptor::of(media_type, bytes.as_bytes());
        BlobOrigin::of_registry(descriptor, base.clone())
    });
    let content = OutgoingContent::new(&lease, &client, &origins);
    let fetched = |recompress| {
        let layers = LayerOptions { recompress, ..LayerOptions::default() };
        OutgoingImage::encode(&content, &images[0], layers, &pool()).unwrap();
        origins.each_ref().map(|origin| {
            let digest = origin.descriptor.digest.to_string();
            registry.seen().iter().any(|seen| seen.target.ends_with(&digest))
        })
    };
    assert_eq!(fetched(Recompress::Never), [false, false], "{:?}", registry.seen());
    assert_eq!(fetched(Recompress::Differing), [true, false], "{:?}", registry.seen());
}

#[test]
fn a_name_of_another_digest_is_refused_before_anything_is_sent() {
    let (_folder, lease, images) = built(&["amd64"]);
    let registry = FakeRegistry::start(Quirks::default()).unwrap();
    let client = Client::new(Settings::default());
    let image = encoded(&lease, &client, &images[0]);
    let to = name(&registry, "app").with_digest(Digest::of(b"another"));
    let refused = image.push(&client, &to, &());
    assert!(matches!(refused, Err(DeliveryError::OtherDigest { .. })), "{refused:?}");
    assert!(registry.blobs("app").is_empty());
}

#[test]
fn several_platforms_leave_under_one_annotated_index_and_names_share_blobs() {
    let (_folder, lease, images) = built(&["amd64", "arm64"]);
    let registry = FakeRegistry::start(Quirks::default()).unwrap();
    let client = Client::new(Settings::default());
    let platforms = ["amd64", "arm64"].map(Platform::linux);
    let read = |(manifest, platform): (&Descriptor, &Platform)| {
        PlatformImage::read(&lease, manifest, platform.clone(), (0, None)).unwrap()
    };
    let images = PlatformImages {
        lease: &lease,
        pool: &pool(),
        images: images.iter().zip(&platforms).map(read).collect(),
        origins: Vec::new(),
        provenance: Some(serde_json::json!({"buildDefinition": {}})),
    };
    let said = Annotation {
        target: AnnotationTarget::Index,
        platform: None,
        key: "a".to_owned(),
        value: "b".to_owned(),
    };
    let layers = LayerOptions { compression: LayerCompression::Zstd, ..LayerOptions::default() };
    let options = ImageOptions {
        layers,
        annotations: [said].into_iter().collect(),
        ..ImageOptions::default()
    };
    let names = ["app:1", "app:2"].map(|rest| name(&registry, rest));
    let content = &OutgoingContent::new(&lease, &client, &[]);
    let push =
        Push { registry: &client, content, transfers: &(), delivered: &Delivered::default() };
    let make = |ready: Ready<'_>| images.encode(&names, &options, (&client, ready));
    let image = push.run(&names, Naming::ByName, make).unwrap();
    let bytes = registry.manifest("app", "2").unwrap();
    assert_eq!(Digest::of(&bytes), image.root.digest);
    let index = Index::parse(&bytes).unwrap();
    assert_eq!((index.manifests.len(), index.images().count()), (4, 2), "two statements");
    assert_eq!(index.annotations["a"], "b");
    let seen = registry.seen();
    let asked =
        seen.iter().filter(|one| one.method == "HEAD" && one.target.contains("/blobs/")).count();
    assert_eq!(asked, registry.blobs("app").len(), "each blob once: {seen:?}");
}

#[test]
fn a_layer_that_is_handed_over_arrives_while_the_image_is_made_and_is_asked_for_once() {
    let (_folder, lease, images) = built(&["amd64"]);
    let registry = FakeRegistry::start(Quirks::default()).unwrap();
    let client = Client::new(Settings::default());
    let (content, delivered) = (&OutgoingContent::new(&lease, &client, &[]), &Delivered::default());
    let push = Push { registry: &client, content, transfers: &(), delivered };
    let names = ["app:1", "app:2"].map(|rest| name(&registry, rest));
    let platform = Platform::linux("amd64");
    let image = read_image(lease.store(), images[0].clone(), &platform).unwrap();
    let layer = &image.manifest.value().layers[0];
    let pushed = push.while_making((LayerOptions::default(), &pool()), |ahead| {
        ahead.send(layer, &names);
        ahead.send(layer, &names);
        let deadline = Instant::now() + Duration::from_secs(30);
        while registry.blobs("app").is_empty() {
            assert!(Instant::now() < deadline, "it does not arrive");
            std::thread::sleep(Duration::from_millis(5));
        }
        ahead.encoded();
        push.run(&names, Naming::ByName, |ready| {
            OutgoingImage::encode_each(
                content,
                &images[0],
                LayerOptions::default(),
                (&pool(), ready),
            )
        })
    });
    let root = pushed.unwrap().root.digest.to_string();
    assert_eq!(registry.manifest("app", "2"), registry.manifest("app", &root));
    let seen = registry.seen();
    let blobs = seen.iter().filter(|one| one.target.contains("/blobs/"));
    let count = |method| blobs.clone().filter(|one| one.method == method).count();
    assert_eq!(["HEAD", "POST", "PUT"].map(count), [2; 3], "a layer and a configuration: {seen:?}");
}

#[test]
fn a_layer_is_compressed_and_leaves_while_somebody_computes_what_it_is() {
    let (_folder, lease, images) = built(&["amd64"]);
    let platform = Platform::linux("amd64");
    let image = read_image(lease.store(), images[0].clone(), &platform).unwrap();
    let layer = &image.manifest.value().layers[0];
    let known = lease.store().layer_of_diff(&DiffId(layer.digest)).unwrap().unwrap();
    // The same files, of which nobody knows yet what they are.
    let mut record = LayerRecord::new(LayerId::of(b"new"));
    record.tree = known.tree;
    let mut batch = Batch::new();
    batch.put_layer(&record);
    lease.commit(batch, Durability::Relaxed).unwrap();

    let registry = FakeRegistry::start(Quirks::default()).unwrap();
    let client = Client::new(Settings::default());
    let (content, delivered) = (&OutgoingContent::new(&lease, &client, &[]), &Delivered::default());
    let push = Push { registry: &client, content, transfers: &(), delivered };
    let names = [name(&registry, "app:1")];
    for is_told in [false, true] {
        let made: Result<(), ()> = push.while_making((LayerOptions::default(), &pool()), |ahead| {
            ahead.made(record.id, &names);
            ahead.made(record.id, &names);
            if is_told {
                ahead.sealed(record.id, layer, &names);
            }
            ahead.encoded();
            Ok(())
        });
        made.unwrap();
        assert_eq!(registry.blobs("app").len(), usize::from(is_told));
    }
    let made = lease.store().layer(&record.id).unwrap().unwrap();
    assert_eq!((made.diff_id, made.tar_size), (known.diff_id, known.tar_size));
    assert_eq!(made.blobs[0].descriptor.digest, *registry.blobs("app").first().unwrap());
}

#[test]
fn what_is_on_its_way_is_broken_off_where_the_image_is_not_made() {
    let (_folder, lease, images) = built(&["amd64"]);
    let registry = FakeRegistry::start(Quirks::default()).unwrap();
    let client = Client::new(Settings::default());
    let (content, delivered) = (&OutgoingContent::new(&lease, &client, &[]), &Delivered::default());
    let push = Push { registry: &client, content, transfers: &(), delivered };
    let names = [name(&registry, "app:1")];
    let failed: Result<(), &str> = push.while_making((LayerOptions::default(), &pool()), |ahead| {
        let platform = Platform::linux("amd64");
        let image = read_image(lease.store(), images[0].clone(), &platform).unwrap();
        // Nobody has such a layer: the push would say so.
        ahead.send(&Descriptor::of(MediaType::LAYER, b"lost"), &names);
        ahead.send(&image.manifest.value().layers[0], &names);
        ahead.encoded();
        Err("a step failed")
    });
    assert_eq!(failed, Err("a step failed"));
    assert!(registry.manifest("app", "1").is_none());
}

/// Waits until a repository has a blob.
#[track_caller]
fn arrives(registry: &FakeRegistry, repository: &str, digest: &Digest) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !registry.blobs(repository).contains(digest) {
        assert!(Instant::now() < deadline, "{digest} does not arrive");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_layer_of_a_base_leaves_once_there_is_one_of_the_image_and_goes_to_the_same_names() {
    let (_folder, lease, images) = built(&["amd64"]);
    let registry = FakeRegistry::start(Quirks::default()).unwrap();
    let elsewhere = FakeRegistry::start(Quirks::default()).unwrap();
    elsewhere.put_blob("base", b"a layer");
    let base = Descriptor::of(MediaType::LAYER_GZIP, b"a layer");
    let origin = BlobOrigin::of_registry(base.clone(), name(&elsewhere, "base:1"));
    let client = Client::new(Settings::default());
    let (content, delivered) = (&OutgoingContent::new(&lease, &client, &[]), &Delivered::default());
    let push = Push { registry: &client, content, transfers: &(), delivered };
    let image = read_image(lease.store(), images[0].clone(), &Platform::linux("amd64")).unwrap();
    let layer = &image.manifest.value().layers[0];
    let [one, two] = ["one:1", "two:1"].map(|rest| [name(&registry, rest)]);
    let made: Result<(), ()> = push.while_making((LayerOptions::default(), &pool()), |ahead| {
        ahead.base(&origin, &one);
        ahead.base(&origin, &two);
        ahead.encoded();
        assert_eq!(registry.seen().len() + elsewhere.seen().len(), 0, "nothing need leave yet");
        ahead.send(layer, &one);
        arrives(&registry, "one", &base.digest);
        assert!(!registry.blobs("two").contains(&base.digest));
        ahead.send(layer, &two);
        arrives(&registry, "two", &base.digest);
        Ok(())
    });
    made.unwrap();
    let count = |method, registry: &FakeRegistry| {
        let digest = base.digest.to_string();
        let seen = registry.seen();
        seen.iter().filter(|one| one.method == method && one.target.ends_with(&digest)).count()
    };
    assert_eq!((count("HEAD", &registry), count("GET", &elsewhere)), (2, 1), "asked for once each");
}

#[test]
fn a_layer_goes_to_the_names_of_the_images_that_it_is_of_and_is_compressed_once() {
    let (_folder, lease, images) = built(&["amd64", "arm64"]);
    let registry = FakeRegistry::start(Quirks::default()).unwrap();
    let client = Client::new(Settings::default());
    let (content, delivered) = (&OutgoingContent::new(&lease, &client, &[]), &Delivered::default());
    let push = Push { registry: &client, content, transfers: &(), delivered };
    let layers = ["amd64", "arm64"].into_iter().zip(&images).map(|(architecture, root)| {
        let platform = Platform::linux(architecture);
        let image = read_image(lease.store(), root.clone(), &platform).unwrap();
        image.manifest.value().layers[0].clone()
    });
    let [shared, own] = layers.collect::<Vec<_>>().try_into().unwrap();
    let both = ["one:1", "two:1"].map(|rest| name(&registry, rest));
    let made: Result<(), ()> = push.while_making((LayerOptions::default(), &pool()), |ahead| {
        ahead.send(&shared, &both);
        ahead.send(&own, &both[..1]);
        ahead.send(&own, &both[..1]);
        ahead.encoded();
        Ok(())
    });
    made.unwrap();
    let (one, two) = (registry.blobs("one"), registry.blobs("two"));
    assert_eq!((one.len(), two.len()), (2, 1));
    assert!(two.iter().all(|blob| one.contains(blob)));
}
