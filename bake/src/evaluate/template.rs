//! Templates to text.

use std::collections::BTreeMap;

use super::{Scope, mismatch, traversal};
use crate::error::{Fault, Problem};
use crate::syntax::expression::Part;
use crate::value::Value;

/// The longest text that a template may come to, in bytes: nested loops multiply.
const MAX_TEXT: usize = 16 << 20;

impl Scope<'_> {
    pub(super) fn template(&self, parts: &[Part]) -> Result<String, Fault> {
        let mut out = String::new();
        self.parts(parts, &mut out)?;
        Ok(out)
    }

    fn parts(&self, parts: &[Part], out: &mut String) -> Result<(), Fault> {
        for part in parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Value(expression) => {
                    let value = self.evaluate(expression)?;
                    let text = value.to_text().ok_or_else(|| match value {
                        Value::Null => {
                            let text = "null cannot be a part of text; coalesce() gives it a value";
                            Problem::Invalid(text.to_owned()).at(expression.span)
                        }
                        value => mismatch("a string", &value).at(expression.span),
                    })?;
                    out.push_str(&text);
                }
                Part::If { condition, then, otherwise } => {
                    let chosen = if self.truth(condition)? { then } else { otherwise };
                    self.parts(chosen, out)?;
                }
                Part::For { key_name, value_name, source, each } => {
                    let values = self.evaluate(source)?;
                    let items = traversal::pairs(&values)
                        .ok_or_else(|| mismatch("a list or an object", &values).at(source.span))?;
                    for (key, value) in items {
                        let mut values = BTreeMap::from([(value_name.clone(), value)]);
                        values.extend(key_name.clone().map(|name| (name, key)));
                        self.child(values).parts(each, out)?;
                        if out.len() > MAX_TEXT {
                            let text = format!("the text has more than {MAX_TEXT} bytes");
                            return Err(Problem::Invalid(text).at(source.span));
                        }
                    }
                }
            }
        }
        Ok(())
    }
}
