//! The service of GitHub Actions, both of its interfaces, and the storage behind it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};

use crate::fake_web::{Answer, Seen, serve};

/// What is done differently.
#[derive(Clone, Debug, Default)]
pub(super) struct Knobs {
    /// With what a new entry is refused.
    pub(super) refuses_entries: Option<u16>,
    /// After how many uses a signed address is no longer good.
    pub(super) uses: Option<u32>,
    /// With what each range has a byte changed.
    pub(super) corrupts: u8,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Entry {
    pub(super) key: String,
    version: String,
    blocks: BTreeMap<String, Vec<u8>>,
    pub(super) bytes: Vec<u8>,
    pub(super) ended: bool,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) knobs: Knobs,
    pub(super) entries: Vec<Entry>,
    signatures: Vec<u32>,
    pub(super) seen: Vec<Seen>,
}

#[derive(Clone)]
pub(super) struct Double {
    pub(super) url: String,
    state: Arc<Mutex<State>>,
}

impl Double {
    pub(super) fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let serving = state.clone();
        let url = serve(move |seen| serving.lock().unwrap().answer(seen));
        Self { url, state }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// How many requests there were whose method and path contain this.
    pub(super) fn count(&self, what: &str) -> usize {
        let line = |seen: &Seen| format!("{} {}", seen.method, seen.target);
        self.state().seen.iter().filter(|seen| line(seen).contains(what)).count()
    }
}

impl State {
    fn answer(&mut self, seen: &Seen) -> Answer {
        self.seen.push(seen.clone());
        let host = format!("http://{}", seen.headers["host"]);
        let path = seen.target.trim_start_matches('/');
        if let Some(path) = path.strip_prefix("storage/") {
            return self.storage(path, seen);
        }
        if !seen.headers.get("authorization").is_some_and(|value| value.starts_with("Bearer ")) {
            return Answer::status(401);
        }
        let body: Value = serde_json::from_slice(&seen.body).unwrap_or_default();
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let (key, version) = (text("key"), text("version"));
        match path.rsplit('/').next().unwrap_or_default() {
            "GetCacheEntryDownloadURL" => {
                let prefixes = body["restore_keys"].as_array().cloned().unwrap_or_default();
                let prefixes: Vec<_> = prefixes.iter().filter_map(Value::as_str).collect();
                let Some(found) = self.find(&key, &prefixes, &version) else {
                    return json_of(&json!({ "ok": false }));
                };
                let (key, url) = (self.entries[found].key.clone(), self.sign(&host, found));
                json_of(&json!({ "ok": true, "matched_key": key, "signed_download_url": url }))
            }
            "CreateCacheEntry" => match self.create(&key, &version) {
                Err(status) => Answer::status(status),
                Ok(number) => {
                    let url = self.sign(&host, number);
                    json_of(&json!({ "ok": true, "signed_upload_url": url }))
                }
            },
            "FinalizeCacheEntryUpload" => {
                let found = self.entries.iter_mut().find(|entry| entry.key == key);
                let entry = found.expect("it was created");
                assert_eq!(entry.bytes.len().to_string(), text("size_bytes"));
                entry.ended = true;
                json_of(&json!({ "ok": true, "entry_id": "1" }))
            }
            rest => self.v1(rest, seen, &host, &body),
        }
    }

    fn v1(&mut self, rest: &str, seen: &Seen, host: &str, body: &Value) -> Answer {
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        if let Some(query) = rest.strip_prefix("cache?keys=") {
            let (key, version) = query.split_once("&version=").unwrap();
            let Some(found) = self.find(key, &[key], version) else { return Answer::status(204) };
            let (key, url) = (self.entries[found].key.clone(), self.sign(host, found));
            return json_of(&json!({ "cacheKey": key, "archiveLocation": url }));
        }
        if rest == "caches" {
            return match self.create(&text("key"), &text("version")) {
                Err(status) => Answer::status(status),
                Ok(number) => Answer { status: 201, ..json_of(&json!({ "cacheId": number })) },
            };
        }
        let entry = &mut self.entries[rest.parse::<usize>().unwrap()];
        if seen.method == "PATCH" {
            let range = format!("bytes {}-", entry.bytes.len());
            assert!(seen.headers["content-range"].starts_with(&range), "one after another");
            entry.bytes.extend(&seen.body);
        } else {
            assert_eq!(body["size"].as_u64(), Some(entry.bytes.len() as u64));
            entry.ended = true;
        }
        Answer::status(204)
    }

    /// The newest of what begins so, or the very one.
    fn find(&self, key: &str, prefixes: &[&str], version: &str) -> Option<usize> {
        let good = |entry: &Entry| entry.ended && entry.version == version;
        let exact = self.entries.iter().position(|entry| good(entry) && entry.key == key);
        let begins = |entry: &Entry| prefixes.iter().any(|prefix| entry.key.starts_with(prefix));
        exact.or_else(|| self.entries.iter().rposition(|entry| good(entry) && begins(entry)))
    }

    fn create(&mut self, key: &str, version: &str) -> Result<usize, u16> {
        if let Some(status) = self.knobs.refuses_entries {
            return Err(status);
        }
        if self.entries.iter().any(|entry| entry.key == key) {
            return Err(409);
        }
        let (key, version) = (key.to_owned(), version.to_owned());
        self.entries.push(Entry { key, version, ..Entry::default() });
        Ok(self.entries.len() - 1)
    }

    fn sign(&mut self, host: &str, entry: usize) -> String {
        self.signatures.push(0);
        format!("{host}/storage/{entry}?sig={}", self.signatures.len() - 1)
    }

    fn storage(&mut self, path: &str, seen: &Seen) -> Answer {
        assert!(!seen.headers.contains_key("authorization"), "an address is signed, or it is not");
        let (number, query) = path.split_once("?sig=").unwrap();
        let (signature, query) = query.split_once('&').unwrap_or((query, ""));
        let used = &mut self.signatures[signature.parse::<usize>().unwrap()];
        *used += 1;
        if self.knobs.uses.is_some_and(|uses| *used > uses) {
            return Answer::status(403);
        }
        let corrupts = self.knobs.corrupts;
        let entry = &mut self.entries[number.parse::<usize>().unwrap()];
        if let Some(id) = query.strip_prefix("comp=block&blockid=") {
            let id = id.replace("%2B", "+").replace("%2F", "/").replace("%3D", "=");
            entry.blocks.insert(id, seen.body.clone());
            return Answer::status(201);
        }
        if query == "comp=blocklist" {
            let list = String::from_utf8(seen.body.clone()).unwrap();
            let ids = list.split("<Latest>").skip(1).map(|rest| rest.split('<').next().unwrap());
            let blocks: Option<Vec<_>> = ids.map(|id| entry.blocks.get(id).cloned()).collect();
            let Some(blocks) = blocks else { return Answer::status(400) };
            entry.bytes = blocks.concat();
            return Answer::status(201);
        }
        let mut answer = Answer::part_of(&entry.bytes, seen);
        let last = answer.body.len().saturating_sub(1);
        if let Some(byte) = answer.body.get_mut(last) {
            *byte ^= corrupts;
        }
        answer
    }
}

fn json_of(value: &Value) -> Answer {
    Answer::bytes(value.to_string().into_bytes()).with("Content-Type", "application/json")
}
