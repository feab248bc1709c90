//! Instructions that change the configuration and no file.

use wythe_dockerfile::ast::{
    Arg, Command, Healthcheck as HealthcheckAst, InstructionKind, KeyValues, Word, Words,
};
use wythe_dockerfile::expand::expand_words;
use wythe_store::oci::config::Healthcheck;

use super::error::LowerError;
use super::stage::{Lowering, Site};
use super::state::{State, clean};
use super::{args, expand, port, signal};
use crate::history;
use crate::operation::{Operation, WorkdirStep};

impl Lowering<'_> {
    /// Carries out an instruction that only changes the configuration.
    #[expect(clippy::wildcard_enum_match_arm, reason = "`command_or_text` lists the rest")]
    pub(crate) fn metadata(
        &mut self,
        site: Site<'_>,
        kind: &InstructionKind,
        state: &mut State,
    ) -> Result<(), LowerError> {
        match kind {
            InstructionKind::Env(env) => self.env(env, state),
            InstructionKind::Label(label) => self.label(label, state),
            InstructionKind::Expose(words) => self.expose(words, state),
            InstructionKind::Volume(words) => self.volume(site, words, state),
            InstructionKind::User(user) => self.user(user, state),
            InstructionKind::Stopsignal(name) => self.stop_signal(name, state),
            InstructionKind::Healthcheck(check) => {
                healthcheck(check, state);
                Ok(())
            }
            other => {
                command_or_text(other, state);
                Ok(())
            }
        }
    }

    /// `ARG` in a stage: later defaults of one instruction see earlier names. A name stands as it is written.
    pub(crate) fn arg(&mut self, arg: &Arg, state: &mut State) -> Result<(), LowerError> {
        let mut shown = Vec::new();
        for item in &arg.items {
            let name = item.name.value.clone();
            let given = &self.around.options.build_args;
            // A default that is not needed may be one that cannot be expanded.
            let default = item.default.as_ref().filter(|_| !given.contains_key(&name));
            let default = default.map(|word| expand::word(word, self.escape, state)).transpose()?;
            let value = args::stage_value(&name, default, given, &self.globals.scope);
            state.declare(&name, value.as_deref());
            shown.push((name, value));
        }
        state.note(history::arg(&shown));
        Ok(())
    }

    /// `ENV`: every value sees the variables from before the instruction.
    fn env(&mut self, env: &KeyValues, state: &mut State) -> Result<(), LowerError> {
        let pairs = self.pairs(env, state)?;
        for (name, value) in &pairs {
            state.set_env(name, value);
        }
        state.note(history::pairs("ENV", &pairs));
        Ok(())
    }

    fn label(&mut self, label: &KeyValues, state: &mut State) -> Result<(), LowerError> {
        let pairs = self.pairs(label, state)?;
        state.config.config.labels.extend(pairs.iter().cloned());
        state.note(history::pairs("LABEL", &pairs));
        Ok(())
    }

    fn pairs(&self, list: &KeyValues, state: &State) -> Result<Vec<(String, String)>, LowerError> {
        let pair = |pair: &wythe_dockerfile::ast::KeyValue| {
            let key = expand::word(&pair.key, self.escape, state)?;
            Ok((key, expand::word(&pair.value, self.escape, state)?))
        };
        list.pairs.iter().map(pair).collect()
    }

    fn expose(&mut self, words: &Words, state: &mut State) -> Result<(), LowerError> {
        let mut found = Vec::new();
        let mut words: Vec<&Word> = words.words.iter().collect();
        words.sort_by_key(|word| &word.value);
        for word in words {
            let split = expand_words(&word.value, self.escape, state)
                .map_err(|error| LowerError::expansion(word.span, &error))?;
            for one in split {
                let ports = port::ports(&one).map_err(|error| {
                    LowerError::at(word.span, error.to_string())
                        .help("write port, port/tcp, port/udp or first-last; ports go up to 65535")
                })?;
                found.extend(ports);
            }
        }
        state.note(history::list("EXPOSE", &found));
        state.config.config.exposed_ports.extend(found);
        Ok(())
    }

    fn volume(
        &mut self,
        site: Site<'_>,
        words: &Words,
        state: &mut State,
    ) -> Result<(), LowerError> {
        let paths = expand::words(&words.words, self.escape, state)?;
        if paths.iter().any(String::is_empty) {
            let message = "VOLUME specified can not be an empty string";
            return Err(LowerError::at(site.span(), message).help("name an absolute path"));
        }
        state.note(history::list("VOLUME", &paths));
        state.config.config.volumes.extend(paths);
        Ok(())
    }

    fn user(&mut self, user: &Word, state: &mut State) -> Result<(), LowerError> {
        let user = expand::word(user, self.escape, state)?;
        state.note(history::word("USER", &user));
        state.config.config.user = user;
        Ok(())
    }

    fn stop_signal(&mut self, word: &Word, state: &mut State) -> Result<(), LowerError> {
        let name = expand::word(word, self.escape, state)?;
        if !signal::is_valid(&name) {
            return Err(LowerError::at(word.span, format!("invalid signal: {name}"))
                .help("write a name such as SIGTERM, or its number"));
        }
        state.note(history::word("STOPSIGNAL", &name));
        state.config.config.stop_signal = name;
        Ok(())
    }

    /// `WORKDIR`: a layer unless it is `/` to the letter; nothing where the word expands to nothing.
    pub(crate) fn workdir(
        &mut self,
        site: Site<'_>,
        word: &Word,
        state: &mut State,
    ) -> Result<(), LowerError> {
        let text = expand::word(word, self.escape, state)?;
        // An absolute path is shown as it is written.
        let path = match text.as_str() {
            "" => state.working_dir().to_owned(),
            absolute if absolute.starts_with('/') => text,
            relative => clean(&format!("{}/{relative}", state.working_dir())),
        };
        path.clone_into(&mut state.config.config.working_dir);
        let created_by = history::word("WORKDIR", &path);
        if path == "/" {
            state.note(created_by);
            return Ok(());
        }
        let user = state.config.config.user.clone();
        let step = WorkdirStep { path: clean(&path), user, epoch: self.epoch };
        let vertex = self.vertex(site, Operation::Workdir(step), state.top, Vec::new());
        state.layer(created_by, vertex);
        Ok(())
    }
}

