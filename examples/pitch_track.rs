//! Writes the pitch of raw sound for `models/recipes/evaluate/pitch.py`: f32 little endian at 24 kHz on standard input,
//! Hz each 10 ms on standard output. Arguments: frames of look-ahead, then optionally the costs voicing, octave, jump,
//! switch, ringing and silence.

use std::io::{Read, Write};

use mynah::dsp::pitch::{Costs, HOP, PitchTracker, WINDOW};

fn main() -> std::io::Result<()> {
    let numbers: Vec<f32> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    let lag = numbers.first().copied().unwrap_or(0.0) as usize;
    let mut costs = Costs::default();
    let all = [
        &mut costs.voicing,
        &mut costs.octave,
        &mut costs.jump,
        &mut costs.switch,
        &mut costs.ringing,
        &mut costs.silence,
    ];
    for (to, from) in all.into_iter().zip(numbers.iter().skip(1)) {
        *to = *from;
    }
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes)?;
    let samples: Vec<f32> = bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    let mut padded = vec![0.0; WINDOW / 2];
    padded.extend_from_slice(&samples);
    padded.resize(padded.len() + WINDOW / 2 + lag * HOP, 0.0);
    let mut tracker = PitchTracker::with_costs(lag, costs);
    let mut out = Vec::new();
    for t in 0..samples.len() / HOP + lag {
        let f = tracker.push(&padded[t * HOP..]);
        if t >= lag {
            out.extend_from_slice(&f.to_le_bytes());
        }
    }
    std::io::stdout().write_all(&out)
}
