//! A Dockerfile of a meaning, in the words that a pen chooses.

use crate::model::{Copy, File, Run, Stage, Start, Step};
use crate::pen::Pen;

/// The whole file.
pub(crate) fn file(file: &File, pen: &mut Pen) -> String {
    let mut out = String::new();
    if pen.pick(3) == 1 {
        pen.escape = '`';
        out.push_str("# escape=`\n");
    }
    for (name, value) in &file.args {
        out.push_str(pen.gap());
        let line = format!("{} {name}={}", pen.cased("ARG"), pen.quoted(value));
        out.push_str(&pen.folded(&line));
    }
    let mut written: Written = Vec::new();
    for at in order(file, pen) {
        if pen.pick(4) == 1 {
            out.push_str("FROM nothing AS unused\nRUN never\n");
            written.push(None);
        }
        out.push_str(&stage(file, &written, &file.stages[at], pen));
        written.push(Some(at));
    }
    out
}

/// The stages written so far, in order; none is for one that nothing uses.
type Written = Vec<Option<usize>>;

/// The stages in an order in which each follows what it uses.
fn order(file: &File, pen: &mut Pen) -> Vec<usize> {
    let mut left: Vec<usize> = (0..file.stages.len()).collect();
    let mut order: Vec<usize> = Vec::new();
    while !left.is_empty() {
        let free = |at: &usize| uses(&file.stages[*at]).iter().all(|used| order.contains(used));
        let free: Vec<usize> = left.iter().copied().filter(free).collect();
        let next = free[pen.pick(free.len())];
        left.retain(|at| *at != next);
        order.push(next);
    }
    order
}

fn uses(stage: &Stage) -> Vec<usize> {
    let from = stage.body.iter().filter_map(|step| {
        let Step::Copy(copy) = step else { return None };
        copy.from
    });
    let base = if let Start::Stage(at) = stage.base { Some(at) } else { None };
    from.chain(base).collect()
}

fn stage(file: &File, written: &Written, stage: &Stage, pen: &mut Pen) -> String {
    let mut out = pen.gap().to_owned();
    let base = match &stage.base {
        Start::Image(name) => name.clone(),
        Start::Stage(at) => pen.cased(&file.stages[*at].name),
    };
    let platform = pen.one(&[
        "",
        "--platform=linux/amd64 ",
        "--platform=$TARGETPLATFORM ",
        "--platform=\"${BUILDPLATFORM}\" ",
    ]);
    let platform = if let Start::Image(_) = stage.base { platform } else { "" };
    let (from, keyword) = (pen.cased("FROM"), pen.cased("AS"));
    let name = if pen.pick(2) == 0 { stage.name.clone() } else { stage.name.to_uppercase() };
    let blank = pen.one(&[" ", "\t", "   "]);
    out += &pen.folded(&format!("{from} {platform}{base}{blank}{keyword} {name}"));
    for step in &stage.body {
        out += pen.gap();
        out += pen.one(&["", "", "  ", "\t"]);
        out += &instruction(file, written, step, pen);
    }
    out
}

fn instruction(file: &File, written: &Written, step: &Step, pen: &mut Pen) -> String {
    let line = match step {
        Step::Arg(name, value) => format!("{} {name}={}", pen.cased("ARG"), pen.quoted(value)),
        Step::Command(kind, words) => format!("{} {}", pen.cased(kind), pen.json(words)),
        Step::Copy(one) => copy(file, written, one, pen),
        Step::Pairs(kind, all) => pairs(kind, all, pen),
        Step::Expose(ports) => expose(ports, pen),
        Step::Healthcheck(time, tries, script) => healthcheck(*time, *tries, script, pen),
        Step::Run(one) => run(one, pen),
        Step::Text(name, lines) => return text(name, lines, pen),
        Step::Word(kind, word) => format!("{} {}", pen.cased(kind), pen.quoted(word)),
        Step::Volume(paths) => format!("{} {}", pen.cased("VOLUME"), list(paths, pen)),
    };
    pen.folded(&line)
}

/// Words, or a list in JSON.
fn list(words: &[String], pen: &mut Pen) -> String {
    if pen.pick(2) == 0 { words.join(pen.one(&[" ", "  "])) } else { pen.json(words) }
}

