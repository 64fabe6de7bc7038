#!/usr/bin/env python3
"""whisper.py MODEL_FOLDER FURTHER_BIN PRETRAINED_PT: writes the goldens of src/recognition/whisper/features.rs and tests/build.rs to tests/golden.

MODEL_FOLDER holds Whisper tiny.en in CTranslate2's layout, FURTHER_BIN (models/whisper-tiny-en/encoder.bin) the variables that stand in
the place of those with their names, PRETRAINED_PT is Resemblyzer's. They are recomputed with other people's
programs: faster-whisper's features, CTranslate2's encoder, torch's LSTM.
pip: numpy==2.4.6 faster-whisper==1.2.1 ctranslate2 torch==2.15.0
"""
import pathlib
import shutil
import struct
import sys
import tempfile

import ctranslate2
import numpy as np
import torch
from faster_whisper.feature_extractor import FeatureExtractor

OUT = pathlib.Path(__file__).resolve().parents[3] / "tests" / "golden"


def write(name, array):
    np.ascontiguousarray(array, dtype="<f4").tofile(OUT / f"{name}.f32")


def places(data):
    """{name: (shape, type, from, to)} of the variables of a CTranslate2 file."""
    at = 0

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
    found = {}
    for _ in range(take("<I")):
        name = text()
        shape = [take("<I") for _ in range(take("<B"))]
        kind, size = take("<B"), take("<I")
        found[name] = (shape, kind, at, at + size)
        at += size
    return found


def merged(model, further, folder):
    """The model with the further variables in the place of those with their names: all are half floats of the same shape."""
    shutil.copytree(model, folder, dirs_exist_ok=True)
    data, new = bytearray((model / "model.bin").read_bytes()), further.read_bytes()
    old = places(data)
    for name, (shape, kind, start, end) in places(new).items():
        assert old[name][:2] == (shape, kind), name
        data[old[name][2] : old[name][3]] = new[start:end]
    (folder / "model.bin").write_bytes(data)
    return {n: np.frombuffer(data[a:b], np.float16).reshape(s).astype(np.float32) for n, (s, k, a, b) in old.items() if k == 4}


model, further, pretrained = map(pathlib.Path, sys.argv[1:])

i = np.arange(8000)
glide = (0.3 * np.sin(i * 0.11) + 0.2 * np.sin(i * i * 0.0001)).astype(np.float32)
write("whisper_mel", FeatureExtractor(feature_size=80)(np.pad(glide, (0, 1600)), padding=0)[:, :60])

mel = (0.5 * np.sin(np.arange(80 * 3000) * 0.01)).astype(np.float32).reshape(1, 80, 3000)
with tempfile.TemporaryDirectory() as folder:
    variables = merged(model, further, pathlib.Path(folder))
    whisper = ctranslate2.models.Whisper(folder, device="cpu", compute_type="float32")
    encoded = np.array(whisper.encode(ctranslate2.StorageView.from_array(mel)))[0]
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
