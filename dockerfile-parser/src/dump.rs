//! The tree as text that stays the same: for golden files, and for people who debug a Dockerfile.
//!
//! One line per instruction with its place, then one indented line per part, each word with the
//! place it was written at.

use std::fmt::Write;

use crate::ast::{
    Add, Arg, Command, Copy, Dockerfile, Escape, From, HealthTiming, Healthcheck, Heredoc,
    HeredocChomp, HeredocExpansion, Instruction, InstructionKind, KeyValueForm, KeyValues, Run,
    Source, Switch, Word,
};
use crate::span::{LineIndex, Span};

/// The tree of `source` as text.
pub fn dump(source: &str, dockerfile: &Dockerfile) -> String {
    let mut dump = Dump { source, lines: LineIndex::new(source), text: String::new() };
    let directives = &dockerfile.directives;
    dump.optional("syntax", directives.syntax.as_ref());
    if directives.escape == Escape::Backtick {
        dump.line("escape `");
    }
    dump.optional("check", directives.check.as_ref());
    for instruction in &dockerfile.instructions {
        dump.instruction(instruction);
    }
    dump.text
}

struct Dump<'a> {
    source: &'a str,
    lines: LineIndex,
    text: String,
}

impl Dump<'_> {
    fn instruction(&mut self, instruction: &Instruction) {
        let keyword = instruction.keyword.value.to_ascii_uppercase();
        let place = self.place(instruction.span);
        self.line(&format!("{place} {keyword}"));
        for comment in &instruction.comments {
            self.word("comment", comment);
        }
        match &instruction.kind {
            InstructionKind::Add(add) => self.add(add),
            InstructionKind::Arg(arg) => self.arg(arg),
            InstructionKind::Cmd(command) | InstructionKind::Entrypoint(command) => {
                self.command(command);
            }
            InstructionKind::Copy(copy) => self.copy(copy),
            InstructionKind::Env(pairs) | InstructionKind::Label(pairs) => self.pairs(pairs),
            InstructionKind::Expose(words) | InstructionKind::Volume(words) => {
                self.words("word", &words.words);
            }
            InstructionKind::From(from) => self.from(from),
            InstructionKind::Healthcheck(check) => self.healthcheck(check),
            InstructionKind::Onbuild(onbuild) => self.word("trigger", &onbuild.trigger),
            InstructionKind::Run(run) => self.run(run),
            InstructionKind::Shell(words) => self.line(&format!("  exec {words:?}")),
            InstructionKind::Maintainer(word)
            | InstructionKind::Stopsignal(word)
            | InstructionKind::User(word)
            | InstructionKind::Workdir(word) => self.word("word", word),
        }
    }

    fn add(&mut self, add: &Add) {
        self.optional("--chown", add.chown.as_ref());
        self.optional("--chmod", add.chmod.as_ref());
        self.switch("--link", add.link);
        self.switch("--keep-git-dir", add.keep_git_dir);
        self.optional("--checksum", add.checksum.as_ref());
        self.switch("--unpack", add.unpack);
        self.words("--exclude", &add.excludes);
        self.sources(&add.sources, &add.destination);
    }

    fn copy(&mut self, copy: &Copy) {
        self.optional("--from", copy.from.as_ref());
        self.optional("--chown", copy.chown.as_ref());
        self.optional("--chmod", copy.chmod.as_ref());
        self.switch("--link", copy.link);
        self.switch("--parents", copy.parents);
        self.words("--exclude", &copy.excludes);
        self.sources(&copy.sources, &copy.destination);
    }

    fn sources(&mut self, sources: &[Source], destination: &Word) {
        for source in sources {
            match source {
                Source::Word(word) => self.word("source", word),
                Source::Heredoc(heredoc) => self.heredoc(heredoc),
            }
        }
        self.word("destination", destination);
    }

    fn arg(&mut self, arg: &Arg) {
        for item in &arg.items {
            self.word("name", &item.name);
            self.optional("default", item.default.as_ref());
        }
    }

    fn pairs(&mut self, pairs: &KeyValues) {
        if pairs.form == KeyValueForm::Legacy {
            self.line("  legacy form");
        }
        for pair in &pairs.pairs {
            self.word("key", &pair.key);
            self.word("value", &pair.value);
        }
    }

    fn from(&mut self, from: &From) {
        self.optional("--platform", from.platform.as_ref());
        self.word("image", &from.image);
        self.optional("name", from.name.as_ref());
    }

    fn healthcheck(&mut self, check: &Healthcheck) {
        match check {
            Healthcheck::None => self.line("  none"),
            Healthcheck::Command { timing, command } => {
                let HealthTiming { interval, timeout, start_period, start_interval, retries } =
                    timing;
                self.line(&format!(
                    "  interval {interval} timeout {timeout} start-period {start_period} \
                     start-interval {start_interval} retries {retries}"
                ));
                self.command(command);
            }
        }
    }

    fn run(&mut self, run: &Run) {
        self.words("--mount", &run.mounts);
        self.optional("--network", run.network.as_ref());
        self.optional("--security", run.security.as_ref());
        self.words("--device", &run.devices);
        self.command(&run.command);
        for heredoc in &run.heredocs {
            self.heredoc(heredoc);
        }
    }

    fn heredoc(&mut self, heredoc: &Heredoc) {
        self.word("heredoc", &heredoc.word);
        let descriptor = heredoc.descriptor.map(|number| format!(" descriptor {number}"));
        let expansion = match heredoc.expansion {
            HeredocExpansion::Expand => "",
            HeredocExpansion::Literal => " literal",
        };
        let chomp = match heredoc.chomp {
            HeredocChomp::Keep => "",
            HeredocChomp::StripTabs => " tabs stripped",
        };
        let descriptor = descriptor.unwrap_or_default();
        self.line(&format!("    named {:?}{descriptor}{expansion}{chomp}", heredoc.name));
        self.word("  body", &heredoc.body);
    }

    fn command(&mut self, command: &Command) {
        match command {
            Command::Exec(words) => self.line(&format!("  exec {words:?}")),
            Command::Shell(text) => self.line(&format!("  shell {text:?}")),
        }
    }

    fn switch(&mut self, name: &str, switch: Switch) {
        match switch {
            Switch::Unset => {}
            Switch::On => self.line(&format!("  {name} on")),
            Switch::Off => self.line(&format!("  {name} off")),
        }
    }

    fn optional(&mut self, name: &str, word: Option<&Word>) {
        if let Some(word) = word {
            self.word(name, word);
        }
    }

    fn words(&mut self, name: &str, words: &[Word]) {
        for word in words {
            self.word(name, word);
        }
    }

    fn word(&mut self, name: &str, word: &Word) {
        let place = self.place(word.span);
        self.line(&format!("  {name} {:?} {place}", word.value));
    }

    fn place(&self, span: Span) -> String {
        let [start, end] =
            [span.start, span.end].map(|offset| self.lines.position(self.source, offset));
        let mut text = format!("{}:{}-", start.line, start.column);
        if end.line != start.line {
            let written = write!(text, "{}:", end.line);
            debug_assert!(written.is_ok(), "writing to a string does not fail");
        }
        text + &end.column.to_string()
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::dump;
    use crate::parse::parse;

    #[test]
    fn every_word_has_its_place() {
        let source = "FROM a AS b\nCOPY --from=b \\\n x <<E /\nbody\nE\n";
        let expected = "\
1:1-12 FROM
  image \"a\" 1:6-7
  name \"b\" 1:11-12
2:1-5:2 COPY
  --from \"b\" 2:13-14
  source \"x\" 3:2-3
  heredoc \"<<E\" 3:4-7
    named \"E\"
    body \"body\\n\" 4:1-5:1
  destination \"/\" 3:8-9
";
        assert_eq!(dump(source, &parse(source).dockerfile), expected);
    }
}
