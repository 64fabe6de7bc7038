#!/usr/bin/env python3
"""dsp.py: writes the goldens of src/dsp/mel.rs and of src/dsp/fbank.rs to tests/golden (pip: numpy librosa kaldi-native-fbank soundfile)."""
import pathlib

import kaldi_native_fbank as knf
import librosa
import numpy as np
import soundfile as sf

OUT = pathlib.Path(__file__).resolve().parents[3] / "tests" / "golden"


def write(name, array):
    np.ascontiguousarray(array, dtype="<f4").tofile(OUT / f"{name}.f32")


write("mel_24k", librosa.filters.mel(sr=24000, n_fft=1024, n_mels=80, fmin=40, fmax=11500))
write("mel_16k", librosa.filters.mel(sr=16000, n_fft=400, n_mels=40))
i = np.arange(4000)
x = (0.3 * np.sin(i * 0.11) + 0.2 * np.sin(i * i * 0.0002)).astype(np.float32)
write("ge2e_mel", librosa.feature.melspectrogram(y=x, sr=16000, n_fft=400, hop_length=160, n_mels=40).T)

speech, _ = sf.read(OUT / "reference.flac", dtype="float32")
speech = speech[16000:24000]
write("fbank_input", speech)


def fbank(name, frame, mel, scale=1):
    options = knf.FbankOptions()
    options.frame_opts.dither, options.frame_opts.snip_edges, options.mel_opts.num_bins = 0, False, 80
    for part, settings in ((options.frame_opts, frame), (options.mel_opts, mel)):
        for key, value in settings.items():
            setattr(part, key, value)
    bank = knf.OnlineFbank(options)
    bank.accept_waveform(16000, speech * scale)
    bank.input_finished()
    write(name, np.stack([bank.get_frame(t) for t in range(bank.num_frames_ready)]))


fbank("fbank", {}, {"high_freq": -400})
fbank("fbank_nemo", {"remove_dc_offset": False, "window_type": "hann"}, {"low_freq": 0, "high_freq": 8000, "is_librosa": True})
fbank("fbank_funasr", {"snip_edges": True, "window_type": "hamming"}, {"high_freq": 0}, 32768)
# Whisper's are made by another class, which leaves the logarithm to its user.
whisper = knf.OnlineWhisperFbank(knf.WhisperFeatureOptions())
whisper.accept_waveform(16000, speech)
whisper.input_finished()
write("fbank_whisper", np.log10(np.maximum(np.stack([whisper.get_frame(t) for t in range(whisper.num_frames_ready)]), 1e-10)))
