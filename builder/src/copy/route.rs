//! A source path as steps from a root: names, patterns for one name, and `**`.

use wythe_dockerfile::pattern::PatternSet;
use wythe_dockerfile::pattern::component::Glob;
use wythe_store::tree::entry::Name;

use super::canvas::components;
use super::error::{CopyCause, CopyError};
use super::glob;

/// A way down from a root.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Route {
    steps: Vec<Step>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Step {
    /// Exactly this name.
    Name(Name),
    /// Any one name that matches.
    Pattern(Glob),
    /// Any number of names, also none.
    AnyDepth,
}

/// How far some routes have come at one directory.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Front(Vec<(usize, usize)>);

/// What stepping to a name means for it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Reach {
    /// No route goes there.
    Nothing,
    /// Some routes go through it.
    Toward(Front),
    /// A route ends there: all of it is meant.
    Whole,
}

impl Route {
    /// The route of an ordinary source: cleaned and kept beneath the root. From the first component
    /// with a wildcard on, components are patterns; `**` means no more than `*`.
    ///
    /// `None` if a pattern has no end.
    pub fn flat(source: &str) -> Option<Self> {
        let mut steps: Vec<Step> = Vec::new();
        for part in cleaned(source) {
            let plain =
                !glob::has_wildcard(part) && !matches!(steps.last(), Some(Step::Pattern(_)));
            steps.push(if plain {
                Step::name(part)
            } else {
                Step::Pattern(Glob::parse(part).ok()?)
            });
        }
        Some(Self { steps })
    }

    /// The route of a `--parents` source below its pivot, or of an ignore rule, where `**` reaches
    /// any depth. `None` if a pattern has no end, or a range ends before it begins.
    pub fn nested(pattern: &str) -> Option<Self> {
        as_path_pattern(pattern).ok()?;
        let mut steps = Vec::new();
        let parts = cleaned(pattern);
        let end = suffix(&parts);
        if let Some(end) = end {
            steps.extend([Step::AnyDepth, Step::Pattern(Glob::in_path(&format!("*{end}")).ok()?)]);
        }
        for part in &parts[usize::from(end.is_some())..] {
            nested_steps(part, &mut steps)?;
        }
        // At the end, `a**` is already all that `a*` leads to.
        if pattern.trim_end_matches('/').ends_with("**") && steps.len() > 1 {
            let begins = matches!(&steps[steps.len() - 2..], [Step::Pattern(_), Step::AnyDepth]);
            if begins && !pattern.trim_end_matches('/').ends_with("/**") {
                steps.pop();
            }
        }
        Some(Self { steps })
    }

    /// Whether it leads nowhere but to the root.
    pub(crate) fn is_everything(&self) -> bool {
        self.steps.is_empty()
    }

    /// This route after another one.
    #[must_use]
    pub fn after(self, mut start: Self) -> Self {
        start.steps.extend(self.steps);
        start
    }

    /// The names it leads along, where no wildcard is in it.
    pub fn names(&self) -> Option<Vec<Name>> {
        let name = |step: &Step| match step {
            Step::Name(name) => Some(name.clone()),
            Step::AnyDepth | Step::Pattern(_) => None,
        };
        self.steps.iter().map(name).collect()
    }

    pub(crate) fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The route to the target of a link in `directory`.
    pub(crate) fn to_target(directory: &[u8], target: &[u8]) -> Self {
        let mut names: Vec<&[u8]> = Vec::new();
        let base = if target.starts_with(b"/") { &b""[..] } else { directory };
        for part in components(base).chain(components(target)) {
            if part == b".." {
                names.pop();
            } else {
                names.push(part);
            }
        }
        Self { steps: names.into_iter().map(|name| Step::Name(name.into())).collect() }
    }

    fn from(&self, at: usize) -> Self {
        Self { steps: self.steps[at..].to_vec() }
    }
}

impl Step {
    fn name(text: &str) -> Self {
        Self::Name(text.as_bytes().into())
    }

    /// Whether a name may be what this step stands for.
    pub(crate) fn matches(&self, name: &[u8]) -> bool {
        match self {
            Self::Name(wanted) => **wanted == *name,
            Self::Pattern(pattern) => pattern.matches(&String::from_utf8_lossy(name)),
            Self::AnyDepth => true,
        }
    }
}

/// Where the routes begin.
pub fn start(routes: &[Route]) -> Reach {
    let mut front = Front::default();
    for index in 0..routes.len() {
        if !front.enter(routes, index, 0) {
            return Reach::Whole;
        }
    }
    front.reach()
}

impl Front {
    /// The routes after one more name.
    pub fn step(&self, routes: &[Route], name: &[u8]) -> Reach {
        let mut next = Self::default();
        for &(index, at) in &self.0 {
            let route = &routes[index];
            if !route.steps[at].matches(name) {
                continue;
            }
            let stays = matches!(route.steps[at], Step::AnyDepth);
            // At the end of a route `**` is everything below, and not the directory itself.
            if stays && at + 1 == route.steps.len() {
                return Reach::Whole;
            }
            if !next.enter(routes, index, if stays { at } else { at + 1 }) {
                return Reach::Whole;
            }
        }
        next.reach()
    }

    /// The routes that go on behind the link `name` in `directory`.
    pub(crate) fn through_link(
        &self,
        routes: &[Route],
        name: &[u8],
        directory: &[u8],
        target: &[u8],
    ) -> Vec<Route> {
        let taken = |&&(index, at): &&(usize, usize)| routes[index].steps[at].matches(name);
        let go_on = |&(index, at): &(usize, usize)| {
            let rest = routes[index].from(at + 1);
            rest.after(Route::to_target(directory, target))
        };
        self.0.iter().filter(taken).map(go_on).collect()
    }