fn healthcheck(check: &HealthcheckAst, state: &mut State) {
    let check = match check {
        HealthcheckAst::None => {
            Healthcheck { test: vec!["NONE".to_owned()], ..Healthcheck::default() }
        }
        HealthcheckAst::Command { timing, command } => Healthcheck {
            test: match command {
                Command::Exec(words) => [vec!["CMD".to_owned()], words.clone()].concat(),
                Command::Shell(text) => vec!["CMD-SHELL".to_owned(), text.clone()],
            },
            interval: timing.interval,
            timeout: timing.timeout,
            start_period: timing.start_period,
            start_interval: timing.start_interval,
            retries: timing.retries,
            ..Healthcheck::default()
        },
    };
    state.note(history::healthcheck(&check));
    state.config.config.healthcheck = Some(check);
}

fn command_or_text(kind: &InstructionKind, state: &mut State) {
    match kind {
        InstructionKind::Cmd(command) => {
            let words = words_of(command, state);
            state.note(history::command("CMD", &words));
            state.config.config.cmd = words;
            state.config.config.args_escaped = Some(true);
            state.own_command = true;
        }
        InstructionKind::Entrypoint(command) => {
            let words = words_of(command, state);
            state.note(history::command("ENTRYPOINT", &words));
            state.config.config.entrypoint = words;
            if !state.own_command {
                state.config.config.cmd.clear();
            }
        }
        InstructionKind::Shell(words) => {
            state.note(history::list("SHELL", words));
            words.clone_into(&mut state.config.config.shell);
        }
        InstructionKind::Maintainer(name) => {
            state.note(history::word("MAINTAINER", &name.value));
            state.config.author = Some(name.value.clone());
        }
        InstructionKind::Onbuild(trigger) => {
            state.config.config.on_build.push(trigger.trigger.value.clone());
        }
        InstructionKind::Add(_)
        | InstructionKind::Arg(_)
        | InstructionKind::Copy(_)
        | InstructionKind::Env(_)
        | InstructionKind::Expose(_)
        | InstructionKind::From(_)
        | InstructionKind::Healthcheck(_)
        | InstructionKind::Label(_)
        | InstructionKind::Run(_)
        | InstructionKind::Stopsignal(_)
        | InstructionKind::User(_)
        | InstructionKind::Volume(_)
        | InstructionKind::Workdir(_) => {}
    }
}

/// A command as the configuration stores it: the shell form with its shell.
fn words_of(command: &Command, state: &State) -> Vec<String> {
    match command {
        Command::Exec(words) => words.clone(),
        Command::Shell(text) => [state.shell(), vec![text.clone()]].concat(),
    }
}
