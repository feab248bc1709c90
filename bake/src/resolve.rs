//! HCL and JSON files to targets and groups: names are looked up when they are needed, so that their
//! order does not matter.

mod functions;
mod instances;
mod variables;

use std::cell::RefCell;
use std::collections::BTreeMap;

use wythe_dockerfile::suggest;

use self::functions::Functions;
use self::instances::Instance;
use self::variables::Variables;
use crate::definition::Variable;
use crate::error::{Fault, Problem};
use crate::evaluate::{Names, Scope, UserFunction};
use crate::source::Span;
use crate::surroundings::Surroundings;
use crate::syntax::body::{Attribute, Block, Body};
use crate::target::decode::{GROUP, TARGET};
use crate::target::{Group, Target};
use crate::value::Value;

/// What files say, once everything in them has a value.
#[derive(Debug, Default)]
pub(crate) struct Resolved {
    /// In the order of the files; several of one name are not merged yet.
    pub(crate) targets: Vec<Target>,
    pub(crate) groups: Vec<Group>,
    /// Groups of what a matrix made of one target.
    pub(crate) matrices: Vec<Group>,
    pub(crate) variables: Vec<Variable>,
    /// What was left out, and where.
    pub(crate) ignored: Vec<Fault>,
}

/// Resolves the bodies of files.
pub(crate) fn resolve(bodies: &[Body], surroundings: &dyn Surroundings) -> Result<Resolved, Fault> {
    let mut resolver = Resolver::new(bodies, surroundings)?;
    let variables = resolver.all_variables()?;
    resolver.validate()?;
    resolver.instances = instances::all(bodies, &resolver)?;
    let mut resolved = Resolved { variables, ..Resolved::default() };
    resolved.ignored = ignored(bodies);
    for instance in &resolver.instances {
        match instance.kind() {
            "group" => resolved.groups.push(resolver.group(instance)?),
            _ => resolved.targets.push(resolver.target(instance)?),
        }
    }
    resolved.matrices = instances::matrices(&resolver.instances);
    resolver.variables.evaluate_attributes(&resolver)?;
    Ok(resolved)
}

/// What a thing that is being worked out is found as.
#[derive(Clone, Debug)]
enum State {
    /// Being worked out: who asks for it now is a part of it.
    Begun,
    Known(Value),
}

struct Resolver<'a> {
    surroundings: &'a dyn Surroundings,
    variables: Variables<'a>,
    functions: Functions,
    instances: Vec<Instance<'a>>,
    /// By the number of an instance, and the attribute.
    attributes: RefCell<BTreeMap<(usize, String), State>>,
}

impl<'a> Resolver<'a> {
    fn new(bodies: &'a [Body], surroundings: &'a dyn Surroundings) -> Result<Self, Fault> {
        Ok(Self {
            surroundings,
            variables: Variables::of(bodies, surroundings)?,
            functions: Functions::of(bodies)?,
            instances: Vec::new(),
            attributes: RefCell::default(),
        })
    }

    fn all_variables(&self) -> Result<Vec<Variable>, Fault> {
        self.variables.all(self)
    }

    fn validate(&self) -> Result<(), Fault> {
        self.variables.validate(self)
    }

    fn target(&self, instance: &Instance<'_>) -> Result<Target, Fault> {
        let mut target = Target { name: instance.name.clone(), ..Target::default() };
        for attribute in instance.attributes() {
            let value = instance.scope(self).evaluate(&attribute.value)?;
            target
                .set(&attribute.name, &value)
                .map_err(|problem| problem.at(attribute.value.span))?;
        }
        Ok(target)
    }

    fn group(&self, instance: &Instance<'_>) -> Result<Group, Fault> {
        let mut group = Group { name: instance.name.clone(), ..Group::default() };
        for attribute in instance.attributes() {
            let value = instance.scope(self).evaluate(&attribute.value)?;
            group
                .set(&attribute.name, &value)
                .map_err(|problem| problem.at(attribute.value.span))?;
        }
        Ok(group)
    }

    /// One attribute of one block, in the type that targets and groups give it.
    fn attribute(&self, number: usize, name: &str, span: Span) -> Result<Value, Fault> {
        let instance = &self.instances[number];
        let key = (number, name.to_owned());
        match self.attributes.borrow().get(&key) {
            Some(State::Known(value)) => return Ok(value.clone()),
            Some(State::Begun) => {
                let what = format!("{}.{}.{name}", instance.kind(), instance.name);
                return Err(Problem::Cycle { what }.at(span));
            }
            None => {}
        }
        self.attributes.borrow_mut().insert(key.clone(), State::Begun);
        let value = self.attribute_anew(instance, name, span);
        match &value {
            Ok(value) => self.attributes.borrow_mut().insert(key, State::Known(value.clone())),
            Err(_) => self.attributes.borrow_mut().remove(&key),
        };
        value
    }

