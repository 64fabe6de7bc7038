//! What the network promises: the graph's numbers, the same bits however a stream is cut and with any instructions, and
//! one sentence for a file that is none.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use proptest::sample::Index;
use safetensors::SafeTensors;
use serde_json::Value;

use super::*;
use crate::mynah::graph::{Features, Graph, TIMBRE};
use crate::testing::{golden, model_file, runtime, voice_model};
use mynah_models::runtime::SessionOptions;

const FILE: &str = "voice.safetensors";

fn shipped() -> Arc<Weights> {
    static HELD: LazyLock<Arc<Weights>> =
        LazyLock::new(|| Weights::of(&model_file(FILE)).expect("the repository's own pack"));
    HELD.clone()
}

/// The voice of the goldens.
fn speaker() -> Vec<f32> {
    [golden("mynah_speaker"), golden("mynah_timbre")].concat()
}

/// `n` frames that rise and fall, with pitch in most of them.
fn some(n: usize) -> Features {
    let mel = (0..n * BANDS).map(|i| -6.0 + 4.0 * (i as f32 * 0.37).sin() + 2.0 * (i as f32 * 0.0113).cos()).collect();
    let f0 = (0..n).map(|t| if t % 7 < 5 { 90.0 + 5.0 * t as f32 % 200.0 } else { 0.0 }).collect();
    Features { mel, f0, energy: (0..n).map(|t| -3.0 + 2.0 * (t as f32 * 0.2).sin()).collect() }
}

/// Runs frames `from..to` and gives both filters, frame by frame.
fn run(network: &mut Network, all: &Features, from: usize, to: usize) -> Vec<u32> {
    let (mut harmonic, mut noise) = (vec![f32::NAN; (to - from) * BINS], vec![f32::NAN; (to - from) * BINS]);
    // Of whatever length: only a debug build's allocator watches.
    let (mel, f0, energy) = (&all.mel[from * BANDS..to * BANDS], &all.f0[from..to], &all.energy[from..to]);
    assert_no_alloc::assert_no_alloc(|| network.run(mel, f0, energy, &mut harmonic, &mut noise));
    assert!(harmonic.iter().chain(&noise).all(|x| x.is_finite() && *x >= 0.0));
    harmonic
        .chunks_exact(BINS)
        .zip(noise.chunks_exact(BINS))
        .flat_map(|(h, z)| h.iter().chain(z))
        .map(|x| x.to_bits())
        .collect()
}

fn with(mode: Mode, isa: Isa) -> Network {
    let mut network = Network::new(shipped(), mode, isa);
    network.set_speaker(&speaker());
    network
}

#[test]
fn it_gives_what_onnx_runtime_gives_in_every_mode() {
    runtime();
    let all = some(90);
    for mode in Mode::ALL {
        let filters = |path: &Path| {
            let mut graph = Graph::open(path, mode, &SessionOptions::default()).expect("it opens");
            graph.set_speaker(&golden("mynah_speaker"), Some(&golden("mynah_timbre")));
            let (mut harmonic, mut noise) = (Vec::new(), Vec::new());
            let each = |_, h: &[f32], z: &[f32]| {
                harmonic.extend_from_slice(h);
                noise.extend_from_slice(z);
            };
            graph.run(&all, each).expect("it runs");
            ([harmonic, noise], graph.lookahead())
        };
        let (ours, lag) = filters(&model_file(FILE));
        let (theirs, their_lag) = filters(&voice_model(mode));
        assert_eq!(lag, their_lag);
        for (ours, theirs) in ours.iter().zip(&theirs) {
            let largest = theirs.iter().fold(0.0f32, |a, x| a.max(x.abs()));
            let apart = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / largest;
            println!("{mode:?}: largest difference {apart:.1e} of the largest magnitude");
            assert!(ours.len() == theirs.len() && apart < 1e-4, "{mode:?}: {apart}");
        }
    }
}

