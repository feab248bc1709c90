//! `wythe cache`.

mod travel;

use serde_json::{Value, json};
use wythe_builder::environment::Clock as _;
use wythe_store::cache_mount::shelf::{ListedCacheMount, NamedCacheMount, Removal};
use wythe_store::gc::{Pace, Policy};
use wythe_store::portable_mount::save::SentMount;
use wythe_store::store::Store;
use wythe_store::timestamp::Timestamp;

use crate::args::cache_mounts::{CacheLsArgs, CacheMountsArgs, CacheMountsCommand, CacheRmArgs};
use crate::args::call::AnswerFormat;
use crate::args::switch::Switch;
use crate::failure::Failure;
use crate::host::SystemClock;
use crate::render::quantity::Bytes;
use crate::render::table::Table;
use crate::session::Session;

/// How much of a name is shown: enough to tell mounts apart.
const SHOWN_DIGITS: usize = 12;

/// The fewest digits that are taken for the beginning of a name.
const MIN_DIGITS: usize = 6;

/// Looks after cache mounts.
pub(crate) fn run(args: &CacheMountsArgs, session: &Session) -> Result<(), Failure> {
    match &args.command {
        CacheMountsCommand::Export(args) => travel::export(args, session),
        CacheMountsCommand::Import(args) => travel::import(args, session),
        CacheMountsCommand::Ls(args) => list(args, session),
        CacheMountsCommand::Rm(args) => remove(args, session),
    }
}

fn list(args: &CacheLsArgs, session: &Session) -> Result<(), Failure> {
    let store = session.store_to_read()?;
    let mounts = store.list_cache_mounts(store.named_cache_mounts()?)?;
    if args.format == AnswerFormat::Json {
        let mounts: Vec<Value> = mounts.iter().map(object).collect();
        return session.print(&json!(mounts).to_string());
    }
    let mut table = Table::new(["NAME", "PLATFORM", "SIZE", "LAST USED", "ID"]);
    for one in &mounts {
        let NamedCacheMount { mount, label, platform } = &one.named;
        let name = mount.name.chars().take(SHOWN_DIGITS).collect();
        let (size, used) = (Bytes(one.bytes).to_string(), one.last_used.map(date));
        table.push([name, platform.clone(), size, used.unwrap_or_default(), label.clone()]);
    }
    table.lines().iter().try_for_each(|line| session.print(line))
}

fn object(one: &ListedCacheMount) -> Value {
    json!({
        "name": one.named.mount.name,
        "id": one.named.label,
        "platform": one.named.platform,
        "size": one.bytes,
        "last_used": one.last_used.map(date),
    })
}

/// As documents write it; empty for a time that no calendar has.
fn date(time: Timestamp) -> String {
    jiff::Timestamp::from_second(time.seconds).map(|time| time.to_string()).unwrap_or_default()
}

/// The mounts that are named by id or by the beginning of their name, or all.
fn chosen(
    (named, all): (&[String], Switch),
    store: &Store,
) -> Result<Vec<NamedCacheMount>, Failure> {
    if named.is_empty() != all.is_on() {
        return Err(Failure::usage("name cache mounts, or say --all"));
    }
    let mut mounts = store.named_cache_mounts()?;
    let is_meant = |one: &NamedCacheMount, what: &str| {
        one.label == what || what.len() >= MIN_DIGITS && one.mount.name.starts_with(what)
    };
    for what in named {
        if !mounts.iter().any(|one| is_meant(one, what)) {
            let failure = Failure::usage(format!("there is no cache mount {what:?}"));
            return Err(failure.remedy("`wythe cache ls` lists them"));
        }
    }
    mounts.retain(|one| all.is_on() || named.iter().any(|what| is_meant(one, what)));
    Ok(mounts)
}

/// What was saved of a mount, for people.
pub(crate) fn shown(label: &str, sent: SentMount) -> String {
    let SentMount { files, bytes, packs, sent } = sent;
    format!("{label}: {files} files ({}) saved, {packs} packs sent ({})", Bytes(bytes), Bytes(sent))
}

fn remove(args: &CacheRmArgs, session: &Session) -> Result<(), Failure> {
    let store = session.store()?;
    let mut freed = 0;
    let chosen = chosen((&args.mounts, args.all), &store)?;
    for one in store.list_cache_mounts(chosen)? {
        match store.remove_cache_mount(&one.named.mount)? {
            Removal::Done => freed += one.bytes,
            Removal::InUse => {
                session.remark(&format!("{} is in use, and stays", one.named.label));
            }
        }
    }
    // What was removed lies in the trash, which a collection empties.
    let now = SystemClock.now();
    store.collect(Policy::KeepActions, &Pace { now, patience: &|| true })?;
    store.keep_uses(now);
    session.print(&format!("{} freed", Bytes(freed)))
}
