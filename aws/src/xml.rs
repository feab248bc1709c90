//! The few words that answers in XML are read for.

/// The text of the first element of this name that has nothing but text in it; `None` where there is none.
///
/// What is read are answers of STS and S3, which have neither comments nor sections of raw text.
pub(crate) fn text_of(document: &str, name: &str) -> Option<String> {
    let (start, end) = (format!("<{name}>"), format!("</{name}>"));
    let mut rest = document;
    while let Some((_, after)) = rest.split_once(&start) {
        if let Some((text, _)) = after.split_once(&end)
            && !text.contains('<')
        {
            return Some(unescaped(text));
        }
        rest = after;
    }
    None
}

fn unescaped(text: &str) -> String {
    const ENTITIES: [(&str, &str); 5] =
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&#34;", "\"")];
    let text = ENTITIES.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
    // Last: what it makes is no entity.
    text.replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_an_element_is_found_and_unescaped() {
        let document = "<?xml version=\"1.0\"?><Error><Code>A</Code><Message>x &lt; &amp;lt; y</Message></Error>";
        assert_eq!(text_of(document, "Code").as_deref(), Some("A"));
        assert_eq!(text_of(document, "Message").as_deref(), Some("x < &lt; y"));
        assert_eq!(text_of(document, "Error"), None);
        assert_eq!(text_of(document, "Region"), None);
        assert_eq!(text_of("<A><A>x</A></A>", "A").as_deref(), Some("x"));
        assert_eq!(text_of("<A>x", "A"), None);
    }
}
