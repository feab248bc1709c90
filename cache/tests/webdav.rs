//! The engine on a web server that people have: lighttpd with its module for `WebDAV`, behind a password.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::Duration;

use wythe_cache::contract;
use wythe_cache::http::{HttpAccess, HttpCache, HttpOptions};
use wythe_registry::client::Client;
use wythe_registry::settings::{Settings, SystemTiming};
use wythe_store::cache_backend::{CacheBackend, CacheBlob, CacheProblem};
use wythe_store::digest::Digest;
use wythe_store::id::CacheKey;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::media_type::MediaType;
use wythe_store::portable_action::PortableAction;

/// Ends with what started it.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(dir: &Path) -> (Running, String) {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = free.local_addr().expect("it is bound").port();
    drop(free);
    let (shown, config) = (dir.display(), dir.join("lighttpd.conf"));
    std::fs::create_dir(dir.join("files")).expect("a directory");
    std::fs::write(dir.join("users"), "ada:secret\n").expect("a file");
    let text = format!(
        "server.modules = (\"mod_auth\", \"mod_authn_file\", \"mod_webdav\")\n\
         server.bind = \"127.0.0.1\"\nserver.port = {port}\n\
         server.document-root = \"{shown}/files\"\nserver.errorlog = \"{shown}/errors\"\n\
         server.upload-dirs = (\"{shown}\")\nwebdav.activate = \"enable\"\n\
         auth.backend = \"plain\"\nauth.backend.plain.userfile = \"{shown}/users\"\n\
         auth.require = (\"\" => (\"method\" => \"basic\", \"realm\" => \"r\", \"require\" => \"valid-user\"))\n"
    );
    std::fs::write(&config, text).expect("a file");
    // Where Debian has it, which is not on everybody's path.
    let child = Command::new("/usr/sbin/lighttpd").arg("-D").arg("-f").arg(&config).spawn();
    let running = Running(child.expect("lighttpd and lighttpd-mod-webdav are there"));
    for _ in 0..1000 {
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return (running, format!("127.0.0.1:{port}"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("lighttpd does not start");
}

fn cache(url: String) -> HttpCache {
    let options = HttpOptions { url, scope: None, access: HttpAccess::Anonymous };
    HttpCache::new(Client::new(Settings::default()), Arc::new(SystemTiming), options)
        .expect("it is an address")
}

fn put(cache: &HttpCache, bytes: &[u8]) -> Result<(), CacheProblem> {
    let open = || Ok(Box::new(bytes) as Box<dyn Read + Send>);
    let (digest, size) = (Digest::of(bytes), bytes.len() as u64);
    let put = cache.put_blob(&CacheBlob { digest, size, media_type: "x/y", open: &open });
    put.map_err(|error| error.problem)
}

#[test]
fn what_is_put_on_a_webdav_server_is_read_from_it() {
    let dir = tempfile::tempdir().unwrap();
    let (_running, address) = start(dir.path());
    let url = format!("http://ada:secret@{address}/team/app");
    let (first, key) = (cache(url.clone()), CacheKey::of(b"k"));
    let long: Vec<u8> = (0..5_u32 << 18).flat_map(u32::to_le_bytes).collect();
    assert_eq!(first.records(&[key]).unwrap(), [None]);
    assert_eq!(first.missing(&[Digest::of(&long)]).unwrap().len(), 1);
    put(&first, &long).unwrap();
    put(&first, &long).unwrap();
    let mut record = contract::record(1);
    record.blob = Descriptor::of(MediaType::LAYER_GZIP, &long);
    first.put_records(&[(key, record.encode())]).unwrap();
    first.finish().unwrap();
    let second = cache(url);
    let found = second.records(&[key]).unwrap().remove(0).unwrap();
    assert_eq!(PortableAction::decode(&found), PortableAction::decode(&record.encode()));
    assert!(PortableAction::decode(&found).is_some());
    assert_eq!(second.missing(&[Digest::of(&long)]).unwrap(), []);
    let mut found = Vec::new();
    second.blob(&Digest::of(&long), 7..5_000_000).unwrap().read_to_end(&mut found).unwrap();
    assert!(found == long[7..5_000_000]);
}

#[test]
fn who_has_not_the_password_is_told_so() {
    let dir = tempfile::tempdir().unwrap();
    let (_running, address) = start(dir.path());
    for url in [format!("http://{address}/"), format!("http://ada:wrong@{address}/")] {
        let problem = put(&cache(url), b"x").unwrap_err();
        assert!(matches!(problem, CacheProblem::Unauthorized { .. }), "{problem}");
    }
}
