#!/usr/bin/env python3
"""whisper.py MODEL_FOLDER PRETRAINED_PT: writes the goldens of src/captions/whisper/features.rs and tests/build.rs to tests/golden.

MODEL_FOLDER holds Whisper tiny.en in CTranslate2's layout, PRETRAINED_PT is Resemblyzer's. They are recomputed with other people's
programs: faster-whisper's features, CTranslate2's encoder, torch's LSTM.
pip: numpy==2.4.6 faster-whisper==1.2.1 ctranslate2 torch==2.15.0
"""
import pathlib
import struct
import sys

import ctranslate2
import numpy as np
import torch
from faster_whisper.feature_extractor import FeatureExtractor

OUT = pathlib.Path(__file__).resolve().parents[3] / "tests" / "golden"


def write(name, array):
    np.ascontiguousarray(array, dtype="<f4").tofile(OUT / f"{name}.f32")


def ct2_variables(path):
    data, at = path.read_bytes(), 0

    def take(form):
        nonlocal at
        (value,) = struct.unpack_from(form, data, at)
        at += struct.calcsize(form)
        return value

    def text():
        nonlocal at
        length = take("<H")
        at += length
        return data[at - length : at - 1].decode()

    take("<I"), text(), take("<I")
    variables = {}
    for _ in range(take("<I")):
        name = text()
        shape = [take("<I") for _ in range(take("<B"))]
        kind, size = take("<B"), take("<I")
        if kind == 4:
            variables[name] = np.frombuffer(data[at : at + size], np.float16).reshape(shape).astype(np.float32)
        at += size
    return variables


model, pretrained = map(pathlib.Path, sys.argv[1:])

i = np.arange(8000)
glide = (0.3 * np.sin(i * 0.11) + 0.2 * np.sin(i * i * 0.0001)).astype(np.float32)
write("whisper_mel", FeatureExtractor(feature_size=80)(np.pad(glide, (0, 1600)), padding=0)[:, :60])

mel = (0.5 * np.sin(np.arange(80 * 3000) * 0.01)).astype(np.float32).reshape(1, 80, 3000)
whisper = ctranslate2.models.Whisper(str(model), device="cpu", compute_type="float32")
encoded = np.array(whisper.encode(ctranslate2.StorageView.from_array(mel)))[0]
variables = ct2_variables(model / "model.bin")
rows = []
for layer in (0, 3):
    name = f"decoder/layer_{layer}/attention/linear_1"
    both = encoded @ variables[f"{name}/weight"].T + variables[f"{name}/bias"]
    rows += [both[position] for position in (0, 700, 1499)]
# For layers 0 and 3, for positions 0, 700 and 1499: 384 keys, then 384 values.
write("whisper_cross", rows)

state = torch.load(pretrained, map_location="cpu", weights_only=True)["model_state"]
lstm, linear = torch.nn.LSTM(40, 256, 3, batch_first=True), torch.nn.Linear(256, 256)
lstm.load_state_dict({k.removeprefix("lstm."): v for k, v in state.items() if k.startswith("lstm.")})
linear.load_state_dict({k.removeprefix("linear."): v for k, v in state.items() if k.startswith("linear.")})
n, t, b = np.ogrid[:2, :160, :40]
mel = (0.02 * (1 + np.sin(0.05 * t + 0.3 * b + n))).astype(np.float32)
with torch.no_grad():
    raw = torch.relu(linear(lstm(torch.from_numpy(mel))[1][0][-1]))
    write("ge2e_graph", (raw / raw.norm(dim=1, keepdim=True)).numpy())
