//! RUN: an overlay over the layers below, a command in the sandbox, its changes as a layer.

use std::error::Error as _;
use std::sync::mpsc::Receiver;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use wythe_sandbox::chroot;
use wythe_sandbox::enter::{self, admit};
use wythe_sandbox::error::StepCause;
use wythe_sandbox::step::{
    Devices, Identity as StepIdentity, Mount, MountSource, Network, Privileges, Security, Step,
};
use wythe_sandbox::{Outcome, Output, StepError, Stream as SandboxStream};
use wythe_store::id::LayerId;
use wythe_store::journal::batch::Batch;
use wythe_store::live::{device, owner};

use super::Execution;
use super::mask::{Mask, Masked};
use super::mounts::Mounts;
use super::pasta::{self, Pasta};
use super::space;
use crate::egress::{self, Gate, Told, Verdict};
use crate::error::{BuildCause, StepFailure};
use crate::ground::Ground;
use crate::inspect::FailedStep;
use crate::operation::run::{RunStep, SecurityMode};
use crate::options::{HostEntry, NetworkMode};
use crate::owner::Owner;
use crate::progress::{Event, StepId, Stream, Tail};
use crate::user::{Accounts, Identity, run_identity};
use crate::view::View;

/// How many lines of a failed step its error repeats.
const SHOWN_LINES: usize = 40;

/// The mode of a heredoc that is a program of its own.
const SCRIPT_MODE: u32 = 0o755;

