//! From values at mel-spaced points to magnitudes of all bins. Knows no network.

use super::isa::{Isa, for_every_isa};

/// A matrix from points to bins of which most is 0: each bin lies between two points.
#[derive(Debug)]
pub struct Bands {
    points: usize,
    /// Where the entries of each bin begin, and where the last one's end.
    from: Vec<usize>,
    /// Point and weight, bin after bin, points upwards.
    entries: Vec<(u32, f32)>,
}

impl Bands {
    /// Of a matrix `[points][bins]`.
    pub fn new(matrix: &[f32], points: usize, bins: usize) -> Self {
        let (mut from, mut entries) = (vec![0], Vec::new());
        for bin in 0..bins {
            let column = (0..points).map(|point| (point as u32, matrix[point * bins + bin]));
            entries.extend(column.filter(|(_, weight)| *weight != 0.0));
            from.push(entries.len());
        }
        Self { points, from, entries }
    }

    /// Points of a row that goes in.
    pub fn points(&self) -> usize {
        self.points
    }

    /// The magnitudes of all bins.
    pub fn apply(&self, isa: Isa, points: &[f32], bins: &mut [f32]) {
        spread(isa, &self.from, &self.entries, points, bins);
    }
}

for_every_isa! {
    fn spread(from: &[usize], entries: &[(u32, f32)], points: &[f32], bins: &mut [f32]) {
        for (bin, range) in bins.iter_mut().zip(from.windows(2)) {
            let mut sum = 0.0f32;
            for &(point, weight) in &entries[range[0]..range[1]] {
                sum = weight.mul_add(points[point as usize], sum);
            }
            *bin = sum;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_product_with_the_whole_matrix() {
        let (points, bins) = (7, 19);
        let matrix: Vec<f32> = (0..points * bins).map(|i| if i % 3 == 0 { (i as f32).sin() } else { 0.0 }).collect();
        let bands = Bands::new(&matrix, points, bins);
        let x: Vec<f32> = (0..points).map(|i| 1.0 + i as f32).collect();
        let mut made = vec![f32::NAN; bins];
        bands.apply(Isa::best(), &x, &mut made);
        for (bin, made) in made.iter().enumerate() {
            let wanted: f64 = (0..points).map(|p| f64::from(matrix[p * bins + bin]) * f64::from(x[p])).sum();
            assert!((f64::from(*made) - wanted).abs() < 1e-5);
        }
        assert_eq!(bands.points(), points);
    }
}
