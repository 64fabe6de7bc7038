//! For integration tests: how far two texts differ.

/// Words in lower case, without punctuation.
pub fn plain(text: &str) -> Vec<String> {
    let text = text.to_lowercase();
    text.split(|c: char| !c.is_alphanumeric() && c != '\'').filter(|w| !w.is_empty()).map(str::to_owned).collect()
}

/// Word errors (Levenshtein) a word of the reference.
pub fn word_error_rate(reference: &[String], found: &[String]) -> f64 {
    let mut row: Vec<usize> = (0..=found.len()).collect();
    for (i, r) in reference.iter().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, f) in found.iter().enumerate() {
            let best = (corner + usize::from(r != f)).min(row[j] + 1).min(row[j + 1] + 1);
            corner = std::mem::replace(&mut row[j + 1], best);
        }
    }
    row[found.len()] as f64 / reference.len() as f64
}
