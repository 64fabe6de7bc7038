//! Values of the parameters set and read by a program of one's own, where no host does it. Knows no engine and no
//! window.

use nice_plug::params::InternalParamMut;

use super::params::{GATE_OFF, LateChoice, ModeChoice, MynahParams, PitchChoice};
use super::state::Settings;
use crate::clock::Mode;
use crate::realtime::LateSound;
use crate::voice::PitchMode;

fn set<P: InternalParamMut>(param: &P, plain: P::Plain) {
    // SAFETY: unsafe only to keep plugins from working around their host. The call stores atomics, which any thread may
    // do, and here no host is passed over: the program is the host.
    unsafe { param._internal_set_plain_value(plain) };
}

/// Takes these values, as a host would set them. Any thread but the audio thread.
pub fn apply(params: &MynahParams, values: &Settings) {
    set(&params.bypass, values.bypass);
    set(&params.voice.on, values.voice);
    set(
        &params.voice.mode,
        match values.mode {
            Mode::Live => ModeChoice::Live,
            Mode::Balanced => ModeChoice::Balanced,
            Mode::Studio => ModeChoice::Studio,
        },
    );
    match values.pitch {
        PitchMode::Auto | PitchMode::Known(_) => set(&params.voice.pitch, PitchChoice::Auto),
        PitchMode::Semitones(shift) => {
            set(&params.voice.pitch, PitchChoice::Semitones);
            set(&params.voice.semitones, shift);
        }
    }
    set(&params.sound.gate, values.gate_dbfs.max(GATE_OFF));
    set(&params.sound.mix, values.wet);
    set(&params.sound.gain, values.gain_db);
    set(
        &params.sound.late,
        match values.late {
            LateSound::Dry => LateChoice::Dry,
            LateSound::Silence => LateChoice::Silence,
        },
    );
    set(&params.captions.on, values.captions);
    if params.provider.get().0 != values.provider {
        params.provider.choose(values.provider);
    }
}

/// The values as they are.
pub fn of(params: &MynahParams) -> Settings {
    let mix = params.mix();
    let controls = params.controls();
    Settings {
        bypass: mix.bypass,
        voice: mix.voice,
        mode: params.mode(),
        pitch: controls.pitch,
        gate_dbfs: controls.gate_dbfs.max(GATE_OFF),
        wet: mix.wet,
        gain_db: params.sound.gain.value(),
        late: mix.late,
        captions: params.captions.on.value(),
        provider: params.provider.get().0,
    }
}

/// Sets the bypass: the input unchanged, at the same latency.
pub fn set_bypass(params: &MynahParams, on: bool) {
    set(&params.bypass, on);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::Provider;

    #[test]
    fn what_is_set_is_read_back() {
        let params = MynahParams::default();
        assert_eq!(of(&params), Settings::default());
        let other = Settings {
            bypass: true,
            voice: false,
            mode: Mode::Studio,
            pitch: PitchMode::Semitones(-3.5),
            gate_dbfs: -42.0,
            wet: 0.25,
            gain_db: 6.0,
            late: LateSound::Silence,
            captions: true,
            provider: Provider::Cuda,
        };
        apply(&params, &other);
        assert_eq!(of(&params), other);
        apply(&params, &Settings::default());
        assert_eq!(of(&params), Settings::default());
        set_bypass(&params, true);
        assert!(params.mix().bypass);
    }
}
