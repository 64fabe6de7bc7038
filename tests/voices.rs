//! Voice models of other families from a folder of files to sound, with graphs of their published contracts and random
//! weights: added, chosen, enrolled with, converted in every mode. What sounds is the same whatever blocks the host
//! sends, and as long as what went in.

#[path = "common/models.rs"]
mod models;
#[path = "common/program.rs"]
mod program;
#[path = "common/said.rs"]
mod said;

use std::path::Path;

use mynah::audio::{Sound, read, write_wav};

/// A home of its own and a clip.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let mut sound =
            read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/reference.flac")).expect("a recording");
        sound.channels.iter_mut().for_each(|c| c.truncate(4 * 16_000));
        write_wav(&home.path().join("clip.wav"), &sound).expect("written");
        Self(home)
    }

    fn place(&self, name: &str) -> String {
        self.0.path().join(name).to_str().expect("UTF-8").to_owned()
    }

    /// A folder with these files, under the names that people have for them.
    fn folder(&self, name: &str, files: &[(&str, &str)]) -> String {
        models::folder(self.0.path(), name, files).to_str().expect("UTF-8").to_owned()
    }

    fn mynah(&self, arguments: &[&str]) -> (bool, String) {
        let (ok, said, failed) = said::mynah(self.0.path(), arguments);
        (ok, said + &failed)
    }

    fn add(&self, folder: &str, id: &str, family: &str) {
        let (ok, told) = self.mynah(&["models", "add", folder, "--id", id, "--licence", "MIT"]);
        assert!(
            ok && told.contains(&format!("of the family {family},")) && told.contains("makes voices with it"),
            "{told}"
        );
        let (ok, told) = self.mynah(&["models", "use", id]);
        assert!(ok && told.contains("voices are made with"), "{told}");
    }

    fn convert(&self, voice: &str, mode: &str, block: &str) -> (Sound, String) {
        let (clip, out) = (self.place("clip.wav"), self.place("out.wav"));
        let (ok, told) =
            self.mynah(&["convert", &clip, "--voice", voice, "-o", &out, "--mode", mode, "--block", block]);
        assert!(ok, "{mode}: {told}");
        (read(Path::new(&out)).expect("sound"), told)
    }

    /// Every mode converts to sound of the same length, whatever the blocks.
    fn sounds(&self, voice: &str) {
        let clip = read(Path::new(&self.place("clip.wav"))).expect("sound");
        for mode in ["live", "balanced", "studio"] {
            let (first, _) = self.convert(voice, mode, "64");
            assert_eq!(first.channels[0].len(), clip.channels[0].len(), "{mode}");
            let power: f32 = first.channels[0].iter().map(|x| x * x).sum();
            assert!(power.is_finite() && power > 1e-3, "{mode}: {power}");
            let (second, _) = self.convert(voice, mode, "1000");
            assert!(first.channels == second.channels, "{mode}: other blocks, other sound");
        }
    }
}

#[test]
fn rvc_speaks_with_the_voice_of_its_pack() {
    let home = Home::new();
    let voice = ("converters/rvc/project-256.onnx", "Ada_v1.onnx");
    let folder = home.folder("ada", &[voice]);
    let (ok, told) = home.mynah(&["models", "add", &folder]);
    assert!(!ok && told.contains("ContentVec"), "{told}");
    let folder = home.folder(
        "ada whole",
        &[voice, ("converters/rvc/content.onnx", "vec-256-layer-9.onnx"), ("converters/rvc/rmvpe.onnx", "rmvpe.onnx")],
    );
    home.add(&folder, "ada", "rvc");
    home.sounds(&home.place("clip.wav"));

    // A graph that draws its noise by itself is said to do so.
    let files = [("converters/rvc/okada-768.onnx", "ben.onnx"), ("converters/rvc/content.onnx", "contentvec.onnx")];
    home.add(&home.folder("ben", &files), "ben", "rvc");
    let (_, told) = home.convert(&home.place("clip.wav"), "balanced", "512");
    assert!(told.contains("draws random numbers by itself"), "{told}");
}

#[test]
fn openvoice_takes_the_tone_of_a_reference() {
    let home = Home::new();
    let converter = ("converters/openvoice/converter-1.onnx", "tone_clone_model.onnx");
    let (ok, told) = home.mynah(&["models", "add", &home.folder("half", &[converter])]);
    assert!(!ok && told.contains("reference encoder"), "{told}");
    let (ok, told) = home.mynah(&["voices", "enrol", &home.place("clip.wav"), "--name", "early", "--permitted"]);
    assert!(ok, "{told}");
    let folder =
        home.folder("whole", &[converter, ("converters/openvoice/encoder.onnx", "tone_color_extract_model.onnx")]);
    home.add(&folder, "tones", "openvoice");
    home.sounds(&home.place("clip.wav"));
    // A voice that was enrolled with another pack has no tone that this one knows.
    let (clip, out) = (home.place("clip.wav"), home.place("other.wav"));
    let (ok, told) = home.mynah(&["convert", &clip, "--voice", "early", "-o", &out]);
    assert!(!ok && told.contains("enrol it again"), "{told}");
}

