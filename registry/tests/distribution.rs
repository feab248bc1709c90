//! The client against the reference implementation of a registry.
#![allow(clippy::unwrap_used, reason = "a registry that does not start is a failed test")]

use std::collections::BTreeMap;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use wythe_registry::client::Client;
use wythe_registry::delivered::Delivered;
use wythe_registry::push::Push;
use wythe_registry::settings::Settings;
use wythe_store::oci::content::MemoryContent;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::document::RawDocument;
use wythe_store::oci::index::Index;
use wythe_store::oci::manifest::Manifest;
use wythe_store::oci::media_type::MediaType;
use wythe_store::oci::reference::Reference;
use wythe_store::oci::source::ImageSource;

const PROGRAM: &str = "/usr/bin/docker-registry";

struct Server {
    child: Child,
    host: String,
    _directory: tempfile::TempDir,
}

impl Server {
    fn start() -> Self {
        assert!(
            Path::new(PROGRAM).exists(),
            "{PROGRAM} is missing: install the package docker-registry"
        );
        let directory = tempfile::tempdir().unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = free.local_addr().unwrap().to_string();
        drop(free);
        let root = directory.path().join("data");
        let config = directory.path().join("config.yml");
        let text = format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: {host}\n",
            root.display()
        );
        std::fs::write(&config, text).unwrap();
        let child = Command::new(PROGRAM)
            .arg("serve")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { child, host, _directory: directory };
        server.wait();
        server
    }

    fn wait(&self) {
        let start = Instant::now();
        while TcpStream::connect(&self.host).is_err() {
            assert!(start.elapsed() < Duration::from_secs(30), "the registry does not start");
            std::thread::yield_now();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A server that has ended by itself has failed the test already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn an_index_goes_out_and_comes_back_byte_for_byte() {
    let server = Server::start();
    let mut content = MemoryContent::default();
    let layer = vec![42; 9 << 20];
    let layer = Descriptor::new(MediaType::LAYER, content.insert(layer), 9 << 20);
    content.insert(b"{}".to_vec());
    let config = Descriptor::of(MediaType::CONFIG, b"{}");
    let manifest = RawDocument::new(Manifest::new(config, vec![layer.clone()]));
    content.insert(manifest.bytes().to_vec());
    let index = RawDocument::new(Index::new(vec![manifest.descriptor()]));
    content.insert(index.bytes().to_vec());

    let client = Client::new(Settings::default());
    let reference: Reference = format!("{}/a/app:1", server.host).parse().unwrap();
    let how = Push {
        origins: &BTreeMap::new(),
        neighbours: &[],
        transfers: &(),
        delivered: &Delivered::default(),
    };
    client.push(&content, &index.descriptor(), &reference, how).unwrap();

    assert_eq!(client.resolve(&reference).unwrap(), index.descriptor());
    let (descriptor, bytes) = client.manifest(&reference).unwrap();
    assert_eq!((descriptor, bytes.as_slice()), (index.descriptor(), index.bytes()));
    let child = reference.clone().with_digest(manifest.descriptor().digest);
    assert_eq!(client.manifest(&child).unwrap().1, manifest.bytes());
    let mut pulled = Vec::new();
    client.blob(&reference, &layer).unwrap().read_to_end(&mut pulled).unwrap();
    assert_eq!(Descriptor::of(MediaType::LAYER, &pulled), layer);

    // A second repository takes the layer from the first.
    let other: Reference = format!("{}/b/app:1", server.host).parse().unwrap();
    let origin = format!("{}/a/app", server.host);
    let origins = BTreeMap::from([(layer.digest, vec![origin])]);
    let how = Push {
        origins: &origins,
        neighbours: &[],
        transfers: &(),
        delivered: &Delivered::default(),
    };
    client.push(&content, &index.descriptor(), &other, how).unwrap();
    assert_eq!(client.resolve(&other).unwrap(), index.descriptor());
}
