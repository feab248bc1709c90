//! An image and a command as a step of the sandbox.

use std::path::PathBuf;

use wythe_builder::account::{self, Accounts, account_file, run_identity};
use wythe_sandbox::Step;
use wythe_sandbox::step::{Identity, Network, RootFs, Scratch};
use wythe_store::digest::DiffId;
use wythe_store::image::catalog::StoredImage;
use wythe_store::image::rootfs::layer_tree;
use wythe_store::journal::batch::Batch;
use wythe_store::layer::import::layer_id;
use wythe_store::layers::LayerRecord;
use wythe_store::lease::Lease;
use wythe_store::live::materialise::materialise;
use wythe_store::live::scratch::scratch;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::tree::entry::Tree;
use wythe_store::tree::merge::merge_all;

use crate::args::build::NetworkArg;
use crate::args::image::RunImageArgs;
use crate::failure::{Class, Failure};
use crate::world;

/// What is run, and on what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Container<'a> {
    pub(crate) lease: &'a Lease,
    pub(crate) image: &'a StoredImage,
    pub(crate) args: &'a RunImageArgs,
}

impl Container<'_> {
    /// The step; directories of layers that had to be unpacked are recorded in `batch`.
    pub(crate) fn step(self, batch: &mut Batch) -> Result<Step, Failure> {
        let (lowers, trees) = self.layers(batch)?;
        let made = scratch(self.lease)?;
        let scratch = Scratch { upper: made.upper, work: made.work };
        let mut step = Step::new(RootFs { lowers, scratch }, self.argv()?);
        let run = &self.image.config.value().config;
        let directory = self.args.workdir.as_deref().unwrap_or(&run.working_dir);
        step.cwd = if directory.is_empty() { b"/".to_vec() } else { directory.into() };
        let user = self.user(&merge_all(&trees))?;
        step.env = self.environment(&String::from_utf8_lossy(&user.home));
        step.identity = Identity { uid: user.uid, gid: user.gid, groups: user.groups };
        step.network = match self.args.network {
            NetworkArg::Default | NetworkArg::Host => Network::Host,
            NetworkArg::None => Network::None,
        };
        step.resolv_conf = world::resolv_conf();
        Ok(step)
    }

    /// The directory and the tree of every layer, bottom first.
    fn layers(self, batch: &mut Batch) -> Result<(Vec<PathBuf>, Vec<Tree>), Failure> {
        let idmap = world::id_map();
        let layers = &self.image.manifest.value().layers;
        let (mut directories, mut trees) = (Vec::new(), Vec::new());
        for (layer, diff_id) in layers.iter().zip(&self.image.config.value().rootfs.diff_ids) {
            let found = self.lease.store().layer_of_diff(diff_id)?;
            let mut record = found.unwrap_or_else(|| LayerRecord::new(layer_id(diff_id)));
            self.forget_foreign(&mut record, idmap.as_bytes())?;
            let tree = self.tree(&mut record, layer, *diff_id)?;
            directories.push(materialise(self.lease, &record, &tree, idmap.as_bytes(), batch)?);
            trees.push(tree);
        }
        Ok((directories, trees))
    }

    /// The tree of a layer; the bytes of its files are only fetched for a layer to be unpacked.
    fn tree(
        self,
        record: &mut LayerRecord,
        layer: &Descriptor,
        diff_id: DiffId,
    ) -> Result<Tree, Failure> {
        if let (Some(_), Some(id)) = (&record.live, &record.tree)
            && let Some(tree) = self.lease.store().tree(id)?
        {
            return Ok(tree);
        }
        let tree = layer_tree(self.lease, layer, &diff_id)?;
        record.tree = Some(self.lease.put_tree(&tree)?);
        record.diff_id = Some(diff_id);
        Ok(tree)
    }

    /// A directory whose owners were written through another mapping of ids is none of ours.
    fn forget_foreign(self, record: &mut LayerRecord, idmap: &[u8]) -> Result<(), Failure> {
        let Some(name) = &record.live else { return Ok(()) };
        if self.lease.store().live(name)?.is_none_or(|live| live.idmap != idmap) {
            record.live = None;
        }
        Ok(())
    }

    /// The entry point and the command, as docker combines them.
    fn argv(self) -> Result<Vec<Vec<u8>>, Failure> {
        let run = &self.image.config.value().config;
        let mut words = match &self.args.entrypoint {
            Some(program) => vec![program.clone()],
            None => run.entrypoint.clone(),
        };
        let replaced = !self.args.command.is_empty() || self.args.entrypoint.is_some();
        words.extend(if replaced { self.args.command.clone() } else { run.cmd.clone() });
        if words.is_empty() {
            return Err(
                Failure::usage("the image has no command").remedy("give one after its name")
            );
        }
        Ok(words.into_iter().map(String::into_bytes).collect())
    }

    /// The environment of the image, and over it that of the flags.
    fn environment(self, home: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
        let of_image = self.image.config.value().config.env.iter();
        let of_image = of_image.filter_map(|pair| pair.split_once('='));
        let given = self.args.env.iter();
        let given = given.filter_map(|pair| Some((pair.key.as_str(), pair.value.as_deref()?)));
        let usual = [("PATH", DEFAULT_PATH), ("HOME", home)];
        let mut found: Vec<(&str, &str)> = Vec::new();
        for (key, value) in usual.into_iter().chain(of_image).chain(given) {
            found.retain(|(known, _)| *known != key);
            found.push((key, value));
        }
        found.into_iter().map(|(key, value)| (key.into(), value.into())).collect()
    }

    /// Who runs it, looked up in the files of the image.
    fn user(self, root: &Tree) -> Result<account::Identity, Failure> {
        let user = self.args.user.as_deref().unwrap_or(&self.image.config.value().config.user);
        let unusable = |error: &(dyn std::error::Error + 'static)| Failure::of(Class::Usage, error);
        let file = |path: &str| {
            let found = account_file(&root.children, path).map_err(|error| unusable(&error))?;
            let bytes = found.map(|file| self.lease.store().body(&file.body)).transpose()?;
            Ok::<_, Failure>(bytes.flatten())
        };
        let (passwd, group) = (file("/etc/passwd")?, file("/etc/group")?);
        let accounts = Accounts { passwd: passwd.as_deref(), group: group.as_deref() };
        run_identity(user, accounts).map_err(|error| unusable(&error))
    }
}

/// Where programs are looked for if the image does not say, as docker has it.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
