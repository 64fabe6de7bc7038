//! What computes the voice and what each choice costs: the latency of every mode before it is chosen, the providers
//! with why some can't be had, and a measurement of what this machine holds. Knows no model.

use std::sync::Arc;

use egui::{Grid, ProgressBar, RichText, Sense, Ui, vec2};
use nice_plug::prelude::{EnumParam, ParamSetter};

use super::controls::{cells, set, touch};
use super::models::ModelsDialog;
use super::theme::palette;
use crate::clock::Mode;
use crate::engine::preflight::{Preflight, Trial};
use crate::engine::usage::steal_clause;
use crate::plugin::check::{self, Stage};
use crate::plugin::host;
use crate::plugin::instance::{Instance, Readings};
use crate::plugin::params::ModeChoice;
use crate::runtime::Provider;

/// Height of the row of modes.
const MODES: f32 = 36.0;
const HINTS: [&str; 3] = ["The smallest delay", "A middle way", "The best sound, with the longest delay"];

/// The modes, each with what it would cost at the host's rate and block.
pub fn modes(ui: &mut Ui, setter: &ParamSetter, param: &EnumParam<ModeChoice>, readings: &Readings) {
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), MODES), Sense::hover());
    let hints = [0, 1, 2].map(|i| hint(readings, i));
    cells(ui, setter, param, rect, &hints.each_ref().map(String::as_str), &[0, 1, 2].map(|i| cost(readings, i)));
}

/// Whether a measurement is going on, which has to be seen.
pub fn moves(instance: &Instance) -> bool {
    matches!(instance.check.stage(), Stage::Running(_))
}

/// What a mode costs, in milliseconds.
fn cost(readings: &Readings, mode: usize) -> String {
    match (readings.costs, readings.frame) {
        (Some(costs), Some(frame)) => format!("{:.1} ms", costs[mode] as f64 * 1000.0 / f64::from(frame.rate)),
        _ => "—".to_owned(),
    }
}

fn hint(readings: &Readings, mode: usize) -> String {
    match (readings.costs, readings.frame) {
        (Some(costs), Some(f)) => {
            format!(
                "{}: {} samples at {} Hz in blocks of {}; changing it moves the latency once",
                HINTS[mode], costs[mode], f.rate, f.block
            )
        }
        _ => HINTS[mode].to_owned(),
    }
}

/// The provider, what runs in fact, and the measurement.
pub fn machine(
    ui: &mut Ui,
    setter: &ParamSetter,
    instance: &Arc<Instance>,
    readings: &Readings,
    models: &mut ModelsDialog,
) {
    let stage = instance.check.stage();
    let found = match &stage {
        Stage::Done(found) => Some(&**found),
        _ => None,
    };
    let p = palette(ui);
    ui.horizontal_wrapped(|ui| {
        providers(ui, setter, instance, readings, found);
        match &stage {
            Stage::Running(done) => {
                ui.add(
                    ProgressBar::new(*done as f32)
                        .desired_width(130.0)
                        .text("Measuring")
                        .fill(p.fill.linear_multiply(0.6)),
                );
            }
            Stage::Idle | Stage::Failed(_) | Stage::Done(_) => buttons(ui, setter, instance, found),
        }
        models.button(ui);
    });
    host_that_renders(ui, readings);
    if let Stage::Failed(why) = &stage {
        ui.label(RichText::new(why).small().color(p.bad));
    }
    if let Some(found) = found {
        let colour = if found.choice().is_some() { p.good } else { p.bad };
        let verdict = ui.label(RichText::new(verdict(found)).small().color(colour));
        verdict.on_hover_ui(|ui| table(ui, found));
    }
}

/// What to do about a host that renders without saying so: asked where it looks like one, and to be taken back.
fn host_that_renders(ui: &mut Ui, readings: &Readings) {
    let (told, looks) = (host::renders_unsaid(), readings.status.as_ref().is_some_and(|s| s.counters.hurry));
    if !told && !looks {
        return;
    }
    let p = palette(ui);
    ui.horizontal_wrapped(|ui| {
        let (text, button) = if told {
            ("Renders in this host wait for the voice.", "Don't wait")
        } else {
            ("This host seems to render without saying so, which loses words.", "It renders: wait")
        };
        ui.label(RichText::new(text).small().color(if told { p.muted } else { p.accent }));
        let hint = format!("Kept for {} on this machine. Waiting stalls a session that is only played.", host::name());
        if ui.small_button(button).on_hover_text(hint).clicked()
            && let Err(why) = host::set_renders_unsaid(!told)
        {
            ui.data_mut(|data| data.insert_temp(ui.scope_id().with("host"), why.to_string()));
        }
        if let Some(why) = ui.data(|data| data.get_temp::<String>(ui.scope_id().with("host"))) {
            ui.label(RichText::new(why).small().color(p.bad));
        }
    });
}

