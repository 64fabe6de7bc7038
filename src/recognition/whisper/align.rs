//! When each token was said and how far it looked, from the attention of the alignment heads. Plain functions; knows no
//! model.
//!
//! The way of Whisper's `timing.py`: weights over the sound that was heard, normalised over the tokens, a median over
//! time, the mean over heads, then dynamic time warping; a token starts where the path reaches its row.

/// Width of the median over time, in positions of 20 ms.
const MEDIAN: usize = 7;

/// What the alignment heads tell of each row.
pub(super) struct Aligned {
    /// The position at which each row starts.
    pub(super) starts: Vec<usize>,
    /// The position that each row attends to most: AlignAtt's frontier (Papi et al. 2023).
    pub(super) peaks: Vec<usize>,
}

/// `attention` has a row a token, each of `heads` × `positions` weights, of which the first `heard` positions are
/// sound; the first `lead` rows take part in the normalisation only.
pub(super) fn align(attention: &[Vec<f32>], lead: usize, heads: usize, positions: usize, heard: usize) -> Aligned {
    let heard = heard.clamp(1, positions.max(1));
    let rows = attention.len().saturating_sub(lead);
    let mut mean = vec![0.0; rows * heard];
    let mut filtered = vec![0.0; heard];
    for head in 0..heads {
        let mut weights: Vec<f32> = Vec::with_capacity(attention.len() * heard);
        for row in attention {
            let row = &row[head * positions..head * positions + heard];
            let sum: f32 = row.iter().sum::<f32>().max(f32::MIN_POSITIVE);
            weights.extend(row.iter().map(|w| w / sum));
        }
        normalise(&mut weights, heard);
        for (row, mean) in weights.chunks_exact(heard).skip(lead).zip(mean.chunks_exact_mut(heard)) {
            median(row, &mut filtered);
            for (m, f) in mean.iter_mut().zip(&filtered) {
                *m += f / heads as f32;
            }
        }
    }
    let peak = |row: &[f32]| (0..heard).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap_or(0);
    Aligned { starts: warp(&mean, heard), peaks: mean.chunks_exact(heard).map(peak).collect() }
}

/// Each column to mean 0 and deviation 1 over the rows.
fn normalise(weights: &mut [f32], columns: usize) {
    let rows = (weights.len() / columns) as f32;
    for c in 0..columns {
        let column = || weights.iter().skip(c).step_by(columns);
        let mean = column().sum::<f32>() / rows;
        let deviation = (column().map(|w| (w - mean).powi(2)).sum::<f32>() / rows).sqrt().max(1e-10);
        weights.iter_mut().skip(c).step_by(columns).for_each(|w| *w = (*w - mean) / deviation);
    }
}

/// The median of each position's neighbourhood; beyond the ends the row is mirrored.
pub(crate) fn median(row: &[f32], out: &mut [f32]) {
    let half = (MEDIAN / 2) as isize;
    let last = row.len() as isize - 1;
    for (i, o) in out.iter_mut().enumerate() {
        let mut near: [f32; MEDIAN] = std::array::from_fn(|k| {
            let at = (i as isize + k as isize - half).abs();
            let at = if at > last { 2 * last - at } else { at };
            row[at.clamp(0, last) as usize]
        });
        near.sort_unstable_by(f32::total_cmp);
        *o = near[MEDIAN / 2];
    }
}

/// The path of the largest sum from the first row and column to the last, by steps down, right or both; where it enters
/// each row.
pub(crate) fn warp(gain: &[f32], columns: usize) -> Vec<usize> {
    let rows = gain.len() / columns;
    if rows == 0 {
        return Vec::new();
    }
    #[derive(Clone, Copy, PartialEq)]
    enum From {
        Both,
        Above,
        Left,
    }
    // Cell (r, c) of the tables belongs to row r − 1 and column c − 1.
    let width = columns + 1;
    let mut best = vec![f32::NEG_INFINITY; (rows + 1) * width];
    let mut from = vec![From::Left; (rows + 1) * width];
    best[0] = 0.0;
    for r in 1..=rows {
        for c in 1..=columns {
            let (both, above, left) =
                (best[(r - 1) * width + c - 1], best[(r - 1) * width + c], best[r * width + c - 1]);
            let (value, step) = if both > above && both > left {
                (both, From::Both)
            } else if above > both && above > left {
                (above, From::Above)
            } else {
                (left, From::Left)
            };
            best[r * width + c] = value + gain[(r - 1) * columns + c - 1];
            from[r * width + c] = step;
        }
    }
    let mut starts = vec![0; rows];
    let (mut r, mut c) = (rows, columns);
    while r > 0 && c > 0 {
        starts[r - 1] = c - 1;
        match from[r * width + c] {
            From::Both => (r, c) = (r - 1, c - 1),
            From::Above => r -= 1,
            From::Left => c -= 1,
        }
    }
    starts
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Weights that lie around the given positions.
    fn bumps(centres: &[usize], positions: usize) -> Vec<Vec<f32>> {
        let bump = |c: usize| (0..positions).map(|p| (-((p as f32 - c as f32) / 4.0).powi(2)).exp() + 1e-3).collect();
        centres.iter().map(|&c| bump(c)).collect()
    }

    #[test]
    fn rows_start_where_their_weights_begin() {
        let centres = [3, 10, 30, 50, 70];
        let Aligned { starts, peaks } = align(&bumps(&centres, 100), 1, 1, 100, 80);
        for (p, c) in peaks.iter().zip(&centres[1..]) {
            assert!(centres.iter().all(|other| p.abs_diff(*c) <= p.abs_diff(*other)), "{p} is not nearest to {c}");
        }
        assert_eq!(starts.len(), 4);
        assert_eq!(starts[0], 0);
        for (s, w) in starts[1..].iter().zip(centres[1..].windows(2)) {
            let middle = (w[0] + w[1]) / 2;
            assert!(s.abs_diff(middle) <= 4, "{s} is not near {middle}");
        }
    }

    #[test]
    fn positions_behind_the_sound_are_never_reached() {
        let Aligned { starts, peaks } = align(&bumps(&[5, 10, 90], 100), 0, 1, 100, 40);
        assert!(starts.iter().chain(&peaks).all(|&s| s < 40) && starts.is_sorted(), "{starts:?} {peaks:?}");
    }

    #[test]
    fn the_best_path_is_found() {
        let gain = [1.0, -0.1, -0.1, -0.1, -0.1, 1.0, 1.0, -0.1, -0.1, -0.1, -0.1, 1.0];
        assert_eq!(warp(&gain, 4), [0, 1, 3]);
    }

    #[test]
    fn odd_sizes_do_no_harm() {
        assert!(align(&[], 0, 1, 10, 10).starts.is_empty());
        assert_eq!(align(&[vec![1.0], vec![1.0]], 0, 1, 1, 1).starts, [0, 0]);
        assert_eq!(align(&vec![vec![0.0; 4]; 3], 0, 2, 2, 9).peaks.len(), 3);
    }

    #[test]
    fn the_median_drops_a_spike() {
        let mut row = vec![0.0; 20];
        row[9] = 5.0;
        let mut out = vec![1.0; 20];
        median(&row, &mut out);
        assert!(out.iter().all(|&x| x == 0.0));
    }
}
