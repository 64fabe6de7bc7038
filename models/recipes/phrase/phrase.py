#!/usr/bin/env python3
"""phrase.py WORK OUT: render the phrase on which voices are auditioned, as OUT (a mono FLAC at 24 kHz).

WORK/kokoro is what ../voice/material.py lays out; phonemes come from espeak-ng. The weights of Kokoro-82M are under Apache-2.0, and the words are Mynah's own,
so the sound is Mynah's to ship. Needs onnxruntime and soundfile. Knows nothing of the voice model.
"""

import json
import pathlib
import subprocess
import sys

import numpy as np
import onnxruntime
import soundfile

RATE = 24000
TEXT = "Good evening, and welcome. This is how I would sound if I were reading to you."
VOICE = "am_michael"
PEAK, EDGE = 0.5, 0.08  # of full scale; seconds of quiet that stay at either end


def main(work, out):
    vocabulary = json.loads((work / "kokoro/vocab.json").read_text())["vocab"]
    said = subprocess.run(["espeak-ng", "-q", "--ipa", "-v", "en-us", TEXT], capture_output=True, text=True, check=True).stdout
    ids = [vocabulary[c] for c in said.strip().replace("\n", ", ") + "." if c in vocabulary]
    style = np.fromfile(work / f"kokoro/voices/{VOICE}.bin", np.float32).reshape(-1, 256)[len(ids)][None]
    graph = b"".join((work / f"kokoro/kokoro.{i}.bin").read_bytes() for i in range(1, 5))
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    feeds = {"tokens": np.array([[0, *ids, 0]]), "style": style, "speed": np.array([1.1], np.float32)}
    sound = session.run(None, feeds)[0].squeeze()
    loud = np.flatnonzero(abs(sound) > 0.01 * abs(sound).max())
    sound = sound[max(0, loud[0] - int(EDGE * RATE)) : loud[-1] + int(EDGE * RATE)]
    soundfile.write(out, sound * PEAK / abs(sound).max(), RATE, subtype="PCM_16")
    print(f"{len(sound) / RATE:.2f} s in {out}, {out.stat().st_size} bytes")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