impl Execution<'_> {
    pub(crate) fn command(&self, run: &RunStep, batch: &mut Batch) -> Result<LayerId, BuildCause> {
        if !enter::is_entered() && !chroot::is_settled() {
            // Nothing is unpacked for a step that cannot run.
            let doing = "running a step".to_owned();
            return Err(StepError { doing, cause: StepCause::NotEntered }.into());
        }
        let mut devices = if makes_devices(run) { Devices::Shown } else { Devices::Awaited };
        loop {
            match self.attempt(run, devices, batch)? {
                Some(layer) => return Ok(layer),
                None => devices = Devices::Shown,
            }
        }
    }

    /// Runs the command once; `None` where it made a device that was awaited.
    fn attempt(
        &self,
        run: &RunStep,
        devices: Devices,
        batch: &mut Batch,
    ) -> Result<Option<LayerId>, BuildCause> {
        let env = self.env;
        env.emulators.enable(&run.platform.architecture)?;
        let ground = self.ground()?;
        let shown = ground.shown();
        // A directory with all files is the step's own, and changes.
        let view = match &ground {
            Ground::Layers { .. } => self.roots.view(&shown),
            Ground::Whole(_) => View::new(&shown),
        };
        let identity = identity(&view, &run.user)?;
        admit(&numbers(&identity), &format!("running as {}:{}", identity.uid, identity.gid))?;
        let user = Owner { uid: identity.uid, gid: identity.gid };
        ground.recreate(&view, (&run.cwd, user), env.idmap)?;
        let mounts = Mounts::prepare(self, run)?;
        let argv = run.argv.iter().map(|word| word.as_bytes().to_vec()).collect();
        let mut step = Step::new(ground.root_fs(), argv);
        if let Ground::Layers { lowers, .. } = &ground {
            step.mounted = self.roots.mounted(lowers);
        }
        step.env = environment(run, &identity, &mounts);
        step.cwd = run.cwd.as_bytes().to_vec();
        step.identity = numbers(&identity);
        step.hostname.clone_from(&run.hostname);
        let gate = self.gate(run)?;
        let pasta = self.pasta(run)?;
        step.network = match (&gate, &pasta) {
            (Some((gate, _)), _) => Network::Own(gate.network()),
            (None, Some(pasta)) => Network::Own(pasta.network()),
            (None, None) if run.network == NetworkMode::None => Network::None,
            (None, None) => Network::Host,
        };
        if gate.is_some() {
            set(&mut step.env, egress::variables());
        }
        step.security = match run.security {
            SecurityMode::Sandbox => Security::Sandbox,
            SecurityMode::Insecure => Security::Insecure,
        };
        step.hosts_file = hosts(&run.hostname, &run.hosts);
        step.resolv_conf = match run.network {
            NetworkMode::Default | NetworkMode::Host => env.resolv_conf.to_vec(),
            NetworkMode::Pasta => pasta::name_servers(env.resolv_conf),
            // Names are looked up by the proxy.
            NetworkMode::Allow | NetworkMode::None => Vec::new(),
        };
        step.shm_size = run.shm_size;
        step.limits.clone_from(&run.limits);
        (step.quota, step.timeout) = (run.quota, run.timeout);
        step.devices = devices;
        step.device_attribute = device::ATTRIBUTE.to_vec();
        step.owner_attribute = owner::ATTRIBUTE.to_vec();
        step.privileges = privileges(run);
        step.mounts = mounts.list.iter().cloned().chain(scripts(run)).collect();
        if self.execute(&step, &mounts, gate)? == Ended::AtDevice {
            return Ok(None);
        }
        drop(mounts);
        Ok(Some(self.harvest(ground, batch)?))
    }

    fn execute(
        &self,
        step: &Step,
        mounts: &Mounts,
        gate: Option<Opened>,
    ) -> Result<Ended, BuildCause> {
        let mask = Mask::new(mounts.secrets.iter().map(Vec::as_slice));
        let streams = [mask.stream(), mask.stream()].map(Mutex::new);
        let listener = &Listener { execution: self, tail: Tail::default(), streams };
        thread::scope(|scope| {
            // Within, so that it ends with the step, and with it who listens.
            let gate = gate.map(|(gate, told)| {
                scope.spawn(move || listener.follow(&told));
                gate
            });
            self.carry_out(step, listener, gate.as_ref())
        })
    }

    fn carry_out(
        &self,
        step: &Step,
        listener: &Listener<'_, '_>,
        gate: Option<&Gate>,
    ) -> Result<Ended, BuildCause> {
        let started = Instant::now();
        let outcome = wythe_sandbox::run(step, listener, self.env.cancel)?;
        if let Some(gate) = gate {
            gate.flush();
        }
        if outcome == Outcome::MadeDevice {
            listener.write(SandboxStream::Stderr, BEGINS_AGAIN);
        }
        match outcome {
            Outcome::Exited(0) | Outcome::MadeDevice | Outcome::Cancelled => {}
            Outcome::Exited(_)
            | Outcome::Signaled(_)
            | Outcome::OutOfMemory(_)
            | Outcome::TimedOut => {
                if gate.is_some() {
                    listener.write(SandboxStream::Stderr, ONLY_BY_PROXY);
                }
            }
        }
        listener.finish();
        match outcome {
            Outcome::Exited(0) => Ok(Ended::Well),
            Outcome::MadeDevice => Ok(Ended::AtDevice),
            Outcome::Cancelled => Err(BuildCause::Cancelled),
            Outcome::Exited(_)
            | Outcome::Signaled(_)
            | Outcome::OutOfMemory(_)
            | Outcome::TimedOut => {
                let failure = StepFailure {
                    command: shown(step),
                    outcome,
                    output: listener.tail.lines(SHOWN_LINES),
                    elapsed: started.elapsed(),
                    full: space::missing(step.root.changed()),
                };
                self.inspect(step, listener);
                Err(BuildCause::Step(failure))
            }
        }
    }

    /// Opens the way to the hosts of the list, where that is the network of the step.
    fn gate(&self, run: &RunStep) -> Result<Option<Opened>, BuildCause> {
        let list = self.options.egress.as_ref().filter(|_| run.network == NetworkMode::Allow);
        let names = run.hosts.iter().map(|host| (host.name.clone(), host.address)).collect();
        let opened = list.map(|list| Gate::open(list, names)).transpose()?;
        if opened.is_none() && run.network == NetworkMode::Allow {
            return Err(BuildCause::Unsupported("a network of listed hosts without a list"));
        }
        Ok(opened)
    }

    /// Opens a network that leads out by pasta, where that is the network of the step.
    fn pasta(&self, run: &RunStep) -> Result<Option<Pasta>, BuildCause> {
        if run.network != NetworkMode::Pasta {
            return Ok(None);
        }
        let program = self.options.pasta.as_ref();
        let program = program.ok_or(BuildCause::Unsupported("a network by pasta without pasta"))?;
        Ok(Some(Pasta::start(program)?))
    }

    /// Lets who wants to look at what the step left.
    fn inspect(&self, step: &Step, listener: &Listener<'_, '_>) {
        let env = self.env;
        let Some(inspector) = env.inspector else { return };
        // Not with the switch of the steps: that others fail does not take the shell away.
        let cancel = self.interrupt;
        let failed = FailedStep { step, output: listener, cancel };
        if let Err(error) = inspector.inspect(&failed) {
            let why = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
            let line = format!("cannot run anything where the step failed: {error}{why}\n");
            listener.write(SandboxStream::Stderr, line.as_bytes());
        }
        listener.finish();
    }
}

/// The way to hosts of a list, and what is told of it.
type Opened = (Gate, Receiver<Told>);

/// How a command that did not fail ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Ended {
    Well,
    /// It made a device, and its programs would take that for a plain file.
    AtDevice,
}

/// Whether a step says that it makes devices. One that does not say so and does begins again.
fn makes_devices(run: &RunStep) -> bool {
    let words = run.argv.iter().chain(run.scripts.iter().map(|script| &script.text));
    words.into_iter().any(|word| MAKERS.iter().any(|maker| word.contains(maker)))
}

/// Whether programs of a step are to gain privileges. In a chroot all others see a `/proc`, and of
/// most steps none does.
fn privileges(run: &RunStep) -> Privileges {
    let words = run.argv.iter().chain(run.scripts.iter().map(|script| &script.text));
    Privileges::of_words(words.map(String::as_str))
}

/// What may be the reason of a failure that says nothing of it.
const ONLY_BY_PROXY: &[u8] =
    b"note: this step reaches hosts of --network=allow by http_proxy and https_proxy, and nothing else\n";

