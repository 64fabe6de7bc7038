#!/usr/bin/env python3
"""mynah.py [CLIP SPEAKER.wav]: writes the goldens of src/voice/mynah to tests/golden. Run it whenever the voice model changes.

What the graphs and the synthesis make of the first second of a clip when pitch is given and the noise is muted, and the clip's timbre. Without
arguments the clip, its pitch and the speaker are those that lie in tests/golden already.
pip: numpy librosa onnxruntime; for another clip soundfile, swift-f0 and Resemblyzer too.
"""
import pathlib
import sys
import types

import librosa
import numpy as np
import onnxruntime as ort

ROOT = pathlib.Path(__file__).resolve().parents[3]
OUT, PACK = ROOT / "tests" / "golden", ROOT / "models" / "mynah-voice"
RATE, HOP, RISE, FALL, NFFT = 24000, 240, 720, 240, 1024
LOOK = {"live": 1, "balanced": 4, "studio": 12}
KEPT = 24  # one of so many frames' filters is written
MEL = librosa.filters.mel(sr=RATE, n_fft=NFFT, n_mels=80, fmin=40, fmax=11500)


def hann(n):
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)


def spectrum(x, before, after, window):
    """Frame t is x[t * HOP - before : t * HOP + after] under the window."""
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(x, (before, after)), before + after)[::HOP]
    return np.fft.rfft(frames * window, NFFT)


def minimum_phase(magnitudes):
    """What lies before time 0 in the cepstrum of the magnitudes, folded onto what lies after."""
    cepstrum = np.fft.irfft(np.log(np.maximum(magnitudes, 1e-6)), NFFT)
    cepstrum[:, 1:NFFT // 2] *= 2
    cepstrum[:, NFFT // 2 + 1:] = 0
    return np.exp(np.fft.rfft(cepstrum, NFFT))


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

lean = np.concatenate([hann(2 * RISE)[:RISE], hann(2 * FALL)[FALL:]])
mel = np.log(abs(spectrum(x, RISE, FALL, lean)[:n]) ** 2 @ MEL.T + 1e-5).astype(np.float32)
energy = np.log(np.exp(mel).mean(1) + 1e-4).astype(np.float32)
(timbre,) = ort.InferenceSession(str(PACK / "reference.onnx")).run(["timbre"], {"mel": mel[None]})
write("timbre", timbre)

(modulation,) = ort.InferenceSession(str(PACK / "voice.modulation.onnx")).run(None, {"speaker": np.concatenate([speaker, timbre[0]])[None]})

for mode, look in LOOK.items():
    net = ort.InferenceSession(str(PACK / f"voice.{mode}.onnx"))
    assert int(net.get_modelmeta().custom_metadata_map["lookahead_frames"]) == look
    feed = {i.name: np.zeros(i.shape, np.float32) for i in net.get_inputs() if i.name.startswith("state_")}
    # Pitch and energy go in with the frame that comes out; before the first one there is silence.
    later = lambda values, silence: np.concatenate([np.full(look, silence, np.float32), values[:n - look]])[None]
    feed |= {"mel": mel[None], "f0": later(f0, 0), "energy": later(energy, np.log(1.1e-4)), "modulation": modulation}
    H, N = (a[0][look:].astype(np.float64) for a in net.run(["harmonic", "noise"], feed))
    write(f"harmonic_{mode}", H[::KEPT])
    write(f"noise_{mode}", N[::KEPT])
    if mode == "live":
        filters = minimum_phase(H)

voice = np.repeat(f0 > 0, HOP)
at = (np.arange(n * HOP) + 0.5) / HOP - 0.5
f = np.interp(at, np.arange(n), np.where(f0 > 0, f0, 1.0).astype(np.float64))
phase = np.cumsum(f / RATE) % 1.0
cycles = np.where(phase > 0.5, phase - 1, phase)
pulse = np.sinc(cycles * RATE / np.maximum(f, 1)) * voice * np.sqrt(RATE / np.maximum(f, 40)) * 0.3
z = np.zeros(n * HOP + NFFT)
for t, y in enumerate(np.fft.irfft(spectrum(pulse, HOP, HOP, hann(2 * HOP))[:len(filters)] * filters, NFFT)):
    z[t * HOP:t * HOP + NFFT] += y
write("sound", z[HOP:len(filters) * HOP])
