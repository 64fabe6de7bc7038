//! Names that people type: which of a list is meant, and which may have been. Knows nothing of what the names stand
//! for.

use unicode_normalization::UnicodeNormalization;

/// How alike two names must be, 0 to 1 (Jaro-Winkler), for one to be suggested for the other.
const ALIKE: f64 = 0.75;
/// How alike they count at least where one letter is too much, missing, another or in its neighbour's place.
const ONE_SLIP: f64 = 0.9;

/// What a typed name comes to among names that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meant {
    /// The name at this place.
    One(usize),
    /// So many names hold what was typed.
    Several(usize),
    /// No name does.
    None,
}

/// The name that is meant by a whole name or a part of one; capitals don't matter, but decide between names that are
/// otherwise the same.
pub fn meant<S: AsRef<str>>(names: &[S], typed: &str) -> Meant {
    if let Some(at) = names.iter().position(|n| n.as_ref() == typed) {
        return Meant::One(at);
    }
    // An accent may be stored as part of its letter or behind it.
    let plain = |text: &str| text.nfc().collect::<String>().to_lowercase();
    let small = plain(typed);
    let places = |fits: &dyn Fn(&str) -> bool| -> Vec<usize> {
        names.iter().enumerate().filter(|(_, n)| fits(&plain(n.as_ref()))).map(|(at, _)| at).collect()
    };
    let whole = places(&|n| n == small);
    let parts = if whole.is_empty() { places(&|n| n.contains(&small)) } else { whole };
    match parts[..] {
        [] => Meant::None,
        [one] => Meant::One(one),
        _ => Meant::Several(parts.len()),
    }
}

/// The name that is most like what was typed, if any is like it.
pub fn nearest<S: AsRef<str>>(names: &[S], typed: &str) -> Option<String> {
    let small = typed.to_lowercase();
    let alike = |word: &str| {
        let slip = small.chars().count() > 2 && strsim::damerau_levenshtein(word, &small) <= 1;
        strsim::jaro_winkler(word, &small).max(if slip { ONE_SLIP } else { 0.0 })
    };
    // A long name may be known by one of its words.
    let likeness = |name: &str| {
        let name = name.to_lowercase();
        name.split_whitespace().map(alike).fold(alike(&name), f64::max)
    };
    let all = names.iter().map(|n| (likeness(n.as_ref()), n.as_ref()));
    all.filter(|(l, _)| *l > ALIKE).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, n)| n.to_owned())
}

/// "; did you mean `Ada`?" where a name is like what was typed, else nothing: to be set behind a sentence.
pub fn did_you_mean<S: AsRef<str>>(names: &[S], typed: &str) -> String {
    nearest(names, typed).map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEVICES: [&str; 4] = ["Scarlett 2i2 USB", "Scarlett Solo", "Built-in Audio", "built-in audio"];

    #[test]
    fn a_part_is_enough_where_it_is_only_one() {
        assert_eq!(meant(&DEVICES, "2i2"), Meant::One(0));
        assert_eq!(meant(&DEVICES, "scarlett SOLO"), Meant::One(1));
        assert_eq!(meant(&DEVICES, "Scarlett"), Meant::Several(2));
        assert_eq!(meant(&DEVICES, "built-in audio"), Meant::One(3), "capitals decide");
        assert_eq!(meant(&DEVICES, "Rode"), Meant::None);
        assert_eq!(meant::<&str>(&[], "x"), Meant::None);
        assert_eq!(meant(&["Zo\u{eb}", "Ada"], "Zoe\u{308}"), Meant::One(0));
    }

    #[test]
    fn a_slip_is_understood_and_nonsense_is_not() {
        assert_eq!(nearest(&DEVICES, "scarlet solo").as_deref(), Some("Scarlett Solo"));
        assert!(nearest(&DEVICES, "sclarett").is_some_and(|n| n.starts_with("Scarlett")));
        assert_eq!(nearest(&["Ada", "Grace"], "Adda").as_deref(), Some("Ada"));
        assert_eq!(nearest(&["Ada", "Grace"], "xqz"), None);
        assert_eq!(did_you_mean(&["Ada"], "Aad"), "; did you mean `Ada`?");
        assert_eq!(did_you_mean(&["Ada"], "zzz"), "");
    }
}
