"""Makes tests/data/vad: a sentence between silences, and the probabilities that Silero's own Python wrapper gives for it.

Needs: pip install silero-vad==6.2.3 (the same model file as 6.2.0; its wrapper needs no torchaudio) onnxruntime==1.31.1 torch soundfile numpy
Run:   python models/recipes/golden/vad.py SENTENCE.wav
SENTENCE.wav is a 16 kHz mono recording; ours is `sense_and_sensibility_01_austen_64kb-0880.wav` of Debian's pocketsphinx-testdata
(a LibriVox recording, public domain).
"""
import json
import pathlib
import sys

import numpy as np
import silero_vad
import soundfile as sf
import torch

FRAME = 512
OUT = pathlib.Path(__file__).parents[3] / "tests/data/vad"


def main():
    voice, rate = sf.read(sys.argv[1], dtype="float32")
    assert rate == 16000 and voice.ndim == 1
    quiet = np.zeros(11200, np.float32)
    sound = np.concatenate([quiet, voice, quiet])
    sf.write(OUT / "sentence.flac", sound, rate, subtype="PCM_16")
    sound, _ = sf.read(OUT / "sentence.flac", dtype="float32")
    model = silero_vad.load_silero_vad(onnx=True, opset_version=15)
    model.reset_states()
    frames = [sound[i:i + FRAME] for i in range(0, len(sound), FRAME)]
    frames[-1] = np.pad(frames[-1], (0, FRAME - len(frames[-1])))
    probabilities = [float(model(torch.from_numpy(f), rate)[0, 0]) for f in frames]
    (OUT / "sentence.json").write_text(json.dumps([round(p, 6) for p in probabilities]) + "\n")


main()
