//! `wythe explain`.

use serde_json::{Value, json};
use wythe_builder::explain::{Remembered, remembered};
use wythe_store::id::CacheKey;
use wythe_store::store::Store;

use crate::args::call::AnswerFormat;
use crate::args::image::ExplainArgs;
use crate::failure::Failure;
use crate::failure::code::{self, ErrorCode};
use crate::render::reason;
use crate::session::Session;
use crate::stored_image;

/// The fewest digits that are taken for the beginning of a key: fewer may well be a name.
const MIN_DIGITS: usize = 8;

/// Says what the steps of an image, or one step, were made from, and why they ran; or what a code of an error means.
pub(crate) fn run(args: &ExplainArgs, session: &Session) -> Result<(), Failure> {
    if code::is_code(&args.what) {
        return of_code(&args.what, session);
    }
    let store = session.store_to_read()?;
    let steps = match of_key(&store, &args.what)? {
        Some(step) => vec![step],
        None => of_image(&store, &args.what)?,
    };
    if args.format == AnswerFormat::Json {
        let steps: Vec<Value> = steps.iter().map(object).collect();
        return session.print(&json!(steps).to_string());
    }
    steps.iter().flat_map(lines).try_for_each(|line| session.print(&line))
}

/// The page of an error.
fn of_code(name: &str, session: &Session) -> Result<(), Failure> {
    let page = ErrorCode::page(name).ok_or_else(|| {
        let known: Vec<&str> = ErrorCode::names().collect();
        let failure = Failure::usage(format!("no error has the code {name}"));
        failure.remedy(format!("there are {}", known.join(", ")))
    })?;
    session.write(page.as_bytes())
}

/// The only result whose key begins so.
fn of_key(store: &Store, digits: &str) -> Result<Option<Remembered>, Failure> {
    let is_key = digits.len() >= MIN_DIGITS && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_key {
        return Ok(None);
    }
    let digits = digits.to_ascii_lowercase();
    let mut found = Vec::new();
    for action in store.actions()? {
        if action.key.to_string().starts_with(&digits) {
            found.extend(remembered(store, &action.key)?);
        }
    }
    match found.len() {
        0 | 1 => Ok(found.pop()),
        n => {
            Err(Failure::usage(format!("{n} results of steps have keys that begin with {digits}")))
        }
    }
}

/// The steps that made the layers of an image, the lowest first; those of its base are not known here.
fn of_image(store: &Store, name: &str) -> Result<Vec<Remembered>, Failure> {
    let image = stored_image::find(store, name)?;
    let actions = store.actions()?;
    let mut steps = Vec::new();
    for diff_id in &image.config.value().rootfs.diff_ids {
        let Some(layer) = store.layer_of_diff(diff_id)? else { continue };
        let mut made: Vec<_> =
            actions.iter().filter(|action| action.layer == Some(layer.id)).collect();
        made.sort_by_key(|action| std::cmp::Reverse(action.created));
        let keys: Vec<&CacheKey> = made.into_iter().map(|action| &action.key).collect();
        for key in keys {
            if let Some(step) = remembered(store, key)? {
                steps.push(step);
                break;
            }
        }
    }
    if steps.is_empty() {
        let text = format!("nothing is remembered of the steps that made {name}");
        let failure = Failure::usage(text);
        return Err(
            failure.remedy("only images that were built here have steps, until they are pruned")
        );
    }
    Ok(steps)
}

fn object(step: &Remembered) -> Value {
    let mut object = reason::fields(&step.reason);
    object["key"] = json!(step.key.to_string());
    object["created"] = json!(step.created.seconds);
    if let Some(origin) = &step.origin {
        object["origin"] = json!(origin);
    }
    let inputs: Vec<Value> =
        step.inputs.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
    object["inputs"] = json!(inputs);
    object
}

fn lines(step: &Remembered) -> Vec<String> {
    let mut lines = vec![format!("{} because {}", step.key, step.reason)];
    lines.extend(step.origin.iter().map(|origin| format!("    made {origin}")));
    lines.extend(step.inputs.iter().map(|(name, value)| format!("    {name}: {value:?}")));
    lines
}
