//! "Did you mean …?": the nearest of a list of known words.

/// Words further apart than this are not worth suggesting.
const MAX_DISTANCE: usize = 2;

/// The candidate nearest to `word`, case ignored, if it is near enough to be a slip of the pen.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = word.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (distance(&wanted, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= MAX_DISTANCE && *distance < candidate.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance in characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in b.iter().enumerate() {
            let change = diagonal + usize::from(left != *right);
            diagonal = row[j + 1];
            row[j + 1] = change.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_corrected_and_another_word_is_not() {
        assert_eq!(nearest("RUNN", ["RUN", "FROM"]), Some("RUN"));
        assert_eq!(nearest("bulid", ["base", "build"]), Some("build"));
        assert_eq!(nearest("form", ["from", "chown"]), Some("from"));
        assert_eq!(nearest("python", ["base", "build"]), None);
        assert_eq!(nearest("x", ["y"]), None);
    }
}
