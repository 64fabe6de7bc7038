//! A small picture of a voice, drawn from its own embedding, so that cards can be told apart at a glance: voices that
//! sound alike look alike. Knows no window and no files.

use egui::{Color32, Painter, Pos2, Rect, Shape, Stroke, Vec2, ecolor::Hsva};

use crate::voice::TargetVoice;

/// Points of the outline.
const POINTS: usize = 32;

/// What is drawn: radii from 0 to 1 around the centre, and a hue from 0 to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Portrait {
    radii: [f32; POINTS],
    hue: f32,
}

impl Portrait {
    /// Of a voice: each radius is a group of the embedding's numbers against the loudest group, the hue is where their
    /// weight lies around the circle.
    pub fn of(voice: &TargetVoice) -> Self {
        let group = voice.embedding.len().div_ceil(POINTS).max(1);
        let mut radii = [0.0f32; POINTS];
        for (radius, numbers) in radii.iter_mut().zip(voice.embedding.chunks(group)) {
            *radius = numbers.iter().map(|x| x * x).sum::<f32>().sqrt();
        }
        let most = radii.iter().fold(1e-6f32, |a, r| a.max(*r));
        let angle = |i: usize| i as f32 / POINTS as f32 * std::f32::consts::TAU;
        let sum = radii.iter().enumerate().fold(Vec2::ZERO, |v, (i, r)| v + *r * Vec2::angled(angle(i)));
        radii.iter_mut().for_each(|r| *r /= most);
        Self { radii, hue: (sum.angle() / std::f32::consts::TAU).rem_euclid(1.0) }
    }

    /// Draws it into a square; dark or light as the window is.
    pub fn draw(&self, painter: &Painter, rect: Rect, dark: bool) {
        let (value, centre, radius) = (if dark { 0.9 } else { 0.62 }, rect.center(), rect.width() / 2.0);
        let colour = |hue: f32, alpha: f32| Color32::from(Hsva::new(hue.rem_euclid(1.0), 0.55, value, alpha));
        painter.circle_filled(centre, radius, colour(self.hue, 0.16));
        let at = |i: usize| self.point(centre, radius * 0.92, i);
        // A fan of triangles: the outline is no convex shape.
        for i in 0..POINTS {
            let fill = colour(self.hue + 0.12 * self.radii[i], 0.55);
            painter.add(Shape::convex_polygon(vec![centre, at(i), at(i + 1)], fill, Stroke::NONE));
        }
        painter.add(Shape::closed_line((0..POINTS).map(at).collect(), Stroke::new(1.2, colour(self.hue, 1.0))));
    }

    fn point(&self, centre: Pos2, radius: f32, i: usize) -> Pos2 {
        let i = i % POINTS;
        let angle = i as f32 / POINTS as f32 * std::f32::consts::TAU - std::f32::consts::FRAC_PI_2;
        centre + radius * (0.25 + 0.75 * self.radii[i]) * Vec2::angled(angle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::testing::any_voice;

    fn voice(seed: usize) -> TargetVoice {
        let embedding: Vec<f32> = (0..256).map(|i| ((i * 7919 + seed * 104_729) % 1000) as f32 / 16_000.0).collect();
        TargetVoice { embedding, ..any_voice("a") }
    }

    fn apart(a: &Portrait, b: &Portrait) -> f32 {
        a.radii.iter().zip(&b.radii).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn voices_look_like_themselves_and_unlike_others() {
        let (one, same, other) = (Portrait::of(&voice(1)), Portrait::of(&voice(1)), Portrait::of(&voice(2)));
        assert_eq!(one, same);
        assert!(apart(&one, &other) > 0.1, "{}", apart(&one, &other));
        let mut near = voice(1);
        near.embedding[40] += 0.001;
        assert!(apart(&one, &Portrait::of(&near)) < 0.02);
        assert!(one.radii.iter().all(|r| (0.0..=1.0).contains(r)) && (0.0..1.0).contains(&one.hue));
        let none = Portrait::of(&TargetVoice { embedding: Vec::new(), ..any_voice("a") });
        assert!(none.radii.iter().all(|r| *r == 0.0) && none.hue.is_finite());
    }
}