#[test]
fn meanvc_hears_a_reference_with_its_own_encoder() {
    let home = Home::new();
    let names = [
        ("encoder.onnx", "asr.onnx"),
        ("memory.onnx", "gtm.onnx"),
        ("flow.onnx", "dit.onnx"),
        ("vocoder.onnx", "vocos.onnx"),
    ];
    for (model, family, parts) in
        [("meanvc2-4", "meanvc2", &names[..]), ("meanvc-20", "meanvc", &[names[0], names[2], names[3]][..])]
    {
        let from: Vec<(String, &str)> =
            parts.iter().map(|(part, name)| (format!("contracts-meanvc/{model}/{part}"), *name)).collect();
        let mut files: Vec<(&str, &str)> = from.iter().map(|(from, name)| (from.as_str(), *name)).collect();
        let (ok, told) = home.mynah(&["models", "add", &home.folder(&format!("{model} half"), &files)]);
        assert!(!ok && told.contains("speaker"), "{told}");
        files.push(("contracts-meanvc/meanvc/speaker.onnx", "speaker_encoder.onnx"));
        home.add(&home.folder(model, &files), model, family);
        home.sounds(&home.place("clip.wav"));
    }
}

/// The files of `kiarina/MeanVC2-ONNX`: features that nobody needs to run, the encoder of speakers in a folder of its
/// own, precisions apart or with a word in their names.
#[test]
fn the_published_files_of_meanvc2_are_a_voice_in_either_precision() {
    let home = Home::new();
    let folder = |name: &str, files: &[(&str, &str)]| {
        let files: Vec<(String, &str)> =
            files.iter().map(|(from, to)| (format!("contracts-meanvc/meanvc2-files/{from}.onnx"), *to)).collect();
        models::folder(home.0.path(), name, &files).to_str().expect("UTF-8").to_owned()
    };
    let graphs = [("fbank", "fbank.onnx"), ("asr", "asr.onnx"), ("dit", "dit.onnx"), ("vocos", "vocos.onnx")];
    let (memory, speaker) = (("gtm", "gtm.onnx"), ("speaker/speaker", "speaker/speaker.onnx"));
    let (ok, told) = home.mynah(&["models", "add", &folder("half", &[&graphs[..], &[speaker]].concat())]);
    assert!(!ok && told.contains("no memory graph"), "{told}");
    let small = [
        ("int8/asr", "int8/asr.onnx"),
        ("int8/dit", "int8/dit.onnx"),
        ("int8/speaker/speaker", "int8/speaker/speaker.onnx"),
    ];
    let both = folder("both", &[&graphs[..], &[memory, speaker], &small].concat());
    let (ok, told) = home.mynah(&["models", "add", &both, "--id", "full"]);
    assert!(ok && told.contains("MeanVC 2, chunks of 120 ms of the family meanvc2"), "{told}");
    assert!(told.contains("a hop of 40 ms, and 305 ms of look-ahead and overlap\n"), "{told}");
    let full = mynah::packs::sha256_of(&Path::new(&both).join("asr.onnx")).expect("its hash");
    assert!(home.mynah(&["models", "info", "full"]).1.contains(&full), "the full precision is in the pack");
    assert!(home.mynah(&["models", "use", "full"]).0);
    home.sounds(&home.place("clip.wav"));
    let (first, _) = home.convert(&home.place("clip.wav"), "live", "512");

    let (named, voices) = (
        [("int8/asr", "asr.int8.onnx"), ("int8/dit", "dit.int8.onnx")],
        ("int8/speaker/speaker", "speaker/speaker.int8.onnx"),
    );
    let eight = folder("eight", &[&named[..], &graphs[3..], &[memory, voices]].concat());
    let (ok, told) = home.mynah(&["models", "add", &eight, "--id", "eight"]);
    assert!(
        ok && told.contains("asr.int8.onnx, dit.int8.onnx, speaker/speaker.int8.onnx have a smaller precision"),
        "{told}"
    );
    assert!(home.mynah(&["models", "use", "eight"]).0);
    home.sounds(&home.place("clip.wav"));
    assert!(
        home.convert(&home.place("clip.wav"), "live", "512").0.channels != first.channels,
        "other numbers, other sound"
    );
}

#[test]
fn a_pack_of_meanvc_says_in_how_many_steps_it_paints() {
    let home = Home::new();
    let parts = [("encoder", "asr"), ("memory", "gtm"), ("flow", "dit"), ("vocoder", "vocos")];
    let names: Vec<(String, String)> =
        parts.map(|(part, name)| (format!("contracts-meanvc/meanvc2-4/{part}.onnx"), format!("{name}.onnx"))).to_vec();
    let mut files: Vec<(&str, &str)> = names.iter().map(|(from, to)| (from.as_str(), to.as_str())).collect();
    files.push(("contracts-meanvc/meanvc/speaker.onnx", "speaker.onnx"));
    home.add(&home.folder("mean", &files), "mean", "meanvc2");
    let manifest = home.0.path().join("packs/mean/pack.toml");
    let told = std::fs::read_to_string(&manifest).expect("a manifest");
    let steps = |n: &str| std::fs::write(&manifest, format!("painting_steps = {n}\n{told}")).expect("written");
    let clip = home.place("clip.wav");
    let (usual, _) = home.convert(&clip, "live", "512");
    steps("2");
    assert!(
        home.convert(&clip, "live", "512").0.channels == usual.channels,
        "two is what it does where nothing is told"
    );
    steps("1");
    assert!(home.mynah(&["models", "info", "mean"]).1.contains("paints its frames in 1 step\n"));
    let (ok, json) = home.mynah(&["models", "info", "mean", "--json"]);
    assert!(ok && json.contains("\"painting_steps\": 1") || json.contains("\"painting_steps\":1"), "{json}");
    assert!(home.convert(&clip, "live", "512").0.channels != usual.channels, "one step paints otherwise");
    steps("3");
    let (_, told) = home.mynah(&["models", "list"]);
    assert!(
        told.contains("pack.toml`, line 1") && told.contains("`painting_steps` is 3 where 1 or 2 is expected"),
        "{told}"
    );
}
