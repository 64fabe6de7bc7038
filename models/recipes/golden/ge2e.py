#!/usr/bin/env python3
"""ge2e.py CLIP: writes the reference and the goldens of src/voice/{ge2e,enrol}.rs to tests/golden.

pip: numpy soundfile librosa swift-f0, and Resemblyzer (its webrtcvad is not needed).
"""
import pathlib
import sys
import types

import librosa
import numpy as np
import soundfile as sf
from swift_f0 import SwiftF0

stub = types.ModuleType("webrtcvad")
stub.Vad = None
sys.modules.setdefault("webrtcvad", stub)
from resemblyzer import VoiceEncoder  # noqa: E402

OUT = pathlib.Path(__file__).resolve().parents[3] / "tests" / "golden"
clip, rate = sf.read(sys.argv[1], dtype="float32")
sf.write(OUT / "reference.flac", librosa.resample(clip, orig_sr=rate, target_sr=16000), 16000, subtype="PCM_16")
x, _ = sf.read(OUT / "reference.flac", dtype="float32")
embedding = VoiceEncoder("cpu", verbose=False).embed_utterance(x / abs(x).max() * 0.7)
np.asarray(embedding, "<f4").tofile(OUT / "reference_embedding.f32")
track = SwiftF0(threads=1, spin=False).detect(x, 16000, 60, 500)
np.asarray([np.median(track.pitch_hz[track.confidence >= 0.9])], "<f4").tofile(OUT / "reference_pitch.f32")
print("windows", [(n, len(VoiceEncoder.compute_partial_slices(n, 1.3, 0.75)[0])) for n in (1, 16000, 25600, 33000, 36000, 48000, 80000, 480000)])
