//! The window without a screen: what the keyboard reaches and does, and what a picture costs.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use egui::output::OutputEvent;
use egui::{Context, Event, Key, Modifiers, RawInput, Rect, Vec2, pos2};
use nice_plug::context::PluginApi;
use nice_plug::context::gui::{GuiContext, GuiContextInner};
use nice_plug::params::internals::ParamPtr;
use nice_plug::prelude::{Param, PluginState};

use nice_plug_egui::RepaintNotifier;

use super::settings::{LEAST, Look, WindowSettings};
use super::{Window, theme};
use crate::clock::{ConverterTiming, Mode};
use crate::engine::testing::{IdentitySource, block};
use crate::engine::{AudioPort, Captioner, Offer, OpenError, Opened, Source};
use crate::packs::Kind;
use crate::plugin::instance::{Frame, Instance};
use crate::runtime::Provider;
use crate::subtitles::Word;
use crate::voice::TargetVoice;

/// A host that does what the window asks, at once, and notes it.
#[derive(Default)]
struct Obeys {
    gestures: Mutex<(usize, usize)>,
}

impl GuiContextInner for Obeys {
    fn plugin_api(&self) -> PluginApi {
        PluginApi::Standalone
    }

    unsafe fn raw_begin_set_parameter(&self, _param: ParamPtr) {
        self.gestures.lock().expect("the gestures").0 += 1;
    }

    unsafe fn raw_set_parameter_normalized(&self, param: ParamPtr, normalized: f32) {
        // SAFETY: the window's parameters live as long as its instance.
        unsafe { param._internal_set_normalized_value(normalized) };
    }

    unsafe fn raw_end_set_parameter(&self, _param: ParamPtr) {
        self.gestures.lock().expect("the gestures").1 += 1;
    }

    fn get_state(&self) -> PluginState {
        PluginState { version: String::new(), params: Default::default(), fields: Default::default() }
    }

    fn set_state(&self, _state: PluginState) {}

    fn request_restart(&self) {}
}

/// A window on a bench.
struct Bench {
    ctx: Context,
    window: Window,
    host: Arc<Obeys>,
    context: GuiContext,
    size: Vec2,
    time: f64,
}

impl Bench {
    fn new(instance: Arc<Instance>) -> Self {
        let (ctx, host) = (Context::default(), Arc::new(Obeys::default()));
        theme::apply(&ctx);
        let context = GuiContext::new(host.clone());
        let mut bench = Self {
            ctx,
            window: Window::new(instance, WindowSettings::default(), RepaintNotifier::default()),
            host,
            context,
            size: super::settings::FIRST.into(),
            time: 0.0,
        };
        bench.frame(vec![]);
        bench
    }

    /// One picture; gives what it told, and the changes of textures in it, which nobody has a screen for.
    fn draw(&mut self, events: Vec<Event>) -> (Vec<OutputEvent>, usize) {
        self.time += 1.0 / 60.0;
        let input = RawInput {
            screen_rect: Some(Rect::from_min_size(pos2(0.0, 0.0), self.size)),
            time: Some(self.time),
            events,
            ..RawInput::default()
        };
        let (window, context) = (&mut self.window, &self.context);
        let mut output = self.ctx.run_ui(input, |ui| _ = window.draw(ui, &context.param_setter()));
        let uploads = output.textures_delta.set.len();
        output.textures_delta.clear();
        (output.platform_output.events.clone(), uploads)
    }

    /// One picture; gives the label of what got the keyboard in it.
    fn frame(&mut self, events: Vec<Event>) -> Option<String> {
        let (told, _) = self.draw(events);
        told.into_iter().find_map(|e| match e {
            OutputEvent::FocusGained(info) => Some(info.label.or(info.current_text_value).unwrap_or_default()),
            _ => None,
        })
    }