fn buttons(ui: &mut Ui, setter: &ParamSetter, instance: &Arc<Instance>, found: Option<&Preflight>) {
    let hint = "Some seconds of measurement: how late this system wakes a thread, and how long a hop takes in each mode on each provider. Sound may break \
                up meanwhile.";
    if ui.button(if found.is_some() { "Measure again" } else { "What holds here?" }).on_hover_text(hint).clicked() {
        check::begin(instance);
    }
    if let Some(best) = found.and_then(Preflight::choice)
        && (Mode::from(instance.params.voice.mode.value()), instance.params.provider.get().0)
            != (best.mode, best.provider)
        && ui.button("Use it").on_hover_text("Takes this mode and this provider").clicked()
    {
        take(setter, instance, best);
    }
}

/// Takes a mode and a provider that hold; whoever wants others picks them.
fn take(setter: &ParamSetter, instance: &Instance, best: &Trial) {
    let mode = Mode::ALL.iter().position(|m| *m == best.mode).unwrap_or(0);
    set(setter, &instance.params.voice.mode, mode as f32 / 2.0);
    if instance.params.provider.get().0 != best.provider {
        instance.choose_provider(best.provider);
    }
}

fn capital(mode: Mode) -> String {
    let name = mode.name();
    name[..1].to_uppercase() + &name[1..]
}

/// What was found, in a sentence.
fn verdict(found: &Preflight) -> String {
    match found.choice() {
        Some(t) => format!(
            "{} holds on {}: a hop takes {:.1} of {:.0} ms, {:.1} ms to spare",
            capital(t.mode),
            t.provider.name().to_uppercase(),
            t.hop.p99 * 1000.0,
            t.budget * 1000.0,
            t.margin * 1000.0
        ),
        None => "No mode holds: close other programs, or choose Studio and larger blocks in the host".to_owned(),
    }
}

fn table(ui: &mut Ui, found: &Preflight) {
    Grid::new("preflight").num_columns(5).show(ui, |ui| {
        ["", "", "a hop takes", "to spare", ""].iter().for_each(|head| {
            ui.label(RichText::new(*head).small());
        });
        ui.end_row();
        for t in &found.trials {
            ui.label(capital(t.mode));
            ui.label(t.provider.name());
            ui.label(format!("{:.1} of {:.0} ms", t.hop.p99 * 1000.0, t.budget * 1000.0));
            ui.label(format!("{:.1} ms", t.margin * 1000.0));
            ui.label(if t.holds { "holds" } else { "too slow" });
            ui.end_row();
        }
    });
    for t in &found.trials {
        if let Some(placement) = &t.placement {
            ui.label(RichText::new(format!("{}: {}", capital(t.mode), placement.sentence())).small());
        }
    }
    let late = format!(
        "A thread wakes up to {:.2} ms late in 99 of 100 times{}.",
        found.wake.p99 * 1000.0,
        steal_clause(found.stolen)
    );
    ui.label(RichText::new(late).small());
    for note in &found.notes {
        ui.label(RichText::new(note).small());
    }
}

fn providers(ui: &mut Ui, setter: &ParamSetter, instance: &Instance, readings: &Readings, found: Option<&Preflight>) {
    let (p, chosen, mode) =
        (palette(ui), instance.params.provider.get().0, Mode::from(instance.params.voice.mode.value()));
    let list = egui::ComboBox::from_id_salt("provider")
        .selected_text(chosen.name().to_uppercase())
        .width(76.0)
        .show_ui(ui, |ui| {
            for provider in Provider::ALL {
                let (lacks, measured) = (lacks(provider, found), measured(provider, mode, found));
                let text = format!("{}{measured}", provider.name().to_uppercase());
                let line = ui.add_enabled(
                    lacks.is_none() || provider == chosen,
                    egui::Button::selectable(provider == chosen, text),
                );
                if line.on_disabled_hover_text(lacks.unwrap_or_default()).clicked() && provider != chosen {
                    instance.choose_provider(provider);
                    touch(setter, &instance.params.voice.on);
                }
            }
            let line = ui.selectable_label(chosen.server().is_some(), "REMOTE…").on_hover_text(REMOTE);
            if line.clicked() {
                let address = chosen.server().map_or("http://", |server| server.address());
                ui.data_mut(|d| d.insert_temp(draft_id(), Draft { address: address.to_owned(), wrong: None }));
            }
        });
    list.response.on_hover_text(
        chosen
            .server()
            .map_or("What computes the voice".to_owned(), |server| format!("The server {server} computes the voice")),
    );
    server(ui, setter, instance);
    if let Some(s) = readings.status.as_ref().filter(|s| s.voice.is_some() && !s.loading && s.provider != chosen) {
        ui.label(RichText::new(format!("runs on {}", s.provider.name().to_uppercase())).small().color(p.accent))
            .on_hover_text(s.note.clone().unwrap_or_default());
    }
    // What is chosen computes it, but not in time: a server that is too far.
    if let Some(note) = readings.status.as_ref().filter(|s| s.provider == chosen).and_then(|s| s.note.as_ref()) {
        ui.label(RichText::new(note).small().color(p.bad));
    }
}

