//! Comma-separated values.

/// The fields of one line: quotes hold commas together, and a quote within them is written twice.
pub(crate) fn fields(line: &str) -> Result<Vec<String>, String> {
    let mut records = records(line)?;
    match records.len() {
        0 => Ok(Vec::new()),
        1 => Ok(records.remove(0)),
        _ => Err("is more than one line".to_owned()),
    }
}

/// All lines; empty ones are left out.
pub(crate) fn records(text: &str) -> Result<Vec<Vec<String>>, String> {
    let mut records = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("\r\n").or_else(|| rest.strip_prefix('\n')) {
            rest = after;
            continue;
        }
        let (record, after) = record(rest)?;
        records.push(record);
        rest = after;
    }
    Ok(records)
}

fn record(mut rest: &str) -> Result<(Vec<String>, &str), String> {
    let mut fields = Vec::new();
    loop {
        let (field, after) = if let Some(quoted) = rest.strip_prefix('"') {
            quoted_field(quoted)?
        } else {
            let end = rest.find([',', '\n']).unwrap_or(rest.len());
            let field = &rest[..end];
            if field.contains('"') {
                return Err("has a quote within a field that does not begin with one".to_owned());
            }
            (field.trim_end_matches('\r').to_owned(), &rest[end..])
        };
        fields.push(field);
        let Some(more) = after.strip_prefix(',') else {
            let after = after.strip_prefix('\r').unwrap_or(after);
            return Ok((fields, after.strip_prefix('\n').unwrap_or(after)));
        };
        rest = more;
    }
}

fn quoted_field(mut rest: &str) -> Result<(String, &str), String> {
    let mut field = String::new();
    loop {
        let end = rest.find('"').ok_or("has a quote that is not closed")?;
        field.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        if let Some(after) = rest.strip_prefix('"') {
            field.push('"');
            rest = after;
        } else if rest.is_empty() || rest.starts_with([',', '\n', '\r']) {
            return Ok((field, rest));
        } else {
            return Err("goes on after a quote that closes a field".to_owned());
        }
    }
}

/// `key=value` fields as one line of them.
pub(crate) fn joined<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let field = |(key, value): (&str, &str)| {
        let field = format!("{key}={value}");
        if field.contains([',', '"', '\n']) {
            format!("\"{}\"", field.replace('"', "\"\""))
        } else {
            field
        }
    };
    pairs.into_iter().map(field).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_hold_commas_together() {
        assert_eq!(fields("type=image,\"name=a,b\",x").unwrap(), ["type=image", "name=a,b", "x"]);
        assert_eq!(fields("\"a\"\"b\"").unwrap(), ["a\"b"]);
        assert_eq!(fields("").unwrap(), Vec::<String>::new());
        assert_eq!(fields("a,").unwrap(), ["a", ""]);
        assert!(fields("a\"b").is_err());
        assert!(fields("\"a").is_err());
    }

    #[test]
    fn what_is_joined_is_read_again() {
        let line = joined([("type", "image"), ("name", "a,b\"c")]);
        assert_eq!(fields(&line).unwrap(), ["type=image", "name=a,b\"c"]);
    }

    #[test]
    fn records_may_end_in_any_way() {
        let rows = records("a,b\r\n1,\"x\ny\"\n\n2,3").unwrap();
        assert_eq!(rows, [["a", "b"], ["1", "x\ny"], ["2", "3"]]);
    }
}
