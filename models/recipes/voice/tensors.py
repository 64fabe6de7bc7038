"""The file `voice.safetensors`: the weights of a voice pack, large matrices in eight bits with a scale a row, and what a reader must know of the network.

Knows neither ONNX nor sound. The native network of the product reads this file; the graphs of the pack refer to bytes of it, so all say the same numbers.
The format is that of safetensors: eight bytes of length, a JSON header, then the numbers without gaps.
"""

import json

import numpy as np
import torch

from encoder import DILATIONS, WIDTH as ENCODER_WIDTH
from layers import KERNEL
from model import AHEAD, BANDS, CONTENT, DECODER, FALL, FFT, HOP, MELS, MODES, MODULATED, RATE, RECURRENT_AT, RISE, SPEAKER, TIMBRE, WIDTH

NAME = "voice.safetensors"
SCALE = ".scale"  # what the name of a matrix's scales ends with
DTYPES = {np.dtype(np.float32): "F32", np.dtype(np.float16): "F16", np.dtype(np.int8): "I8"}
CLIPS = np.linspace(1.0, 0.8, 21)  # of a row's largest number, that the codes may reach to


def listed(numbers):
    return ",".join(str(n) for n in numbers)


ABOUT = {
    "family": "mynah", "format": 2, "rate": RATE, "hop": HOP, "rise": RISE, "fall": FALL, "n_fft": FFT, "n_mels": MELS, "bands": BANDS, "width": WIDTH,
    "encoder_width": ENCODER_WIDTH,
    "content": CONTENT, "speaker": SPEAKER, "timbre": TIMBRE, "kernel": KERNEL, "encoder": listed(DILATIONS), "decoder": listed(DECODER),
    "modulated": listed(MODULATED), "recurrent_at": RECURRENT_AT, "modes": ",".join(MODES), **{f"ahead.{mode}": listed(AHEAD[mode]) for mode in MODES},
}  # fmt: skip


def eight_bits(matrix):
    """Rows of a matrix [out, ..] as whole numbers from -127 to 127 and a scale each, [out]: of a few scales the one that loses least (squared error)."""
    rows = matrix.reshape(len(matrix), -1).astype(np.float64)
    largest = np.abs(rows).max(1, keepdims=True) + 1e-12
    best, scales = np.full(len(rows), np.inf), np.zeros(len(rows), np.float32)
    for clip in CLIPS:
        scale = (largest * clip / 127).astype(np.float32)
        lost = np.square(np.clip(np.round(rows / scale), -127, 127) * scale - rows).sum(1)
        scales = np.where(lost < best, scale[:, 0], scales)
        best = np.minimum(lost, best)
    codes = np.clip(np.round(rows / scales[:, None]), -127, 127).astype(np.int8)
    return codes.reshape(matrix.shape), scales


def is_matrix(name, values):
    """Whether it is kept in eight bits: matrices of the voice, but no table of rows and no taps of single channels."""
    return values.ndim >= 2 and min(values.shape[:2]) > 3 and not name.startswith("reference.")


def tensors(model):
    """What the file holds, by name: `X` and `X.scale` of a matrix, everything else as 32-bit floats; the reference encoder's large ones as 16-bit floats."""
    held = {}
    for name, value in model.state_dict().items():
        values = value.numpy()
        if is_matrix(name, values):
            held[name], held[name + SCALE] = eight_bits(values)
        else:
            held[name] = values.astype(np.float16 if name.startswith("reference.") and values.size >= 1024 else np.float32)
    held["bands"] = model.bands.numpy().astype(np.float32)
    return held


def widened(held):
    """A state for `Voice` with the file's numbers: the float model that says what the file says."""
    scale = lambda name: held[name + SCALE].reshape(-1, *(1,) * (held[name].ndim - 1))
    matrix = lambda name, values: values.astype(np.float32) * scale(name) if name + SCALE in held else values.astype(np.float32)
    return {name: torch.tensor(matrix(name, values)) for name, values in held.items() if not name.endswith(SCALE) and name != "bands"}


def write(path, held):
    """Writes the file; gives where the bytes of each tensor lie: offset from the file's beginning and length."""
    header, at = {"__metadata__": {k: str(v) for k, v in ABOUT.items()}}, 0
    # Wide numbers first: so each lies at a multiple of its own size.
    names = sorted(held, key=lambda n: (-held[n].itemsize, n))
    for name in names:
        values = held[name]
        header[name] = {"dtype": DTYPES[values.dtype], "shape": list(values.shape), "data_offsets": [at, at + values.nbytes]}
        at += values.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(len(text) + 8) % 64)
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(np.ascontiguousarray(held[n]).tobytes() for n in names))
    return {n: (8 + len(text) + header[n]["data_offsets"][0], held[n].nbytes) for n in names}