/// Programs that make devices.
const MAKERS: [&str; 4] = ["mknod", "debootstrap", "MAKEDEV", "makedev"];

/// What is told of a step that makes a device without having said so.
const BEGINS_AGAIN: &[u8] =
    b"wythe: this step makes a device, and begins again so that its programs see devices\n";

/// Takes what a step says, hides secrets, and passes it on.
struct Listener<'l, 'e> {
    execution: &'l Execution<'e>,
    tail: Tail,
    /// Standard output and standard error: a value may be split over writes to one of them only.
    streams: [Mutex<Masked<'l>>; 2],
}

impl<'l> Listener<'l, '_> {
    fn show(&self, stream: Stream, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.tail.push(bytes);
        let step = StepId(self.execution.index + 1);
        self.execution.env.progress.event(&Event::Output { step, stream, bytes });
    }

    /// Tells of what the step asks for, until there is no more.
    fn follow(&self, told: &Receiver<Told>) {
        let step = StepId(self.execution.index + 1);
        for told in told {
            match told {
                Told::Contact(contact) => {
                    self.execution.env.progress.event(&Event::Egress { step, contact: &contact });
                    if let Verdict::Refused(refusal) = contact.verdict {
                        let line = format!("wythe: {contact} was refused: {refusal}\n");
                        self.write(SandboxStream::Stderr, line.as_bytes());
                    }
                    let contacts = self.execution.contacts.lock();
                    contacts.unwrap_or_else(PoisonError::into_inner).insert(contact);
                }
                // Who waits for that may be gone.
                Told::SoFar(done) => drop(done.send(())),
                Told::End => return,
            }
        }
    }

    fn masked(&self, stream: Stream) -> MutexGuard<'_, Masked<'l>> {
        let [out, err] = &self.streams;
        let stream = if stream == Stream::Out { out } else { err };
        stream.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn finish(&self) {
        for stream in [Stream::Out, Stream::Err] {
            let rest = self.masked(stream).rest();
            self.show(stream, &rest);
        }
    }
}

impl Output for Listener<'_, '_> {
    fn write(&self, stream: SandboxStream, bytes: &[u8]) {
        let stream = match stream {
            SandboxStream::Stderr => Stream::Err,
            SandboxStream::Stdout => Stream::Out,
        };
        // Held until it is shown, so that two writers of one stream keep their order.
        let mut masked = self.masked(stream);
        let shown = masked.pass(bytes);
        self.show(stream, &shown);
    }
}

/// The command line as an error shows it.
fn shown(step: &Step) -> String {
    let words: Vec<_> = step.argv.iter().map(|word| String::from_utf8_lossy(word)).collect();
    words.join(" ")
}

fn identity(view: &View<'_>, user: &str) -> Result<Identity, BuildCause> {
    let passwd = view.small_file("/etc/passwd")?;
    let group = view.small_file("/etc/group")?;
    let accounts = Accounts { passwd: passwd.as_deref(), group: group.as_deref() };
    Ok(run_identity(user, accounts)?)
}

/// The numbers of an identity; the primary group is one of the groups, as login does it.
fn numbers(identity: &Identity) -> StepIdentity {
    let mut groups = identity.groups.clone();
    groups.push(identity.gid);
    groups.sort_unstable();
    groups.dedup();
    StepIdentity { uid: identity.uid, gid: identity.gid, groups }
}

/// The environment of a step: proxies of the command line before what the Dockerfile says, and secrets
/// before all.
fn environment(run: &RunStep, identity: &Identity, mounts: &Mounts) -> Variables {
    let mut found: Variables = vec![(b"HOME".to_vec(), identity.home.clone())];
    let pairs = run.env.iter().chain(&run.proxies);
    let pairs = pairs.map(|(name, value)| (name.clone().into_bytes(), value.clone().into_bytes()));
    set(&mut found, pairs.chain(mounts.variables.iter().cloned()));
    found
}

/// Names and values.
type Variables = Vec<(Vec<u8>, Vec<u8>)>;

/// Gives variables values, new ones at the end.
fn set(variables: &mut Variables, values: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>) {
    for (name, value) in values {
        match variables.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => variables.push((name, value)),
        }
    }
}

fn hosts(hostname: &str, extra: &[HostEntry]) -> Vec<u8> {
    let mut text = "127.0.0.1\tlocalhost ".to_owned();
    text.push_str(hostname);
    text.push_str("\n::1\tlocalhost ip6-localhost ip6-loopback\n");
    text.extend(extra.iter().map(HostEntry::line));
    text.into_bytes()
}

/// Programs written in the Dockerfile, for as long as the step runs.
fn scripts(run: &RunStep) -> impl Iterator<Item = Mount> + '_ {
    run.scripts.iter().map(|script| Mount {
        target: script.path.clone().into_bytes(),
        source: MountSource::Secret {
            bytes: script.text.clone().into_bytes(),
            mode: SCRIPT_MODE,
            uid: 0,
            gid: 0,
        },
    })
}