    fn press(&mut self, key: Key, modifiers: Modifiers) -> Option<String> {
        let event = |pressed| Event::Key { key, physical_key: None, pressed, repeat: false, modifiers };
        let first = self.frame(vec![Event::ModifiersChanged(modifiers), event(true)]);
        // What a key does is seen in the picture after it.
        let then = self.frame(vec![event(false), Event::ModifiersChanged(Modifiers::NONE)]);
        first.or(then)
    }

    fn write(&mut self, text: &str) {
        self.frame(vec![Event::Text(text.to_owned())]);
    }

    /// Presses Tab until something of this label has the keyboard.
    fn tab_to(&mut self, label: &str) {
        let mut seen = Vec::new();
        for _ in 0..80 {
            let got = self.press(Key::Tab, Modifiers::NONE).unwrap_or_default();
            if got == label {
                return;
            }
            seen.push(got);
        }
        panic!("Tab never comes to `{label}`: {seen:?}");
    }
}

#[test]
fn tab_comes_to_everything_in_the_order_of_the_window() {
    let mut bench = Bench::new(Instance::new(Arc::default()));
    let mut seen: Vec<String> = Vec::new();
    for _ in 0..80 {
        match bench.press(Key::Tab, Modifiers::NONE) {
            Some(label) if seen.first() == Some(&label) => break,
            Some(label) => seen.push(label),
            None => {}
        }
    }
    let mut from = 0;
    let expected = [
        "View",
        "Bypass",
        "Add a voice",
        "Voice",
        "Mode: Live",
        "Pitch: Auto",
        "Gate",
        "Mix",
        "Gain",
        "Captions",
        "Stream",
    ];
    for label in expected {
        let at = seen[from..].iter().position(|l| l == label);
        from += at.unwrap_or_else(|| panic!("`{label}` is not where it belongs: {seen:?}")) + 1;
    }
    assert!(!seen.iter().any(|l| l == "Shift"), "what is switched off needs no stop");
}

#[test]
fn keys_move_a_slider_and_a_number_sets_it() {
    let instance = Instance::new(Arc::default());
    let gain = &instance.clone().params.sound.gain;
    let mut bench = Bench::new(instance);
    bench.tab_to("Gain");
    let first = gain.unmodulated_plain_value();
    bench.press(Key::ArrowRight, Modifiers::NONE);
    let step = gain.unmodulated_plain_value() - first;
    assert!(step > 0.0);
    bench.press(Key::ArrowLeft, Modifiers::NONE);
    assert!((gain.unmodulated_plain_value() - first).abs() < 0.01 * step);
    bench.press(Key::ArrowRight, Modifiers::SHIFT);
    let fine = gain.unmodulated_plain_value() - first;
    assert!(fine > 0.0 && fine <= step, "{fine} against {step}");
    bench.press(Key::Home, Modifiers::NONE);
    assert_eq!(gain.unmodulated_normalized_value(), 0.0);
    bench.press(Key::End, Modifiers::NONE);
    assert_eq!(gain.unmodulated_normalized_value(), 1.0);
    for digit in ["-", "3", "x", ",", "5", "7"] {
        bench.write(digit);
    }
    bench.press(Key::Backspace, Modifiers::NONE);
    assert_eq!(gain.unmodulated_normalized_value(), 1.0, "nothing holds before Enter");
    bench.press(Key::Enter, Modifiers::NONE);
    assert!(
        (gain.unmodulated_plain_value() - -3.5).abs() < 0.06
            || (gain.preview_normalized(-3.5) - gain.unmodulated_normalized_value()).abs() < 1e-3
    );
    bench.write("9");
    bench.press(Key::Escape, Modifiers::NONE);
    bench.press(Key::Enter, Modifiers::NONE);
    assert_ne!(gain.unmodulated_normalized_value(), 1.0, "what was given up is forgotten");
    let (begun, ended) = *bench.host.gestures.lock().expect("the gestures");
    assert!(begun == ended && begun >= 6, "{begun} gestures begun, {ended} ended");
}