    fn attribute_anew(
        &self,
        instance: &Instance<'_>,
        name: &str,
        span: Span,
    ) -> Result<Value, Fault> {
        let written = instance.block.body.attribute(name);
        let value = written.map(|one| instance.scope(self).evaluate(&one.value)).transpose()?;
        let at = written.map_or(span, |one| one.value.span);
        let shown = if instance.kind() == "group" {
            let mut group = Group { name: instance.name.clone(), ..Group::default() };
            if let Some(value) = &value {
                group.set(name, value).map_err(|problem| problem.at(at))?;
            }
            group.value(name)
        } else {
            let mut target = Target { name: instance.name.clone(), ..Target::default() };
            if let Some(value) = &value {
                target.set(name, value).map_err(|problem| problem.at(at))?;
            }
            target.value(name)
        };
        shown.ok_or_else(|| {
            let known = if instance.kind() == "group" { &GROUP[..] } else { &TARGET[..] };
            let similar = suggest::nearest(name, known.iter().copied()).map(ToOwned::to_owned);
            Problem::UnknownAttribute { name: name.to_owned(), similar }.at(span)
        })
    }
}

impl Names for Resolver<'_> {
    fn variable(&self, name: &str) -> Result<Option<Value>, Fault> {
        self.variables.value(name, self)
    }

    fn is_block(&self, name: &str) -> bool {
        name == "target" || name == "group"
    }

    fn block(
        &self,
        kind: &str,
        name: &str,
        attribute: Option<&str>,
        span: Span,
    ) -> Result<Value, Fault> {
        // Where several blocks have one name, the last one is meant.
        let found = self.instances.iter().rposition(|one| one.kind() == kind && one.name == name);
        let Some(number) = found else {
            let names = self.instances.iter().filter(|one| one.kind() == kind);
            let similar = suggest::nearest(name, names.map(|one| one.name.as_str()));
            let similar = similar.map(ToOwned::to_owned);
            return Err(Problem::UnknownTarget { name: name.to_owned(), similar }.at(span));
        };
        if let Some(attribute) = attribute {
            return self.attribute(number, attribute, span);
        }
        let names: Vec<&str> = if kind == "group" {
            [&GROUP[..], &["name"]].concat()
        } else {
            TARGET.iter().copied().filter(|name| *name != "matrix").collect()
        };
        let mut items = BTreeMap::new();
        for name in names {
            items.insert(name.to_owned(), self.attribute(number, name, span)?);
        }
        Ok(Value::object(items))
    }

    fn function(&self, name: &str) -> Result<Option<&UserFunction>, Fault> {
        Ok(self.functions.get(name))
    }

    fn known(&self) -> (Vec<String>, Vec<String>) {
        (self.variables.names(), self.functions.names())
    }

    fn surroundings(&self) -> &dyn Surroundings {
        self.surroundings
    }
}

/// What sees everything, and no values of a matrix.
fn everywhere(names: &dyn Names) -> Scope<'_> {
    Scope::new(names, BTreeMap::new())
}

/// Attributes that nothing reads: most are slips of the pen.
fn ignored(bodies: &[Body]) -> Vec<Fault> {
    let known = |block: &Block| -> &[&str] {
        match block.kind.as_str() {
            "group" => &GROUP,
            "target" => &TARGET,
            "variable" => &["default", "description", "type"],
            _ => &["params", "result", "variadic_params"],
        }
    };
    let mut faults = Vec::new();
    for block in bodies.iter().flat_map(|body| &body.blocks) {
        let known = known(block);
        let unknown = |one: &&Attribute| !known.contains(&one.name.as_str());
        for attribute in block.body.attributes.iter().filter(unknown) {
            let mut text =
                format!("{} is no attribute of a {}, and ignored", attribute.name, block.kind);
            if let Some(similar) = suggest::nearest(&attribute.name, known.iter().copied()) {
                text = format!("{text}; did you mean {similar}?");
            }
            faults.push(Problem::Invalid(text).at(attribute.span));
        }
    }
    faults
}
