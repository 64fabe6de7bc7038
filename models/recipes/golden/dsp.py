#!/usr/bin/env python3
"""dsp.py: writes the goldens of src/dsp/mel.rs to tests/golden (pip: numpy librosa)."""
import pathlib

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
