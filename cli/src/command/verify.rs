//! `wythe verify`.

use serde_json::{Value, json};
use wythe_store::fsck::Depth;
use wythe_store::fsck::damage::{Damage, ImagePart};
use wythe_store::fsck::repair::Repaired;
use wythe_store::image::stacks::stacks;
use wythe_store::journal::unread::Unread;
use wythe_store::live::compare::compare;
use wythe_store::store::Store;

use crate::args::call::AnswerFormat;
use crate::args::store::VerifyArgs;
use crate::failure::{Class, Failure};
use crate::host;
use crate::session::Session;

/// Compares everything in the store with its digests, and lists what is damaged.
pub(crate) fn run(args: &VerifyArgs, session: &Session) -> Result<(), Failure> {
    if args.repair.is_on() {
        return repair(args, session);
    }
    let store = session.store_to_read()?;
    let damage = host::threads()?.install(|| found(args, &store))?;
    let newer = store.unread_records().into_iter().filter(|it| it.why == Unread::Newer).count();
    if 0 < newer {
        session.remark(&format!("{newer} records of a newer version were passed over"));
    }
    tell(args.format, &damage, session)?;
    match damage.len() {
        0 => Ok(()),
        count => {
            let failure = Failure::new(Class::Damage, format!("{count} things are damaged"));
            Err(failure.remedy(remedy(&damage)))
        }
    }
}

/// Puts right what can be, and tells what was done and what is lost.
fn repair(args: &VerifyArgs, session: &Session) -> Result<(), Failure> {
    let (store, client) = (session.store()?, session.registry()?);
    let mut repair = host::threads()?.install(|| store.repair(Some(&client)))?;
    if args.live.is_on() {
        let idmap = host::id_map();
        let more = host::threads()?.install(|| store.repair_directories(idmap.as_bytes()))?;
        repair.done.extend(more.done);
        repair.left.extend(more.left);
    }
    let lost = |one: &&Repaired| matches!(one, Repaired::DroppedName { .. });
    let n_lost = repair.done.iter().filter(lost).count();
    match args.format {
        AnswerFormat::Json => {
            let done: Vec<String> = repair.done.iter().map(ToString::to_string).collect();
            let left: Vec<Value> =
                repair.left.iter().map(|one| object(one, &sentence(one))).collect();
            let unasked: Vec<String> = repair.unasked.iter().map(ToString::to_string).collect();
            let all = json!({"done": done, "unasked": unasked, "left": left});
            session.print(&all.to_string())?;
        }
        AnswerFormat::Text => {
            repair.done.iter().try_for_each(|one| session.print(&one.to_string()))?;
            repair.unasked.iter().try_for_each(|one| session.print(&one.to_string()))?;
            tell(args.format, &repair.left, session)?;
        }
    }
    match (repair.left.len(), n_lost) {
        (0, 0) => Ok(()),
        (0, count) => {
            let failure = Failure::new(Class::Damage, format!("{count} names of images are lost"));
            Err(failure.remedy("pull or build them again"))
        }
        (count, _) => {
            let failure = Failure::new(Class::Damage, format!("{count} things are still damaged"));
            Err(failure
                .remedy("try again when the registries concerned can be reached, and let you in"))
        }
    }
}

fn sentence(damage: &Damage) -> String {
    Failure::of(Class::Damage, damage).sentence()
}

fn found(args: &VerifyArgs, store: &Store) -> Result<Vec<Damage>, Failure> {
    let depth = if args.quick.is_on() { Depth::Quick } else { Depth::Full };
    let mut damage = store.verify(depth)?;
    if args.live.is_on() {
        let lease = store.lease()?;
        let compared =
            stacks(store).and_then(|stacks| compare(&lease, host::id_map().as_bytes(), &stacks));
        match compared {
            Ok(differences) => damage.extend(differences),
            // What keeps directories from being compared has been told of.
            Err(error) => damage.push(error.into()),
        }
    }
    Ok(damage)
}

fn tell(format: AnswerFormat, damage: &[Damage], session: &Session) -> Result<(), Failure> {
    match format {
        AnswerFormat::Json => {
            let all: Vec<Value> = damage.iter().map(|one| object(one, &sentence(one))).collect();
            session.print(&json!(all).to_string())
        }
        AnswerFormat::Text if damage.is_empty() => session.print("no damage"),
        AnswerFormat::Text => damage.iter().try_for_each(|one| session.print(&sentence(one))),
    }
}

fn object(damage: &Damage, message: &str) -> Value {
    let Damage::Image(image) = damage else {
        return json!({"image": null, "message": message});
    };
    let part = match &image.part {
        ImagePart::Index(_) => "index",
        ImagePart::Manifest(_) => "manifest",
        ImagePart::Configuration(_) => "configuration",
        ImagePart::Layer { .. } => "layer",
    };
    let layer = match &image.part {
        ImagePart::Layer { number, .. } => Some(number),
        ImagePart::Index(_) | ImagePart::Manifest(_) | ImagePart::Configuration(_) => None,
    };
    json!({
        "image": image.name,
        "platform": image.platform.as_ref().map(ToString::to_string),
        "part": part,
        "layer": layer,
        "digest": image.part.digest().to_string(),
        "problem": image.problem.to_string(),
        "message": message,
    })
}

fn remedy(damage: &[Damage]) -> &'static str {
    let is_directory =
        |one: &Damage| matches!(one, Damage::Directory { .. } | Damage::UnreadableDirectory { .. });
    if damage.iter().all(is_directory) {
        "`wythe verify --repair --live` makes them again from their layers"
    } else {
        "`wythe verify --repair` makes again what can be made, and names what is lost"
    }
}
