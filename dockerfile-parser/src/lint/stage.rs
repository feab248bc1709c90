//! Rules about the instructions of the stages that are needed.

use std::collections::BTreeMap;

use super::Linter;
use super::from::Values;
use super::rule::{
    EXPOSE_INVALID_FORMAT, EXPOSE_PROTO_CASING, JSON_ARGS_RECOMMENDED, LEGACY_KEY_VALUE_FORMAT,
    MULTIPLE_INSTRUCTIONS_DISALLOWED, SECRETS_USED_IN_ARG_OR_ENV, WORKDIR_RELATIVE_PATH,
};
use super::scope::Scope;
use crate::ast::{Command, Instruction, InstructionKind, KeyValueForm, KeyValues, Word, Words};
use crate::lint::secret::is_secret_name;
use crate::stage::{Stage, fired};

/// Where a stage stands after some of its instructions.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) scope: Scope,
    workdir: Set,
    shell: Set,
}

/// Whether something was set in the Dockerfile, in this stage or one it starts from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Set {
    No,
    Yes,
}

impl Linter<'_> {
    pub(super) fn bodies(&mut self) {
        let global = self.global(Values::Given);
        let mut states: BTreeMap<usize, State> = BTreeMap::new();
        for stage in self.stages.stages.clone() {
            let parent = self.stages.base(&stage, &global, self.escape()).cloned();
            let mut state = match &parent {
                Some(parent) => states[&parent.index].clone(),
                None => self.fresh(&stage),
            };
            let kept = self.findings.len();
            let triggers = self.triggers(parent.as_ref(), &stage);
            let body: Vec<&Instruction> = triggers.iter().chain(stage.body).collect();
            for instruction in &body {
                self.step(instruction, &mut state, &global);
            }
            self.repeated(&body);
            if !self.needed.contains(&stage.index) {
                self.findings.truncate(kept);
            }
            states.insert(stage.index, state);
        }
    }

    /// The state over an image or over nothing.
    fn fresh(&self, stage: &Stage<'_>) -> State {
        let facts = self.context.bases.get(&stage.index);
        let scratch = stage.from.image.value == "scratch";
        let environment = match facts {
            Some(facts) => Some(facts.environment.as_slice()),
            None if scratch => Some([].as_slice()),
            None => None,
        };
        let shell = facts.is_some_and(|facts| !facts.shell.is_empty());
        let shell = if shell { Set::Yes } else { Set::No };
        State { scope: Scope::over(environment), workdir: Set::No, shell }
    }

    fn step(&mut self, instruction: &Instruction, state: &mut State, global: &Scope) {
        self.variables(instruction, &state.scope);
        match &instruction.kind {
            InstructionKind::Arg(arg) => {
                for item in &arg.items {
                    self.declare(instruction, item, &mut state.scope, global);
                }
            }
            InstructionKind::Cmd(command) | InstructionKind::Entrypoint(command) => {
                self.shell_form(instruction, command, state.shell);
            }
            InstructionKind::Env(pairs) => self.env(instruction, pairs, &mut state.scope),
            InstructionKind::Expose(words) => self.expose(instruction, words, &state.scope),
            InstructionKind::Label(pairs) => self.legacy(instruction, pairs),
            InstructionKind::Shell(_) => state.shell = Set::Yes,
            InstructionKind::Workdir(path) => self.workdir(instruction, path, state),
            _ => {}
        }
    }

    fn env(&mut self, instruction: &Instruction, pairs: &KeyValues, scope: &mut Scope) {
        self.legacy(instruction, pairs);
        let escape = self.escape();
        let before = scope.clone();
        for pair in &pairs.pairs {
            let name = before.expand(&pair.key.value, escape).value;
            self.secret(instruction, "ENV", &pair.key, &name);
            scope.set(&name, before.expand(&pair.value.value, escape).value);
        }
    }

    fn legacy(&mut self, instruction: &Instruction, pairs: &KeyValues) {
        if pairs.form == KeyValueForm::Legacy {
            let keyword = &instruction.keyword.value;
            let message = format!(
                "\"{keyword} key=value\" should be used instead of legacy \"{keyword} key value\" format"
            );
            self.report_at(&LEGACY_KEY_VALUE_FORMAT, instruction, instruction.span, message);
        }
    }

    fn shell_form(&mut self, instruction: &Instruction, command: &Command, shell: Set) {
        if matches!(command, Command::Shell(_)) && shell == Set::No {
            let message = format!(
                "JSON arguments recommended for {} to prevent unintended behavior related to OS signals",
                instruction.keyword.value
            );
            self.report_at(&JSON_ARGS_RECOMMENDED, instruction, instruction.span, message);
        }
    }

    fn workdir(&mut self, instruction: &Instruction, path: &Word, state: &mut State) {
        let value = state.scope.expand(&path.value, self.escape()).value;
        if state.workdir == Set::No && !value.starts_with('/') {
            let message = format!(
                "Relative workdir {value:?} can have unexpected results if the base image changes"
            );
            self.report(&WORKDIR_RELATIVE_PATH, instruction, path, message);
        }
        state.workdir = Set::Yes;
    }

    fn expose(&mut self, instruction: &Instruction, words: &Words, scope: &Scope) {
        for word in &words.words {
            let value = scope.expand(&word.value, self.escape()).value;
            for port in value.split_whitespace() {
                let (ports, protocol) = port.split_once('/').unwrap_or((port, ""));
                if protocol != protocol.to_lowercase() {
                    let message = format!(
                        "Defined protocol '{port}' in EXPOSE instruction should be lowercase"
                    );
                    self.report(&EXPOSE_PROTO_CASING, instruction, word, message);
                }
                let host = ports.rsplit_once(':').map(|(host, _)| host);
                if host.is_some_and(|host| !host.is_empty()) {
                    let message = format!(
                        "EXPOSE instruction should not define an IP address or host-port mapping, found '{port}'"
                    );
                    self.report(&EXPOSE_INVALID_FORMAT, instruction, word, message);
                }
            }
        }
    }

    /// Reports a variable whose name says that its value is a secret.
    pub(super) fn secret(
        &mut self,
        instruction: &Instruction,
        kind: &str,
        word: &Word,
        name: &str,
    ) {
        if is_secret_name(name) {
            let message =
                format!("Do not use ARG or ENV instructions for sensitive data ({kind} {name:?})");
            self.report(&SECRETS_USED_IN_ARG_OR_ENV, instruction, word, message);
        }
    }

    /// Reports all but the last of the instructions of which only the last counts.
    fn repeated(&mut self, body: &[&Instruction]) {
        for name in ["CMD", "ENTRYPOINT", "HEALTHCHECK"] {
            let of_name = |one: &&&Instruction| one.keyword.value.eq_ignore_ascii_case(name);
            let all: Vec<&&Instruction> = body.iter().filter(of_name).collect();
            for (earlier, later) in all.iter().zip(all.iter().skip(1)) {
                let message = format!(
                    "Multiple {} instructions should not be used in the same stage because only the last one will be used",
                    later.keyword.value
                );
                // People turn the rule off above the one they added, too.
                if self.applies(&MULTIPLE_INSTRUCTIONS_DISALLOWED, later) {
                    let keyword = &earlier.keyword;
                    self.report(&MULTIPLE_INSTRUCTIONS_DISALLOWED, earlier, keyword, message);
                }
            }
        }
    }

    /// The triggers that a stage fires: those of the stage it starts from, or of its image.
    fn triggers(&self, parent: Option<&Stage<'_>>, stage: &Stage<'_>) -> Vec<Instruction> {
        match (parent, self.context.bases.get(&stage.index)) {
            (Some(parent), _) => fired(parent.triggers(), stage.instruction),
            (None, Some(facts)) => {
                fired(facts.triggers.iter().map(String::as_str), stage.instruction)
            }
            (None, None) => Vec::new(),
        }
    }
}