#[test]
fn space_toggles_and_arrows_choose() {
    let instance = Instance::new(Arc::default());
    let params = instance.params.clone();
    let mut bench = Bench::new(instance);
    bench.tab_to("Bypass");
    bench.press(Key::Space, Modifiers::NONE);
    assert!(params.bypass.value());
    bench.press(Key::Enter, Modifiers::NONE);
    assert!(!params.bypass.value());
    bench.tab_to("Mode: Live");
    bench.press(Key::ArrowRight, Modifiers::NONE);
    assert_eq!(params.mode().name(), "balanced");
    bench.press(Key::ArrowRight, Modifiers::NONE);
    bench.press(Key::ArrowRight, Modifiers::NONE);
    assert_eq!(params.mode().name(), "studio", "the last is the last");
    bench.press(Key::ArrowLeft, Modifiers::NONE);
    assert_eq!(params.mode().name(), "balanced");
}

/// An instance whose identity runs, and its audio thread's end.
fn running() -> (Arc<Instance>, AudioPort) {
    let instance = Instance::new(Arc::default());
    instance.choose_voice(Some(crate::engine::testing::any_voice("Ada")));
    let port = instance
        .start(Frame { rate: 48_000, block: 512, channels: 2 }, Arc::new(IdentitySource::default()))
        .expect("the identity");
    instance.look_at_sound(true);
    (instance, port)
}

#[test]
fn a_picture_costs_little_and_shows_the_sound() {
    let (instance, mut port) = running();
    let word =
        |i: usize| Word { text: format!("word{i}"), start: 0.4 * i as f64, end: 0.4 * i as f64 + 0.3, confidence: 1.0 };
    instance.transcript().lock().expect("the words").replace((0..400).map(word).collect::<Vec<_>>().into());
    let mut bench = Bench::new(instance.clone());
    let (mut spent, mut uploads) = (Duration::ZERO, 0);
    const PICTURES: u32 = 120;
    for k in 0..PICTURES {
        let mut left: Vec<f32> = (0..800).map(|i| 0.3 * ((k * 800 + i) as f32 * 0.05).sin()).collect();
        let mut right = left.clone();
        port.process(&mut [&mut left, &mut right], &block(true));
        let began = Instant::now();
        let (_, changed) = bench.draw(vec![]);
        spent += began.elapsed();
        uploads += changed;
    }
    let each = 1000.0 * spent.as_secs_f64() / PICTURES as f64;
    println!("{each:.2} ms a picture");
    // In release it is some 0.5 ms; a build that checks itself, on a machine that does other things, gets plenty.
    assert!(each < 40.0, "{each:.2} ms");
    assert!(uploads > PICTURES as usize, "the picture of the sound stands still: {uploads} changes");
    instance.end();
}

#[test]
fn every_size_and_look_is_drawn() {
    let (instance, _port) = running();
    let mut bench = Bench::new(instance.clone());
    for (look, ground) in
        [(Look::Dark, theme::DARK.ground), (Look::Light, theme::LIGHT.ground), (Look::System, theme::DARK.ground)]
    {
        bench.window.settings.look = look;
        for size in [LEAST, (1040.0, 720.0), (1300.0, 800.0), (2400.0, 1500.0)] {
            bench.size = size.into();
            (0..3).for_each(|_| _ = bench.frame(vec![]));
            assert_eq!(theme::palette_of(&bench.ctx).ground, ground, "{look:?}");
            assert_eq!((bench.window.settings.width, bench.window.settings.height), size, "{look:?}");
        }
    }
    // The system's wish counts where nothing is chosen.
    bench.window.system.store(2, Ordering::Relaxed);
    (0..2).for_each(|_| _ = bench.frame(vec![]));
    assert_eq!(theme::palette_of(&bench.ctx), theme::LIGHT);
    instance.end();
}

/// A source with packs to pick from: one whose licence forbids commerce, one whose doesn't.
struct Offering(IdentitySource);

impl Source for Offering {
    fn timing(&self, mode: Mode) -> Result<ConverterTiming, OpenError> {
        self.0.timing(mode)
    }

