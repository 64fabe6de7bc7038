//! Which output of a graph is what a state becomes, told by names: exporters give a state and what it becomes one name
//! with a word for the side, but list both in whatever order. Knows no tensor.

/// Words for the sides of a run.
const SIDES: [&str; 12] =
    ["past", "prev", "old", "in", "input", "present", "next", "new", "out", "output", "updated", "r"];

/// For each state the place of what it becomes; none where the names don't pair all of them up, each with another.
pub fn paired(states: &[&str], becomes: &[&str]) -> Option<Vec<usize>> {
    let bare = |name: &str| {
        let words = name.split(|c: char| !c.is_ascii_alphanumeric()).map(str::to_ascii_lowercase);
        words.filter(|word| !word.is_empty() && !SIDES.contains(&word.as_str())).collect::<Vec<_>>()
    };
    let becomes: Vec<_> = becomes.iter().map(|name| bare(name)).collect();
    let mut places = Vec::new();
    for state in states {
        let state = bare(state);
        let mut fitting = becomes.iter().enumerate().filter(|(_, other)| !state.is_empty() && **other == state);
        let (Some((place, _)), None) = (fitting.next(), fitting.next()) else { return None };
        places.push(place);
    }
    let mut once = places.clone();
    once.sort_unstable();
    once.dedup();
    (once.len() == places.len() && places.len() == becomes.len()).then_some(places)
}

#[cfg(test)]
mod tests {
    use super::paired;

    #[test]
    fn names_pair_states_up_whatever_their_order() {
        for (states, becomes, places) in [
            (&["att_cache", "cnn_cache"][..], &["new_cnn_cache", "new_att_cache"][..], Some(vec![1, 0])),
            (&["att_cache", "cnn_cache"], &["r_att_cache", "r_cnn_cache"], Some(vec![0, 1])),
            (
                &["past_k_0", "past_v_0", "past_k_1"],
                &["present_k_0", "present_k_1", "present_v_0"],
                Some(vec![0, 2, 1]),
            ),
            (&["k0", "k1"], &["k1_out", "k0_out"], Some(vec![1, 0])),
            (&["kv.In.0"], &["kv.Out.0"], Some(vec![0])),
            (&["past_k_0", "past_v_0"], &["new_0", "new_1"], None),
            (&["cache", "cache_in"], &["cache_new", "cache_out"], None),
            (&["a"], &["a", "b"], None),
            (&["in"], &["out"], None),
        ] {
            assert_eq!(paired(states, becomes), places, "{states:?} {becomes:?}");
        }
    }
}
