#!/usr/bin/env python3
"""dsp.py: writes the goldens of src/dsp/mel.rs and of src/dsp/fbank.rs to tests/golden (pip: numpy librosa kaldi-native-fbank)."""
import pathlib

import kaldi_native_fbank as knf
import librosa
import numpy as np

OUT = pathlib.Path(__file__).resolve().parents[3] / "tests" / "golden"


def write(name, array):
    np.ascontiguousarray(array, dtype="<f4").tofile(OUT / f"{name}.f32")


write("mel_24k", librosa.filters.mel(sr=24000, n_fft=1024, n_mels=80, fmin=40, fmax=11500))
write("mel_16k", librosa.filters.mel(sr=16000, n_fft=400, n_mels=40))
i = np.arange(4000)
x = (0.3 * np.sin(i * 0.11) + 0.2 * np.sin(i * i * 0.0002)).astype(np.float32)
write("ge2e_mel", librosa.feature.melspectrogram(y=x, sr=16000, n_fft=400, hop_length=160, n_mels=40).T)

options = knf.FbankOptions()
options.frame_opts.dither, options.frame_opts.snip_edges = 0, False
options.mel_opts.num_bins, options.mel_opts.high_freq = 80, -400
fbank = knf.OnlineFbank(options)
fbank.accept_waveform(16000, x)
fbank.input_finished()
write("fbank", np.stack([fbank.get_frame(t) for t in range(fbank.num_frames_ready)]))
