#!/usr/bin/env python3
"""mynah.py [CLIP SPEAKER.wav]: writes the goldens of src/voice/mynah/golden.rs to tests/golden. Run it whenever the voice model changes.

What the graph and the synthesis make of the first second of a clip when pitch is given and the noise is muted. Without arguments the clip, its
pitch and the speaker are those that lie in tests/golden already.
pip: numpy librosa onnxruntime; for another clip soundfile, swift-f0 and Resemblyzer too.
"""
import pathlib
import sys
import types

import librosa
import numpy as np
import onnxruntime as ort

ROOT = pathlib.Path(__file__).resolve().parents[3]
OUT = ROOT / "tests" / "golden"
RATE, HOP, WIN, NFFT, LOOK = 24000, 240, 960, 1024, 3
HANN = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WIN) / WIN)
MEL = librosa.filters.mel(sr=RATE, n_fft=NFFT, n_mels=80, fmin=40, fmax=11500)


def spectrum(x):
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(x, WIN // 2), WIN)[::HOP]
    return np.fft.rfft(frames * HANN, NFFT)


def write(name, array):
    np.ascontiguousarray(array, dtype="<f4").tofile(OUT / f"mynah_{name}.f32")


def read(name):
    return np.fromfile(OUT / f"mynah_{name}.f32", "<f4")


def take(clip_path, speaker_path):
    """Another clip and speaker become the ones of the tests."""
    import soundfile as sf
    from swift_f0 import SwiftF0

    clip, rate = sf.read(clip_path, dtype="float32")
    clip = librosa.resample(clip, orig_sr=rate, target_sr=RATE)
    start = int(np.argmax(abs(clip) > 0.02))
    pcm = np.round(clip[start:start + RATE] * 32767).astype("<i2")
    pcm.tofile(OUT / "mynah_clip.i16")
    r, rate = sf.read(speaker_path, dtype="float32")
    r = librosa.resample(r, orig_sr=rate, target_sr=16000)
    stub = types.ModuleType("webrtcvad")
    stub.Vad = None
    sys.modules.setdefault("webrtcvad", stub)
    from resemblyzer import VoiceEncoder

    write("speaker", VoiceEncoder("cpu", verbose=False).embed_utterance(r / abs(r).max() * 0.7).astype(np.float32))
    x = (pcm / 32768).astype(np.float32)
    n = len(x) // HOP
    track = SwiftF0(threads=1, spin=False).detect(librosa.resample(x, orig_sr=RATE, target_sr=16000), 16000, 60, 500)
    t = np.arange(n) * HOP / RATE
    nearest = np.clip(np.searchsorted(track.timestamps, t), 0, len(track.timestamps) - 1)
    sure = track.confidence >= 0.5
    write("f0", np.where(sure[nearest], np.interp(t, track.timestamps[sure], track.pitch_hz[sure]), 0).astype(np.float32))


if len(sys.argv) == 3:
    take(*sys.argv[1:])
x = (np.fromfile(OUT / "mynah_clip.i16", "<i2") / 32768).astype(np.float32)
speaker, f0, n = read("speaker"), read("f0"), len(x) // HOP

mel = np.log(abs(spectrum(x)[:n]) ** 2 @ MEL.T + 1e-5).astype(np.float32)
energy = np.log(np.exp(mel).mean(1) + 1e-4).astype(np.float32)
net = ort.InferenceSession(str(ROOT / "models" / "mynah-voice" / "voice.onnx"))
feed = {i.name: np.zeros(i.shape, np.float32) for i in net.get_inputs() if i.name.startswith("state_")}
feed |= {"mel": mel[None], "f0": f0[None], "energy": energy[None], "speaker": speaker[None]}
H, N, F = (a[0][LOOK:].astype(np.float64) for a in net.run(["harmonic", "noise", "f0_delayed"], feed))
assert np.array_equal(F, f0[:n - LOOK])
write("harmonic", H[::8])
write("noise", N[::8])

voice = np.repeat(f0 > 0, HOP)
at = (np.arange(n * HOP) + 0.5) / HOP - 0.5
f = np.interp(at, np.arange(n), np.where(f0 > 0, f0, 1.0).astype(np.float64))
phase = np.cumsum(f / RATE) % 1.0
cycles = np.where(phase > 0.5, phase - 1, phase)
pulse = np.sinc(cycles * RATE / np.maximum(f, 1)) * voice * np.sqrt(RATE / np.maximum(f, 40)) * 0.3
Y = np.fft.irfft(spectrum(pulse)[:n - LOOK] * H, NFFT)[:, :WIN] * HANN
z = np.zeros(n * HOP + WIN)
for t, y in enumerate(Y):
    z[t * HOP:t * HOP + WIN] += y
write("sound", z[WIN // 2:WIN // 2 + (n - LOOK - 3) * HOP] / 1.5)
