//! `wythe explore`.

use std::io::{self, IsTerminal as _};

use serde_json::{Value, json};
use wythe_store::digest::DiffId;
use wythe_store::image::catalog::StoredImage;
use wythe_store::image::rootfs::layer_tree;
use wythe_store::lease::Lease;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::tree::entry::Tree;

use crate::args::call::AnswerFormat;
use crate::args::explore::{ExploreArgs, Share};
use crate::exploration::{Exploration, Waste};
use crate::failure::Failure;
use crate::full_screen;
use crate::render::explorer::Explorer;
use crate::render::look::{Look, can_be_drawn_on};
use crate::render::quantity::Bytes;
use crate::render::table::Table;
use crate::session::Session;
use crate::stored_image;

/// As many paths as a text lists: who wants more of them asks for JSON.
const MOST_LISTED: usize = 20;

/// Shows what the layers of an image hold, and fails where that is more waste than may be.
pub(crate) fn run(args: &ExploreArgs, session: &Session) -> Result<(), Failure> {
    let lease = session.store()?.lease()?;
    let platform = args.which.platform()?;
    let image = stored_image::complete(&lease, &args.image, platform.as_ref(), session)?;
    let exploration = explored(&lease, &image)?;
    // Who looks at it for an hour keeps nothing from being collected.
    drop(lease);
    match args.format {
        None if is_interactive(session) => {
            let explorer = Explorer::new(&args.image, &exploration);
            full_screen::walk(explorer, Look::of(&session.settings))?;
        }
        None | Some(AnswerFormat::Text) => text(&exploration, session)?,
        Some(AnswerFormat::Json) => session.print(&object(&exploration, &image).to_string())?,
    }
    judge(args, &exploration)
}

/// Whether a person can type and is shown what comes of it.
fn is_interactive(session: &Session) -> bool {
    can_be_drawn_on(&session.settings) && io::stdin().is_terminal() && io::stdout().is_terminal()
}

fn explored(lease: &Lease, image: &StoredImage) -> Result<Exploration, Failure> {
    let titles = image.config.value().history.iter().filter(|entry| !entry.empty_layer);
    let titles = titles.map(|entry| entry.created_by.clone().unwrap_or_default());
    let layers = image.manifest.value().layers.iter();
    let mut trees = Vec::new();
    for (layer, diff_id) in layers.zip(&image.config.value().rootfs.diff_ids) {
        trees.push(tree(lease, layer, diff_id)?);
    }
    let titles = titles.chain(std::iter::repeat(String::new()));
    Ok(Exploration::new(titles.zip(&trees)))
}

/// The entries of a layer: as the store knows them, and else as its blob has them.
fn tree(lease: &Lease, layer: &Descriptor, diff_id: &DiffId) -> Result<Tree, Failure> {
    let store = lease.store();
    let known = store.layer_of_diff(diff_id)?.and_then(|layer| layer.tree);
    if let Some(tree) = known.map(|tree| store.tree(&tree)).transpose()?.flatten() {
        return Ok(tree);
    }
    Ok(layer_tree(lease, layer, diff_id)?)
}

fn text(found: &Exploration, session: &Session) -> Result<(), Failure> {
    let mut layers = Table::new(["LAYER", "FILES", "SIZE", "WASTED", "CREATED BY"]);
    for (number, layer) in (1_usize..).zip(&found.layers) {
        let (size, wasted) = (Bytes(layer.bytes).to_string(), Bytes(layer.wasted).to_string());
        layers.push([
            number.to_string(),
            layer.files.to_string(),
            size,
            wasted,
            layer.title.clone(),
        ]);
    }
    layers.lines().iter().try_for_each(|line| session.print(line))?;
    let waste = found.waste();
    if !waste.is_empty() {
        let mut table = Table::new(["WASTED", "LAYERS", "PATH"]);
        for Waste { path, bytes, layers } in waste.iter().take(MOST_LISTED) {
            let layers: Vec<String> = layers.iter().map(ToString::to_string).collect();
            table.push([Bytes(*bytes).to_string(), layers.join(","), path.clone()]);
        }
        session.print("")?;
        table.lines().iter().try_for_each(|line| session.print(line))?;
        if waste.len() > MOST_LISTED {
            session.print(&format!("and {} more", waste.len() - MOST_LISTED))?;
        }
    }
    session.print("")?;
    session.print(&format!(
        "efficiency {:.4}: {} of {} are wasted, {:.2}% of what lies above the lowest layer",
        found.efficiency(),
        Bytes(found.wasted()),
        Bytes(found.bytes()),
        found.own_waste() * 100.0,
    ))
}

fn object(found: &Exploration, image: &StoredImage) -> Value {
    let diff_ids = &image.config.value().rootfs.diff_ids;
    let layers = found.layers.iter().zip(diff_ids).map(|(layer, diff_id)| {
        json!({
            "diff_id": diff_id.0.to_string(),
            "created_by": layer.title,
            "files": layer.files,
            "bytes": layer.bytes,
            "wasted": layer.wasted,
        })
    });
    let waste = found.waste();
    let waste = waste.iter().map(
        |Waste { path, bytes, layers }| json!({"path": path, "bytes": bytes, "layers": layers}),
    );
    json!({
        "bytes": found.bytes(),
        "wasted": found.wasted(),
        "efficiency": found.efficiency(),
        "own_waste": found.own_waste(),
        "layers": layers.collect::<Vec<_>>(),
        "waste": waste.collect::<Vec<_>>(),
    })
}

/// Whether the image keeps within the bounds that were given.
fn judge(args: &ExploreArgs, found: &Exploration) -> Result<(), Failure> {
    let mut broken = Vec::new();
    if let Some(Share(least)) = args.lowest_efficiency
        && found.efficiency() < least
    {
        broken.push(format!("its efficiency is {:.4}, less than {least}", found.efficiency()));
    }
    if let Some(most) = args.highest_wasted_bytes
        && found.wasted() > most.0
    {
        broken.push(format!("{} are wasted, more than {}", Bytes(found.wasted()), Bytes(most.0)));
    }
    if let Some(Share(most)) = args.highest_user_wasted_percent
        && found.own_waste() > most
    {
        let share = found.own_waste();
        broken.push(format!("{share:.4} of its own layers is wasted, more than {most}"));
    }
    if broken.is_empty() {
        return Ok(());
    }
    let failure = Failure::usage(format!("{} wastes too much: {}", args.image, broken.join("; ")));
    let remedy = "remove files in the RUN that makes them, or copy what is needed into a later stage; \
                  `wythe explore` shows which files are lost";
    Err(failure.remedy(remedy))
}
