//! The names that somebody may have meant.
//!
//! Does not: know what the names stand for.

/// Returns up to three of `candidates` that are close to `word`, nearest first.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let word = word.to_lowercase();
    let allowed = (word.chars().count() / 3).max(1) + 1;
    let mut ranked: Vec<(usize, &str)> = candidates
        .into_iter()
        .filter_map(|candidate| {
            let lower = candidate.to_lowercase();
            let contained = word.len() >= 2 && (lower.contains(&word) || (lower.len() >= 3 && word.contains(&lower)));
            let distance = distance(&word, &lower);
            match (distance <= allowed, contained) {
                (true, _) => Some((distance, candidate)),
                (false, true) => Some((allowed + 1, candidate)),
                (false, false) => None,
            }
        })
        .collect();
    ranked.sort_unstable();
    ranked.dedup();
    ranked.truncate(3);
    ranked.into_iter().map(|(_, candidate)| candidate).collect()
}

/// Counts the insertions, deletions, replacements and swaps of neighbours between two words.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before_last[j - 2] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_what_is_close_and_nothing_else() {
        let names = ["db-1", "db-2", "web-frontend", "cache"];
        assert_eq!(nearest("db1", names), ["db-1", "db-2"]);
        assert_eq!(nearest("frontend", names), ["web-frontend"]);
        assert_eq!(nearest("cahce", names), ["cache"]);
        assert!(nearest("zzzzzz", names).is_empty());
    }

    #[test]
    fn counts_a_swap_of_neighbours_once() {
        assert_eq!(distance("cahce", "cache"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("vm", "vm"), 0);
    }
}
