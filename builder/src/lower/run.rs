//! RUN: the command, its environment and its mounts.

use wythe_dockerfile::ast::{Command, Heredoc, Run};

use super::error::LowerError;
use super::stage::{Lowering, Site};
use super::state::{State, clean};
use super::{args, mount};
use crate::history;
use crate::operation::Operation;
use crate::operation::run::{RunStep, Script, SecurityMode};
use crate::options::{Entitlement, NetworkMode};

/// Where heredocs that are programs of their own are found while they run.
const SCRIPT_DIR: &str = "/dev/pipes";

impl Lowering<'_> {
    pub(crate) fn run(
        &mut self,
        site: Site<'_>,
        run: &Run,
        state: &mut State,
    ) -> Result<(), LowerError> {
        if let Some(device) = run.devices.first() {
            let message = "RUN --device is not supported";
            return Err(LowerError::at(site.trigger.unwrap_or(device.span), message)
                .help("remove the flag; BuildKit's stable syntax refuses it, too"));
        }
        let network = self.network(site, run)?;
        let security = self.security(site, run)?;
        let mut inputs = Vec::new();
        let mounts = mount::mounts(self, site, &run.mounts, (state, &mut inputs))?;
        let (argv, scripts) = command(run, state);
        if argv.is_empty() {
            let error = LowerError::at(site.span(), "RUN [] names no program");
            return Err(error.help("write RUN [\"program\", \"argument\"]"));
        }
        let created_by = history::run(&state.visible_args(), &argv);
        let options = self.around.options;
        let step = RunStep {
            platform: state.platform.clone(),
            argv,
            env: state.env.clone(),
            proxies: args::proxies(&options.build_args),
            cwd: clean(state.working_dir()),
            user: state.config.config.user.clone(),
            mounts,
            scripts,
            network,
            security,
            hosts: options.hosts.clone(),
            shm_size: options.shm_size,
            limits: options.limits.clone(),
            quota: options.quota,
            timeout: options.timeout,
            hostname: self.hostname(),
        };
        let vertex = self.vertex(site, Operation::Run(Box::new(step)), state.top, inputs);
        state.layer(created_by, vertex);
        Ok(())
    }

    fn network(&self, site: Site<'_>, run: &Run) -> Result<NetworkMode, LowerError> {
        let options = self.around.options;
        let Some(word) = &run.network else { return Ok(options.network) };
        let span = site.trigger.unwrap_or(word.span);
        match NetworkMode::parse(&word.value).unwrap_or_default() {
            NetworkMode::Host if options.network == NetworkMode::Allow => {
                let message = "RUN --network=host leads around the list of --network=allow";
                Err(LowerError::at(span, message)
                    .help("remove the flag, or build without the list"))
            }
            NetworkMode::Host if options.network == NetworkMode::Pasta => {
                let message = "RUN --network=host leads around --network=pasta";
                Err(LowerError::at(span, message).help("remove the flag, or build without pasta"))
            }
            NetworkMode::Host => {
                self.allowed(Entitlement::NetworkHost, span)?;
                Ok(NetworkMode::Host)
            }
            NetworkMode::None => Ok(NetworkMode::None),
            // What the command line says, which a Dockerfile cannot widen.
            NetworkMode::Allow | NetworkMode::Default | NetworkMode::Pasta => Ok(options.network),
        }
    }

    fn security(&self, site: Site<'_>, run: &Run) -> Result<SecurityMode, LowerError> {
        let insecure = run.security.as_ref().filter(|word| word.value == "insecure");
        let Some(word) = insecure else { return Ok(SecurityMode::Sandbox) };
        self.allowed(Entitlement::SecurityInsecure, site.trigger.unwrap_or(word.span))?;
        Ok(SecurityMode::Insecure)
    }

    fn allowed(
        &self,
        what: Entitlement,
        span: wythe_dockerfile::span::Span,
    ) -> Result<(), LowerError> {
        if self.around.options.entitlements.contains(&what) {
            return Ok(());
        }
        let name = what.name();
        Err(LowerError::at(span, format!("{name} is not allowed"))
            .help(format!("allow it with --allow {name}")))
    }

    fn hostname(&self) -> String {
        let options = self.around.options;
        let given = options.build_args.get("BUILDKIT_SANDBOX_HOSTNAME");
        given.filter(|name| !name.is_empty()).unwrap_or(&options.hostname).clone()
    }
}

/// The command line of a step and the files it needs.
fn command(run: &Run, state: &State) -> (Vec<String>, Vec<Script>) {
    let text = match &run.command {
        Command::Exec(words) => return (words.clone(), Vec::new()),
        Command::Shell(text) => text,
    };
    let mut argv = state.shell();
    let mut scripts = Vec::new();
    match run.heredocs.as_slice() {
        [only] if text.trim() == only.word.value && only.text().starts_with("#!") => {
            let path = format!("{SCRIPT_DIR}/{}", only.name);
            scripts.push(Script { path: path.clone(), text: only.text() });
            argv.push(path);
        }
        [only] if text.trim() == only.word.value => argv.push(only.text()),
        heredocs => argv.push(with_bodies(text, heredocs)),
    }
    (argv, scripts)
}

/// The text with the bodies after it, for the shell to make sense of.
fn with_bodies(text: &str, heredocs: &[Heredoc]) -> String {
    let mut script = text.to_owned();
    for heredoc in heredocs {
        script.push('\n');
        script.push_str(&heredoc.body.value);
        script.push_str(&heredoc.name);
    }
    script
}
