//! "Did you mean …?": the nearest of a list of known words.

/// Names of this length and more may hold two slips; in shorter ones two make another word.
const LONG: usize = 6;

/// The candidate nearest to `word`, case ignored, if it is near enough to be a slip of the pen.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted: Vec<char> = word.to_lowercase().chars().collect();
    candidates
        .into_iter()
        .map(|candidate| (distance(&wanted, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| {
            let slips = if candidate.len() < LONG { 1 } else { 2 };
            *distance <= slips && *distance < candidate.len()
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many letters must be put in, left out, changed or swapped with their neighbour.
fn distance(a: &[char], b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, right) in b.iter().enumerate() {
            let change = row[j] + usize::from(left != right);
            let mut best = change.min(row[j + 1] + 1).min(next[j] + 1);
            if i > 0 && j > 0 && *left == b[j - 1] && a[i - 1] == *right {
                best = best.min(before[j - 1] + 1);
            }
            next.push(best);
        }
        before = std::mem::replace(&mut row, next);
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
        assert_eq!(nearest("body", ["COPY"]), None);
        assert_eq!(nearest("EOF", ["ENV"]), None);
    }
}
