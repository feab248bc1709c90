//! HTML that is put together so that no foreign text can be markup: what is not text is written in this program.

use std::fmt::Write as _;

use crate::render::sanitize::{self, Medium};

/// A piece of a page.
#[derive(Debug, Default)]
pub(super) struct Markup {
    out: String,
}

/// The attributes of an element; their values are text.
pub(super) type Attributes<'a> = &'a [(&'static str, &'a str)];

impl Markup {
    /// Markup as it is.
    pub(super) fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.out.push_str(markup);
        self
    }

    /// Text; what would act upon who reads it is made visible.
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        escape(&sanitize::text(text.as_bytes(), Medium::Log), &mut self.out);
        self
    }

    /// The beginning of an element.
    pub(super) fn open(&mut self, tag: &'static str, attributes: Attributes<'_>) -> &mut Self {
        self.out.push('<');
        self.out.push_str(tag);
        for (name, value) in attributes {
            let _ = write!(self.out, " {name}=\"");
            self.text(value);
            self.out.push('"');
        }
        self.out.push('>');
        self
    }

    /// The end of an element.
    pub(super) fn close(&mut self, tag: &'static str) -> &mut Self {
        let _ = write!(self.out, "</{tag}>");
        self
    }

    /// An element that holds text.
    pub(super) fn element(
        &mut self,
        tag: &'static str,
        attributes: Attributes<'_>,
        text: &str,
    ) -> &mut Self {
        self.open(tag, attributes).text(text).close(tag)
    }

    /// An element without attributes that holds text.
    pub(super) fn plain(&mut self, tag: &'static str, text: &str) -> &mut Self {
        self.element(tag, &[], text)
    }

    /// Lines of text, each as it stands.
    pub(super) fn lines<'t>(&mut self, lines: impl IntoIterator<Item = &'t str>) -> &mut Self {
        for line in lines {
            self.text(line).raw("\n");
        }
        self
    }

    /// A link to a step on the page.
    pub(super) fn link(&mut self, step: usize, text: &str) -> &mut Self {
        self.element("a", &[("href", &format!("#step-{step}"))], text)
    }

    /// The bytes.
    pub(super) fn finish(self) -> String {
        self.out
    }
}

fn escape(text: &str, out: &mut String) {
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            letter => out.push(letter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_text_wherever_it_stands() {
        let mut markup = Markup::default();
        let hostile = "</pre><script>alert('x')</script>\" onload=\"x\u{202e}\x1b[2J";
        markup.element("p", &[("title", hostile)], hostile);
        let page = markup.finish();
        assert_eq!(page.matches('<').count(), 2, "{page}");
        assert_eq!(page.matches('"').count(), 2, "{page}");
        assert!(!page.contains('\u{202e}') && !page.contains('\x1b'), "{page}");
    }
}