    /// Adds a position and those `**` reaches from it; false when the route ends here.
    fn enter(&mut self, routes: &[Route], index: usize, mut at: usize) -> bool {
        let steps = &routes[index].steps;
        loop {
            if at == steps.len() {
                return false;
            }
            if !self.0.contains(&(index, at)) {
                self.0.push((index, at));
            }
            if steps[at] != Step::AnyDepth || at + 1 == steps.len() {
                return true;
            }
            at += 1;
        }
    }

    fn reach(self) -> Reach {
        if self.0.is_empty() { Reach::Nothing } else { Reach::Toward(self) }
    }
}

/// Whether one of the routes leads to a path, or to a directory it is in.
pub(crate) fn leads_to(routes: &[Route], path: &[u8]) -> bool {
    let mut reach = start(routes);
    for name in components(path) {
        match reach {
            Reach::Toward(front) => reach = front.step(routes, name),
            Reach::Nothing | Reach::Whole => break,
        }
    }
    reach == Reach::Whole
}

/// Checks a source as a pattern for paths, which refuses what one for names takes: ranges that end
/// before they begin, for one.
///
/// # Errors
/// When it is none.
pub(crate) fn as_path_pattern(word: &str) -> Result<(), CopyError> {
    let fail = |_| CopyError { subject: word.to_owned(), cause: CopyCause::Pattern };
    PatternSet::from_patterns(&[word.to_owned()]).map(drop).map_err(fail)
}

/// What the first name ends in, where the pattern is `**` and nothing but letters: every path that ends
/// in them is meant then, as of `**.txt`.
fn suffix<'a>(parts: &[&'a str]) -> Option<&'a str> {
    let (first, rest) = parts.split_first()?;
    let end = first.strip_prefix("**").filter(|end| !end.is_empty())?;
    let is_plain = |part: &str| glob::is_plain(part) && !part.contains(']');
    (is_plain(end) && rest.iter().all(|part| is_plain(part))).then_some(end)
}

/// The steps of one component. `**` may stand inside it: `a**b` goes from a name that begins with
/// `a` down to one that is `b`.
fn nested_steps(part: &str, steps: &mut Vec<Step>) -> Option<()> {
    let Some((before, after)) = part.split_once("**") else {
        let plain = glob::is_plain(part);
        steps.push(if plain { Step::name(part) } else { Step::Pattern(Glob::in_path(part).ok()?) });
        return Some(());
    };
    if !before.is_empty() {
        steps.push(Step::Pattern(Glob::in_path(&format!("{before}*")).ok()?));
    }
    steps.push(Step::AnyDepth);
    if after.is_empty() { Some(()) } else { nested_steps(after, steps) }
}

/// The components of a path, `.` and `..` worked out, never above the root.
fn cleaned(path: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_leads_to_what_it_ends_at_and_to_all_below() {
        let routes = [Route::flat("a/*.x").unwrap(), Route::flat("d").unwrap()];
        for (path, leads) in [("a/1.x", true), ("a/1.x/y", true), ("d/e/f", true), ("a", false)] {
            assert_eq!(leads_to(&routes, path.as_bytes()), leads, "{path}");
        }
        assert!(leads_to(&[Route::flat(".").unwrap()], b"s"));
    }

    #[track_caller]
    fn check(route: Option<Route>, path: &str, expected: &str) {
        let routes = [route.unwrap()];
        let mut reach = start(&routes);
        for name in path.split('/').filter(|name| !name.is_empty()) {
            reach = match reach {
                Reach::Toward(front) => front.step(&routes, name.as_bytes()),
                done @ (Reach::Nothing | Reach::Whole) => done,
            };
        }
        let found = match reach {
            Reach::Nothing => "nothing",
            Reach::Toward(_) => "toward",
            Reach::Whole => "whole",
        };
        assert_eq!(found, expected, "{path} by {routes:?}");
    }

    #[test]
    fn a_source_is_cleaned_and_stays_beneath_the_root() {
        check(Route::flat("d/./s/../a"), "d/a", "whole");
        check(Route::flat("../../f"), "f", "whole");
        check(Route::flat("/f/"), "f", "whole");
        check(Route::flat(""), "", "whole");
    }

    #[test]
    fn any_depth_is_also_no_depth() {
        check(Route::nested("**/*.go"), "y.go", "whole");
        check(Route::nested("**/*.go"), "a/b/x.go", "whole");
        check(Route::nested("**/*.go"), "a/b/x.rs", "toward");
        check(Route::nested("a/**/c"), "b", "nothing");
        check(Route::nested("**foo"), "src/foo", "whole");
        check(Route::nested("**foo"), "foo", "whole");
        check(Route::nested("**.txt"), "src/deep/c.txt", "whole");
        check(Route::nested("**.txt"), "c.txt/x", "whole");
        check(Route::nested("**oo/x"), "src/foo/x", "whole");
        check(Route::nested("**o?"), "src/foo", "toward");
        check(Route::nested("src/**.txt"), "src/c.txt", "toward");
        check(Route::nested("s**"), "src", "whole");
        check(Route::nested("s*/**"), "src", "toward");
        check(Route::nested("s**/c.txt"), "src/deep/c.txt", "whole");
        check(Route::flat("**/c"), "a/b/c", "nothing");
    }

    #[test]
    fn a_link_sends_the_rest_of_the_route_elsewhere() {
        let route = [Route::flat("a/ld/x").unwrap()];
        let Reach::Toward(front) = start(&route) else { panic!("the route has three steps") };
        let Reach::Toward(front) = front.step(&route, b"a") else { panic!("and a is the first") };
        let behind = |target| front.through_link(&route, b"ld", b"a", target).pop();
        check(behind(b"../d"), "d/x", "whole");
        check(behind(b"/e/f"), "e/f/x", "whole");
    }
}