const REMOTE: &str = "A server in another machine computes the voice (Triton, MLServer; docs/remote.md). What is sent there is not encrypted, and the delay \
                      grows by the way there and back.";

/// The address of a server while it is typed, and what was wrong with it when it was entered.
#[derive(Clone, Default)]
struct Draft {
    address: String,
    wrong: Option<String>,
}

fn draft_id() -> egui::Id {
    egui::Id::unique("mynah server")
}

/// The field of a server's address, once it was asked for: Enter chooses it and measures it, Escape leaves it.
fn server(ui: &mut Ui, setter: &ParamSetter, instance: &Instance) {
    let Some(mut draft) = ui.data(|d| d.get_temp::<Draft>(draft_id())) else { return };
    let field = ui
        .add(egui::TextEdit::singleline(&mut draft.address).desired_width(170.0).hint_text("http://HOST:8000"))
        .on_hover_text(REMOTE);
    let mut done = false;
    if field.lost_focus() && ui.input(|i| i.key_pressed(egui::Key::Enter)) {
        match format!("remote={}", draft.address).parse() {
            Ok(provider) => {
                instance.choose_provider(provider);
                touch(setter, &instance.params.voice.on);
                done = true;
            }
            Err(why) => draft.wrong = Some(why),
        }
    }
    done |= ui.input(|i| i.key_pressed(egui::Key::Escape));
    if let Some(wrong) = &draft.wrong {
        ui.label(RichText::new(wrong).small().color(palette(ui).bad));
    }
    ui.data_mut(|d| {
        if done {
            d.remove::<Draft>(draft_id());
        } else {
            d.insert_temp(draft_id(), draft);
        }
    });
}

/// One sentence on why a provider can't be had; none where nothing speaks against it.
fn lacks(provider: Provider, found: Option<&Preflight>) -> Option<String> {
    if provider != Provider::Cpu && !provider.compiled_in() {
        return Some(
            "The ONNX Runtime of this machine is made without it; `mynah doctor` tells which there are".to_owned(),
        );
    }
    let note = found?.notes.iter().find(|note| note.starts_with(&format!("{provider}:")));
    note.filter(|_| !found.is_some_and(|f| f.trials.iter().any(|t| t.provider == provider))).cloned()
}

/// How long a hop of the mode takes on a provider, where that was measured.
fn measured(provider: Provider, mode: Mode, found: Option<&Preflight>) -> String {
    let trial = found.and_then(|f| f.trials.iter().find(|t| t.provider == provider && t.mode == mode));
    trial.map_or_else(String::new, |t| format!("  {:.1} of {:.0} ms", t.hop.p99 * 1000.0, t.budget * 1000.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::measure::Spread;
    use crate::engine::testing::IdentitySource;
    use crate::plugin::instance::Frame;

    fn trial(mode: Mode, ms: f64, holds: bool) -> Trial {
        let hop = Spread { p99: ms / 1000.0, ..Spread::default() };
        Trial {
            mode,
            provider: Provider::Cpu,
            budget: 0.01,
            slack: 0.0045,
            hop,
            margin: 0.0012,
            holds,
            placement: None,
        }
    }

    #[test]
    fn the_costs_are_those_that_the_host_would_be_told() {
        assert_eq!(
            (cost(&Readings::default(), 0).as_str(), hint(&Readings::default(), 1).as_str()),
            ("—", "A middle way")
        );
        let instance = Instance::new(Arc::default());
        let frame = Frame { rate: 44100, block: 441, channels: 2 };
        let port = instance.start(frame, Arc::new(IdentitySource::default())).expect("a port");
        let readings = instance.readings();
        let costs = readings.costs.expect("the source tells them");
        assert_eq!(costs[0], port.latency().total);
        assert!(
            costs.is_sorted()
                && hint(&readings, 0).contains(&format!("{} samples at 44100 Hz in blocks of 441", costs[0]))
        );
        assert_eq!(cost(&readings, 0), format!("{:.1} ms", costs[0] as f64 / 44.1));
        instance.end();
    }

    #[test]
    fn a_verdict_names_the_mode_and_what_is_left() {
        let trials = vec![trial(Mode::Live, 7.0, false), trial(Mode::Balanced, 2.94, true)];
        let found =
            Preflight { wake: Spread::default(), stolen: None, trials, notes: vec!["cuda: no driver".to_owned()] };
        assert_eq!(verdict(&found), "Balanced holds on CPU: a hop takes 2.9 of 10 ms, 1.2 ms to spare");
        assert_eq!(
            (measured(Provider::Cpu, Mode::Live, Some(&found)), lacks(Provider::Cpu, Some(&found))),
            ("  7.0 of 10 ms".to_owned(), None)
        );
        let none = Preflight { trials: Vec::new(), ..found };
        assert!(verdict(&none).contains("close other programs"));
        assert!(lacks(Provider::DirectMl, Some(&none)).is_some());
    }
}