fn copy(file: &File, written: &Written, copy: &Copy, pen: &mut Pen) -> String {
    let mut flags: Vec<Vec<String>> = Vec::new();
    if let Some(at) = copy.from {
        let position = written.iter().position(|one| *one == Some(at));
        let name = match (position, pen.pick(2)) {
            (Some(position), 1) => position.to_string(),
            _ => pen.cased(&file.stages[at].name),
        };
        flags.push(vec![format!("--from={}", pen.quoted(&name))]);
    }
    for (name, value) in [("chown", &copy.chown), ("chmod", &copy.chmod)] {
        flags.extend(value.iter().map(|value| vec![format!("--{name}={}", pen.quoted(value))]));
    }
    if copy.link {
        flags.push(vec![pen.one(&["--link", "--link=true", "--link=TRUE"]).to_owned()]);
    }
    // The order among patterns counts.
    flags.push(copy.excludes.iter().map(|one| format!("--exclude={}", pen.quoted(one))).collect());
    let flags = pen.shuffled(flags).concat();
    let words: Vec<String> = copy.sources.iter().chain([&copy.destination]).cloned().collect();
    let words = list(&words, pen);
    format!(
        "{} {}",
        pen.cased("COPY"),
        flags.into_iter().chain([words]).collect::<Vec<_>>().join(pen.one(&[" ", "  "]))
    )
}

fn pairs(kind: &str, pairs: &[(String, String)], pen: &mut Pen) -> String {
    if let ([(name, value)], 1) = (pairs, pen.pick(2)) {
        // Everything behind the name is the value, inner blanks included.
        return format!("{} {name}{}{value}", pen.cased(kind), pen.one(&[" ", "\t", "   "]));
    }
    let pair = |(name, value): &(String, String)| {
        let escaped = value.replace(' ', &format!("{} ", pen.escape));
        match (value.contains(' '), pen.pick(3)) {
            (_, 0) => format!("{name}=\"{value}\""),
            (_, 1) => format!("{name}='{value}'"),
            _ => format!("{name}={escaped}"),
        }
    };
    let words: Vec<String> = pairs.iter().map(pair).collect();
    format!("{} {}", pen.cased(kind), words.join(pen.one(&[" ", "   "])))
}

fn expose(ports: &[u16], pen: &mut Pen) -> String {
    let port = |port: &u16| format!("{port}{}", pen.one(&["", "/tcp"]));
    let words: Vec<String> = ports.iter().map(port).collect();
    format!("{} {}", pen.cased("EXPOSE"), pen.shuffled(words).join(" "))
}

fn healthcheck(time: u8, tries: u8, script: &str, pen: &mut Pen) -> String {
    let interval = match pen.pick(3) {
        0 => format!("--interval={time}s"),
        1 => format!("--interval={time}000ms"),
        _ => format!("--interval=0m{time}s"),
    };
    let flags = pen.shuffled(vec![interval, format!("--retries={tries}")]).join(" ");
    format!("{} {flags} CMD {script}", pen.cased("HEALTHCHECK"))
}

fn run(run: &Run, pen: &mut Pen) -> String {
    let mount = |fields: &Vec<String>| {
        let fields = pen.shuffled(fields.clone()).join(",");
        format!("--mount={}", pen.quoted(&fields))
    };
    // The order of mounts counts where one lies in another.
    let mounts: Vec<String> = run.mounts.iter().map(mount).collect();
    let mut flags = vec![mounts];
    if run.offline {
        flags.push(vec!["--network=none".to_owned()]);
    }
    let flags = pen.shuffled(flags).concat();
    let words = ["/bin/sh", "-c", &run.script].map(str::to_owned);
    let command = if pen.pick(4) == 1 { pen.json(&words) } else { run.script.clone() };
    let words = flags.into_iter().chain([command]).collect::<Vec<_>>();
    format!("{} {}", pen.cased("RUN"), words.join(" "))
}

/// A file of lines, none of which has anything to expand.
fn text(name: &str, lines: &[String], pen: &mut Pen) -> String {
    let (mark, indent) = if pen.pick(2) == 1 { ("<<-", "\t") } else { ("<<", "") };
    let word = pen.quoted("END");
    let keyword = pen.cased("COPY");
    let mut out = pen.folded(&format!("{keyword} {mark}{word} /{name}"));
    for line in lines {
        out.extend([indent, line, "\n"]);
    }
    out + indent + "END\n"
}