#[test]
fn every_set_of_instructions_gives_the_same_bits() {
    let all = some(9);
    for mode in Mode::ALL {
        let made: Vec<_> = Isa::all().into_iter().map(|isa| run(&mut with(mode, isa), &all, 0, 9)).collect();
        assert!(made.windows(2).all(|w| w[0] == w[1]), "{mode:?}: {:?}", Isa::all());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_split_of_a_stream_gives_the_same_bits(mode in 0usize..3, cuts in prop::collection::vec(any::<Index>(), 0..12)) {
        let (mode, all) = (Mode::ALL[mode], some(40));
        let whole = run(&mut with(mode, Isa::best()), &all, 0, 40);
        let mut cuts: Vec<usize> = cuts.iter().map(|c| c.index(41)).chain([0, 40]).collect();
        cuts.sort_unstable();
        cuts.dedup();
        let mut network = with(mode, Isa::best());
        let parts: Vec<u32> = cuts.windows(2).flat_map(|w| run(&mut network, &all, w[0], w[1])).collect();
        prop_assert!(parts == whole, "{cuts:?}");
    }
}

#[test]
fn a_reset_forgets_the_sound_and_keeps_the_voice() {
    let all = some(30);
    let mut network = with(Mode::Studio, Isa::best());
    let first = run(&mut network, &all, 0, 30);
    assert_ne!(run(&mut network, &all, 0, 30), first, "it remembers");
    network.reset();
    assert_eq!(run(&mut network, &all, 0, 30), first);
}

#[test]
fn a_voice_counts_from_the_next_frame_on_and_comes_back() {
    let all = some(60);
    let only = |voice: &[f32]| {
        let mut network = with(Mode::Live, Isa::best());
        network.set_speaker(voice);
        run(&mut network, &all, 0, 30)
    };
    let (own, other) = (speaker(), vec![0.05; EMBEDDING + TIMBRE]);
    assert_ne!(only(&own), only(&other));
    let mut network = with(Mode::Live, Isa::best());
    assert_eq!(run(&mut network, &all, 0, 30), only(&own));
    network.set_speaker(&other);
    let changed = run(&mut network, &all, 30, 60);
    let mut unchanged = with(Mode::Live, Isa::best());
    run(&mut unchanged, &all, 0, 30);
    assert_ne!(changed, run(&mut unchanged, &all, 30, 60));
    network.reset();
    network.set_speaker(&own);
    assert_eq!(run(&mut network, &all, 0, 30), only(&own), "nothing of the other voice is left");
}

#[test]
fn weights_are_read_once_for_all_modes_and_voices() {
    let first = Network::open(&model_file(FILE), Mode::Live).expect("opens");
    let second = Network::open(&model_file(FILE), Mode::Studio).expect("opens");
    assert!(Arc::ptr_eq(&first.weights, &second.weights));
}

fn weights(bytes: &[u8]) -> Result<Weights, String> {
    Weights::read(Path::new("/packs/mine/voice.safetensors"), bytes).map_err(|e| e.to_string())
}

/// Whether these bytes are a file of weights; a failed test does not print millions of them.
fn read(bytes: &[u8]) -> Result<(), String> {
    weights(bytes).map(drop)
}

/// The shipped file with another header.
fn with_header(bytes: &[u8], change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let length = u64::from_le_bytes(*bytes.first_chunk().expect("a length")) as usize;
    let mut header: Value = serde_json::from_slice(&bytes[8..8 + length]).expect("a header");
    change(&mut header);
    let text = header.to_string();
    [&(text.len() as u64).to_le_bytes(), text.as_bytes(), &bytes[8 + length..]].concat()
}

#[test]
fn a_file_that_does_not_fit_is_told_in_a_sentence() {
    let bytes = std::fs::read(model_file(FILE)).expect("the repository's own pack");
    assert!(read(&bytes).is_ok());
    for cut in [0, 7, 8, 100, bytes.len() / 2, bytes.len() - 1] {
        let said = read(&bytes[..cut]).expect_err("it is cut off");
        assert!(said.contains("voice.safetensors") && said.contains("no whole safetensors file"), "{cut}: {said}");
    }
    assert!(read(&[&bytes[..], &[0; 64]].concat()).is_err(), "more than the header names");
    assert!(read(&[&u64::MAX.to_le_bytes()[..], &bytes[8..]].concat()).is_err());
    let meta = |key: &str, value: &str| {
        let said = read(&with_header(&bytes, |h| h["__metadata__"][key] = value.into())).expect_err(key);
        assert!(said.contains(&format!("`{key}`")) && said.contains("does not fit"), "{key}: {said}");
    };
    let wrong = [
        ("family", "other"),
        ("format", "0"),
        ("format", "3"),
        ("rate", "48000"),
        ("hop", "241"),
        ("n_mels", "81"),
        ("speaker", "257"),
        ("bands", "0"),
        ("bands", "514"),
        ("width", "0"),
        ("width", "-1"),
        ("encoder_width", "0"),
        ("width", "99999999999999999999"),
        ("content", "x"),
        ("kernel", "0"),
        ("encoder", ""),
        ("encoder", "1,1,0"),
        ("encoder", "1,,x"),
        ("decoder", "65"),
        ("modulated", "7"),
        ("recurrent_at", "7"),
        ("ahead.live", "0"),
        ("ahead.studio", "9,9,9,9"),
        ("modes", "live,balanced"),
    ];
    wrong.iter().for_each(|(key, value)| meta(key, value));
    let tensor = |name: &str, change: &dyn Fn(&mut Value)| {
        let said = read(&with_header(&bytes, |h| change(&mut h[name]))).expect_err(name);
        assert!(said.contains(&format!("`{name}`")), "{name}: {said}");
    };
    tensor("head.weight", &|t| t["shape"] = serde_json::json!([256, 228]));
    tensor("head.weight", &|t| t["dtype"] = "U8".into());
    tensor("recurrent.weight_hh_l0", &|t| t["shape"] = serde_json::json!([196608]));
    // One that is missing, and one of other sizes than the metadata says.
    let renamed = with_header(&bytes, |h| {
        let moved = h["decoder.3.modulate.weight.scale"].take();
        h.as_object_mut().expect("an object").remove("decoder.3.modulate.weight.scale");
        h["another"] = moved;
    });
    assert!(read(&renamed).expect_err("missing").contains("`decoder.3.modulate.weight.scale`"));
    let narrower = with_header(&bytes, |h| h["__metadata__"]["encoder_width"] = "256".into());
    assert!(read(&narrower).expect_err("other sizes").contains("[3, 256]"));
    // A weight that is no number.
    let (mut broken, at) = (bytes.clone(), offset(&bytes, "head.bias"));
    broken[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    let said = read(&broken).expect_err("no number");
    assert!(said.contains("`head.bias`") && said.contains("finite"), "{said}");
}

/// Where a tensor's numbers begin in the file.
fn offset(bytes: &[u8], name: &str) -> usize {
    let all = SafeTensors::deserialize(bytes).expect("the repository's own pack");
    all.tensor(name).expect("a tensor").data().as_ptr() as usize - bytes.as_ptr() as usize
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Bytes of the header that are anything end in a network or in a sentence.
    #[test]
    fn a_spoiled_header_is_an_error_or_harmless(at in 0usize..20_000, to in any::<[u8; 4]>()) {
        static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| std::fs::read(model_file(FILE)).expect("the repository's own pack"));
        let mut bytes = BYTES.clone();
        bytes[at..at + 4].copy_from_slice(&to);
        if let Err(said) = read(&bytes) {
            prop_assert!(said.contains("voice.safetensors") && !said.contains('\n'), "{said}");
        }
    }
}

/// Weights of another generation: sizes are the file's, not the code's.
mod other_sizes {
    use super::*;

    struct Writer {
        header: serde_json::Map<String, Value>,
        data: Vec<u8>,
        seed: u32,
    }

    impl Writer {
        fn number(&mut self) -> f32 {
            self.seed = self.seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (self.seed >> 8) as f32 / (1 << 23) as f32 - 1.0
        }

        fn put(&mut self, name: &str, dtype: &str, shape: &[usize], bytes: Vec<u8>) {
            let from = self.data.len();
            self.data.extend(bytes);
            let entry = serde_json::json!({ "dtype": dtype, "shape": shape, "data_offsets": [from, self.data.len()] });
            self.header.insert(name.to_owned(), entry);
        }

        fn floats(&mut self, name: &str, shape: &[usize], around: f32, by: f32) {
            let bytes = (0..shape.iter().product()).flat_map(|_| (around + by * self.number()).to_le_bytes()).collect();
            self.put(name, "F32", shape, bytes);
        }

        fn matrix(&mut self, weight: &str, bias: &str, shape: &[usize]) {
            let bytes = (0..shape.iter().product::<usize>()).map(|_| (self.number() * 127.0) as i8 as u8).collect();
            self.put(weight, "I8", shape, bytes);
            let inputs: usize = shape[1..].iter().product();
            self.floats(&format!("{weight}.scale"), &shape[..1], 1.0 / (127.0 * (inputs as f32).sqrt()), 0.0);
            self.floats(bias, &shape[..1], 0.0, 0.1);
        }

        fn layer(&mut self, name: &str, outputs: usize, inputs: usize) {
            self.matrix(&format!("{name}.weight"), &format!("{name}.bias"), &[outputs, inputs]);
        }
    }

    const ENCODER: usize = 344;
    const WIDTH: usize = 328;
    const CONTENT: usize = 72;
    const POINTS: usize = 90;
    const TOLD: usize = 24 + 40 + TIMBRE;

    /// In one of the two layouts.
    fn file(second: bool) -> Vec<u8> {
        let encoder_width = if second { ENCODER } else { WIDTH };
        let of = |name: &str| if second { format!("encoder.{name}") } else { name.to_owned() };
        let blocks = if second { "encoder.blocks" } else { "encoder" };
        let mut w = Writer { header: serde_json::Map::new(), data: Vec::new(), seed: 7 };
        let about = serde_json::json!({
            "family": "mynah", "format": if second { "2" } else { "1" }, "rate": "24000", "hop": "240", "rise": "720", "fall": "240", "n_fft": "1024", "n_mels": "80",
            "bands": POINTS.to_string(), "width": WIDTH.to_string(), "encoder_width": ENCODER.to_string(), "content": CONTENT.to_string(), "speaker": "256", "timbre": "128", "kernel": "5",
            "encoder": "1,2,1,3,1,2", "decoder": "1,3,1,2", "modulated": "1,3", "recurrent_at": "2", "modes": "studio,live,balanced",
            "ahead.live": "1", "ahead.balanced": "1,1", "ahead.studio": "2,1,2",
        });
        w.header.insert("__metadata__".to_owned(), about);
        w.layer(&of("enter"), encoder_width, BANDS);
        w.floats(&of("mode.weight"), &[3, encoder_width], 0.0, 1.0);
        let encoder = [7, 6, 7, 5, 5, 5]
            .into_iter()
            .enumerate()
            .map(|(i, taps)| (format!("{blocks}.{i}"), encoder_width, taps, false));
        let decoder = (0..4).map(|i| (format!("decoder.{i}"), WIDTH, 5, i == 1 || i == 3));
        for (name, width, taps, told) in encoder.chain(decoder).collect::<Vec<_>>() {
            w.floats(&format!("{name}.time.weight"), &[width, 1, taps], 0.0, 0.5);
            for (what, around) in [("time.bias", 0.0), ("norm.weight", 1.0), ("norm.bias", 0.0)] {
                w.floats(&format!("{name}.{what}"), &[width], around, 0.1);
            }
            w.layer(&format!("{name}.widen"), 3 * width, width);
            w.layer(&format!("{name}.narrow"), width, 3 * width);
            if told {
                w.layer(&format!("{name}.modulate"), 2 * width, TOLD);
            }
        }
        if second {
            w.floats("encoder.norm.weight", &[ENCODER], 1.0, 0.1);
            w.floats("encoder.norm.bias", &[ENCODER], 0.0, 0.1);
        }
        w.layer(&of("content"), CONTENT, encoder_width);
        for (name, inner, outer) in [("narrow_voice", 60, 24), ("wide_voice", 100, 40)] {
            w.layer(&format!("{name}.0"), inner, EMBEDDING);
            w.layer(&format!("{name}.2"), outer, inner);
        }
        w.matrix("join.weight", "join.bias", &[WIDTH, CONTENT + PITCH, JOINED]);
        for part in ["ih", "hh"] {
            w.matrix(&format!("recurrent.weight_{part}_l0"), &format!("recurrent.bias_{part}_l0"), &[3 * WIDTH, WIDTH]);
        }
        w.layer("last_modulate", 2 * WIDTH, TOLD);
        w.layer("head", 2 * POINTS, WIDTH);
        w.layer("tint", 2 * POINTS, TOLD);
        w.floats("bands", &[POINTS, BINS], 0.1, 0.05);
        let text = Value::Object(w.header).to_string();
        [&(text.len() as u64).to_le_bytes(), text.as_bytes(), &w.data].concat()
    }

    #[test]
    fn a_file_of_other_sizes_runs_and_is_as_exact() {
        runs(weights(&file(true)).expect("it fits"));
    }

    #[test]
    fn files_of_earlier_packs_still_run() {
        runs(weights(&file(false)).expect("it fits"));
    }

    fn runs(weights: Weights) {
        let weights = Arc::new(weights);
        let all = some(11);
        for (mode, lookahead) in Mode::ALL.into_iter().zip([1, 3, 6]) {
            let of = |isa| {
                let mut network = Network::new(weights.clone(), mode, isa);
                network.set_speaker(&speaker());
                network
            };
            assert_eq!(of(Isa::best()).lookahead(), lookahead);
            let whole = run(&mut of(Isa::best()), &all, 0, 11);
            for isa in Isa::all() {
                let mut network = of(isa);
                let parts: Vec<u32> =
                    [0, 1, 3, 4, 11].windows(2).flat_map(|w| run(&mut network, &all, w[0], w[1])).collect();
                assert!(parts == whole, "{mode:?}, {}", isa.name());
            }
            let spread =
                whole.iter().map(|b| f32::from_bits(*b)).fold((f32::MAX, 0.0f32), |(a, b), x| (a.min(x), b.max(x)));
            assert!(spread.1 > 2.0 * spread.0, "{mode:?}: {spread:?}");
        }
    }
}
