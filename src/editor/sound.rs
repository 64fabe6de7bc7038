//! The cards of parameters and of the engine, and the latency in the header.

use egui::{Align, Layout, RichText, Ui};
use nice_plug::prelude::ParamSetter;

use super::controls::{bar, choice, slider, switch};
use super::machine::modes;
use super::theme::palette;
use crate::clock::Latency;
use crate::plugin::instance::Readings;
use crate::plugin::params::{MynahParams, PitchChoice};

/// All parameters of the sound.
pub fn parameters(ui: &mut Ui, setter: &ParamSetter, params: &MynahParams, readings: &Readings) {
    switch(ui, setter, &params.voice.on).on_hover_text("Whether the voice is converted");
    modes(ui, setter, &params.voice.mode, readings);
    let hints = ["Moves the speaker's pitch to the reference's", "Shifts the speaker's pitch by the number below"];
    choice(ui, setter, &params.voice.pitch, &hints);
    slider(ui, setter, &params.voice.semitones, params.voice.pitch.value() == PitchChoice::Semitones);
    slider(ui, setter, &params.sound.gate, true);
    slider(ui, setter, &params.sound.mix, true);
    slider(ui, setter, &params.sound.gain, true);
    let hints = [
        "Your own voice where a hop comes too late",
        "Silence where a hop comes too late, for those who must not be recognised",
    ];
    choice(ui, setter, &params.sound.late, &hints);
}

/// The load and what was late.
pub fn engine(ui: &mut Ui, readings: &Readings) {
    let p = palette(ui);
    let Some(status) = &readings.status else { return };
    let (load, worst) = (status.counters.load, readings.worst_load);
    let colour = if worst > 1.0 { p.bad } else { p.good };
    let text = format!("{:.0} % of the deadline, worst {:.0} %", load * 100.0, worst * 100.0);
    bar(ui, "Load", load.max(worst), colour, &text)
        .on_hover_text("What computing a hop takes of the time that it may take");
    ui.horizontal(|ui| {
        let late = status.counters.late_hops;
        let colour = if late > 0 { p.bad } else { p.muted };
        ui.label(RichText::new(format!("{} hops converted, {late} late", status.counters.hops)).color(colour))
            .on_hover_text("Hops that came too late were replaced; the delay did not grow");
        if status.counters.lost_samples > 0 {
            ui.label(RichText::new(format!("{} samples lost", status.counters.lost_samples)).color(p.bad));
        }
    });
    // The header has room for the beginning of a long sentence only.
    if let Some(problem) = &status.voice_problem {
        ui.label(RichText::new(problem).small().color(p.bad));
    }
    if let Some(note) = &status.note {
        ui.label(RichText::new(note).small().color(p.accent));
    }
}

/// The latency, with its parts on hover.
pub fn latency(ui: &mut Ui, readings: &Readings) {
    let (Some(status), Some(frame)) = (&readings.status, readings.frame) else { return };
    let rate = frame.rate as f64;
    let milliseconds = |samples: usize| samples as f64 / rate * 1000.0;
    let total = status.latency.total;
    let response = ui.with_layout(Layout::top_down(Align::Max), |ui| {
        ui.spacing_mut().item_spacing.y = 1.0;
        ui.label(RichText::new(format!("{:.1} ms", milliseconds(total))).size(20.0));
        ui.label(RichText::new(format!("{total} samples at {} Hz", frame.rate)).small().color(palette(ui).muted));
    });
    response.response.on_hover_ui(|ui| {
        egui::Grid::new("latency").num_columns(3).show(ui, |ui| {
            for (name, samples) in parts(&status.latency) {
                ui.label(name);
                ui.label(format!("{samples}"));
                ui.label(format!("{:.2} ms", milliseconds(samples)));
                ui.end_row();
            }
        });
    });
}

fn parts(l: &Latency) -> [(&'static str, usize); 6] {
    [
        ("Resampling to the model", l.resample_in),
        ("Hop", l.hop),
        ("Look-ahead", l.look_ahead),
        ("Resampling back", l.resample_out),
        ("The host's block", l.block),
        ("Time to compute", l.slack),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_shown_are_the_whole() {
        let l = Latency { resample_in: 1, hop: 2, look_ahead: 3, resample_out: 4, block: 5, slack: 6, total: 21 };
        assert_eq!(parts(&l).iter().map(|(_, n)| n).sum::<usize>(), l.total);
    }
}
