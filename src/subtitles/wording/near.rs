//! How near two spellings are. Knows no words' meaning.

/// Letters to insert, drop or change until one is the other (Levenshtein), or `None` if more than `most`.
pub(super) fn distance(a: &str, b: &str, most: usize) -> Option<usize> {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().abs_diff(b.len()) > most {
        return None;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut corner = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let best = (corner + usize::from(x != y)).min(row[j] + 1).min(row[j + 1] + 1);
            corner = std::mem::replace(&mut row[j + 1], best);
        }
    }
    Some(row[b.len()]).filter(|d| *d <= most)
}

/// How many letters a misheard spelling may be off: none for short words, whose neighbours are other words.
pub(super) fn tolerance(letters: usize) -> usize {
    match letters {
        0..=5 => 0,
        6..=8 => 1,
        _ => 2,
    }
}