    fn slack(&self, mode: Mode, provider: Provider) -> f64 {
        self.0.slack(mode, provider)
    }

    fn open(&self, mode: Mode, voice: &TargetVoice, provider: Provider) -> Result<Opened, OpenError> {
        self.0.open(mode, voice, provider)
    }

    fn captioner(&self, settings: &crate::recognition::stream::Settings) -> Result<Box<dyn Captioner>, OpenError> {
        self.0.captioner(settings)
    }

    fn offers(&self, _: Provider) -> Result<Vec<Offer>, OpenError> {
        let offer = |id: &str, licence: &str, standard: bool| Offer {
            id: id.to_owned(),
            kind: Kind::Voice,
            title: id.to_owned(),
            licence: licence.to_owned(),
            standard,
            timings: Some([(ConverterTiming { rate: 24_000, hop: 240, delay: 1440 }, 0.008); 3]),
        };
        Ok(vec![offer("own", "MIT", true), offer("free", "MIT", false), offer("unpaid", "CC-BY-NC-4.0", false)])
    }
}

#[test]
fn a_model_is_picked_and_one_that_forbids_commerce_asks_first() {
    let instance = Instance::new(Arc::default());
    let frame = Frame { rate: 48_000, block: 512, channels: 2 };
    let _port = instance.start(frame, Arc::new(Offering(IdentitySource::default()))).expect("the identity");
    let mut bench = Bench::new(instance.clone());
    bench.tab_to("Models");
    bench.press(Key::Space, Modifiers::NONE);
    let looked = Instant::now();
    while instance.models.shelf().offers.is_empty() {
        assert!(looked.elapsed() < Duration::from_secs(20), "nobody looks for packs");
        std::thread::sleep(Duration::from_millis(5));
    }
    (0..3).for_each(|_| _ = bench.frame(vec![]));
    let picked = || instance.params.picks.get().0.voice;
    // 480 samples of block, and what the converter and its time cost, as the header would tell it.
    let cost = format!("{:.0} ms", instance.readings().status.expect("an engine").latency.total as f64 / 48.0);
    bench.tab_to(&format!("free, {cost}"));
    bench.press(Key::Space, Modifiers::NONE);
    assert_eq!(picked().as_deref(), Some("free"));
    bench.tab_to(&format!("unpaid, {cost}"));
    bench.press(Key::Space, Modifiers::NONE);
    assert_eq!(picked().as_deref(), Some("free"), "its licence is told first");
    bench.tab_to("Leave it");
    bench.press(Key::Space, Modifiers::NONE);
    assert_eq!(picked().as_deref(), Some("free"));
    bench.tab_to(&format!("unpaid, {cost}"));
    bench.press(Key::Space, Modifiers::NONE);
    bench.tab_to("What I make with it earns no money");
    bench.press(Key::Space, Modifiers::NONE);
    assert_eq!(picked().as_deref(), Some("unpaid"));
    bench.tab_to("As this machine: own");
    bench.press(Key::Space, Modifiers::NONE);
    assert_eq!(picked(), None);
    let (begun, ended) = *bench.host.gestures.lock().expect("the gestures");
    assert!(begun == ended && begun >= 3, "the host hears that the project changed: {begun}, {ended}");
    instance.end();
}

/// A window that breaks down says so and draws no more; opened again it is whole.
#[test]
fn a_panic_in_the_window_is_its_own() {
    let mut window = Window::new(Instance::new(Arc::default()), WindowSettings::default(), RepaintNotifier::default());
    window.guarded(|_| panic!("a panic was asked for"));
    assert!(
        window
            .broken
            .as_ref()
            .is_some_and(|why| why.contains("a panic was asked for") && why.contains("sound goes on")),
        "{:?}",
        window.broken
    );
    window.open(&Context::default(), GuiContext::new(Arc::new(Obeys::default())));
    assert_eq!(window.broken, None);
    window.guarded(Window::close);
    assert_eq!(window.broken, None);
}
