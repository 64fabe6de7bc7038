#!/usr/bin/env python3
"""pitch.py PROGRAM META.jsonl.gz CORPUS_FOLDER [RECORDING...]: our pitch and swift-f0's against the corpus's exact labels, and against each other.

PROGRAM is the built examples/pitch_track. Voicing error: frames in which voiced and unvoiced are mixed up. Gross error: frames voiced in both
whose pitch is off by more than 20 %. RPA50: share of truly voiced frames that are called voiced within 50 cents. Frames 10 ms apart.
pip: numpy soundfile librosa swift-f0.
"""
import gzip
import json
import pathlib
import subprocess
import sys

import librosa
import numpy as np
import soundfile as sf
from swift_f0 import SwiftF0

swift_model = SwiftF0(threads=1, spin=False)


def ours(x24, *arguments):
    out = subprocess.run([sys.argv[1], *map(str, arguments)], input=x24.astype("<f4").tobytes(), stdout=subprocess.PIPE, check=True).stdout
    return np.frombuffer(out, "<f4")


def swift(x24, n, sure=0.5):
    r = swift_model.detect(librosa.resample(x24, orig_sr=24000, target_sr=16000), 16000, 50, 800)
    t = np.arange(n) * 0.01
    i = np.clip(np.round((t - r.timestamps[0]) / 0.016).astype(int), 0, len(r.timestamps) - 1)
    voiced = r.confidence >= sure
    f = np.interp(t, r.timestamps[voiced], r.pitch_hz[voiced]) if voiced.any() else np.zeros(n)
    return np.where(voiced[i], f, 0)


def score(f, truth, mask):
    f, truth = f[mask], truth[mask]
    both = (f > 0) & (truth > 0)
    cents = 1200 * np.log2(f[both] / truth[both])
    return np.array([((f > 0) != (truth > 0)).sum(), mask.sum(), (abs(f[both] / truth[both] - 1) > 0.2).sum(), both.sum(),
                     (abs(cents) < 50).sum(), (truth > 0).sum(), ((f > 0) & (truth == 0)).sum(), (truth == 0).sum()], float)


def show(name, s):
    print(f"{name:24s} voicing error {100 * s[0] / s[1]:5.2f} %  false voiced {100 * s[6] / max(1, s[7]):5.2f} %  missed {100 * (1 - s[3] / s[5]):5.2f} %  "
          f"gross {100 * s[2] / s[3]:5.2f} %  RPA50 {100 * s[4] / s[5]:5.2f} %")


def candidates(x, n, settings):
    yield "swift-f0 (160 ms ahead)", swift(x, n)
    for s in settings:
        yield f"ours {s}", ours(x, *s)[:n]


def main():
    settings = [tuple(s.split(",")) for s in sys.argv[4:] if not pathlib.Path(s).exists()] or [(0,), (2,), (8,)]
    recordings = [s for s in sys.argv[4:] if pathlib.Path(s).exists()]
    total = {}
    files = [json.loads(line) for line in gzip.open(sys.argv[2], "rt")]
    folder = pathlib.Path(sys.argv[3])
    files = [m for m in files if m["set"] == "a"][::30]
    for m in files:
        x, _ = sf.read(folder / m["file"].replace(".flac", ".opus"), dtype="float32")
        label = np.array(m["f0_80hz"])
        n = len(x) // 240
        # Labels are 12.5 ms apart; both trackers agree best with them when the first lies at 0. Where a label is between voiced and not, or
        # moves fast, it says nothing.
        at = np.arange(n) * 0.01 / 0.0125
        i = np.clip(np.round(at).astype(int), 0, len(label) - 1)
        low, high = label[np.clip(np.floor(at).astype(int), 0, len(label) - 1)], label[np.clip(np.ceil(at).astype(int), 0, len(label) - 1)]
        truth = np.where(label[i] > 50, np.interp(at, np.arange(len(label)), label), 0)
        mask = ((low > 50) == (high > 50)) & ((truth == 0) | (abs(low - high) < 0.15 * np.maximum(low, 1)))
        mask &= ~((label[i] > 15) & (label[i] <= 50))
        for name, f in candidates(x, n, settings):
            total[name] = total.get(name, 0) + score(f, truth, mask)
    print(f"corpus: {len(files)} recordings, exact labels")
    for name, s in total.items():
        show(name, s)
    total = {}
    for path in recordings:
        if path.endswith(".raw"):
            x, rate = np.fromfile(path, "<i2").astype(np.float32) / 32768, 16000
        else:
            x, rate = sf.read(path, dtype="float32", always_2d=True)
            x = x.mean(1)
        x = librosa.resample(x, orig_sr=rate, target_sr=24000)
        n = len(x) // 240
        # No labels: pYIN is slow but of another kind than both; it is the judge where it is sure.
        f, voiced, sure = librosa.pyin(x, fmin=50, fmax=800, sr=24000, frame_length=2048, hop_length=240, center=True)
        f, sure = np.where(voiced, np.nan_to_num(f), 0)[:n], sure[:n]
        mask = (sure > 0.6) | (sure < 0.1)
        for name, g in candidates(x, n, settings):
            total[name] = total.get(name, 0) + score(g, f, mask)
    if recordings:
        print(f"real: {len(recordings)} recordings, judged by pYIN where it is sure")
    for name, s in total.items():
        show(name, s)


main()
