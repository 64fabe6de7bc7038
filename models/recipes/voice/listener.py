"""Whisper tiny.en's encoder, frozen and differentiable, fed from 24 kHz sound: what a recogniser makes of a sound, for losses.

Weights from CTranslate2's file (spec WhisperSpec, binary version 6: names, shapes, types, numbers). The encoder hears a stretch as long as the sound,
without Whisper's padding to 30 s. Architecture: Radford et al. 2022. Knows nothing of the voice model or of text.
"""

import struct

import librosa
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from model import power, spectrum

TYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
HEADS, LAYERS = 6, 4


def variables(path):
    """{name: array} of a CTranslate2 model file."""
    data, at, held = memoryview(path.read_bytes()), 0, {}

    def take(form):
        nonlocal at
        size = struct.calcsize(form)
        (value,) = struct.unpack_from(form, data, at)
        at += size
        return value

    def text():
        nonlocal at
        n = take("<H")
        value = bytes(data[at : at + n]).rstrip(b"\0").decode()
        at += n
        return value

    version = take("<I")
    if version < 5 or text() != "WhisperSpec":
        raise ValueError(f"{path} is no Whisper model of CTranslate2's binary version 5 or later.")
    take("<I")
    for _ in range(take("<I")):
        name, shape = text(), []
        for _ in range(take("<B")):
            shape.append(take("<I"))
        kind, size = TYPES[take("<B")], take("<I")
        held[name] = np.frombuffer(data, kind, size // np.dtype(kind).itemsize, at).reshape(shape)
        at += size
    return held


class Layer(nn.Module):
    """Self-attention and a wide layer, each after a norm, residual."""

    def __init__(self, width):
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.ask, self.answer = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.widen, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        q, k, v = (t.unflatten(-1, (HEADS, -1)).transpose(1, 2) for t in self.ask(self.norms[0](x)).chunk(3, -1))
        x = x + self.answer(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return x + self.narrow(F.gelu(self.widen(self.norms[1](x))))


class Listener(nn.Module):
    """[batch, samples] at 24 kHz → [batch, frames / 2, 384] at 50 Hz, unit variance a number."""

    WIDTH = 384

    def __init__(self, path):
        super().__init__()
        held = {k.removeprefix("encoder/"): torch.tensor(v.astype(np.float32)) for k, v in variables(path).items() if k.startswith("encoder/")}
        self.stem = nn.ModuleList((nn.Conv1d(80, self.WIDTH, 3, padding=1), nn.Conv1d(self.WIDTH, self.WIDTH, 3, stride=2, padding=1)))
        self.layers, self.norm = nn.ModuleList(Layer(self.WIDTH) for _ in range(LAYERS)), nn.LayerNorm(self.WIDTH)
        self.register_buffer("places", held["position_encodings/encodings"])
        self.register_buffer("mel", torch.tensor(librosa.filters.mel(sr=16000, n_fft=400, n_mels=80)).float(), persistent=False)

        def fill(layer, name, norm=False):
            layer.weight.data.copy_(held[f"{name}/{'gamma' if norm else 'weight'}"])
            layer.bias.data.copy_(held[f"{name}/{'beta' if norm else 'bias'}"])

        for i, conv in enumerate(self.stem, 1):
            fill(conv, f"conv{i}")
        for i, layer in enumerate(self.layers):
            fill(layer.norms[0], f"layer_{i}/self_attention/layer_norm", norm=True)
            fill(layer.ask, f"layer_{i}/self_attention/linear_0")
            fill(layer.answer, f"layer_{i}/self_attention/linear_1")
            fill(layer.norms[1], f"layer_{i}/ffn/layer_norm", norm=True)
            fill(layer.widen, f"layer_{i}/ffn/linear_0")
            fill(layer.narrow, f"layer_{i}/ffn/linear_1")
        fill(self.norm, "layer_norm", norm=True)
        self.requires_grad_(False)

    def features(self, sound):
        """Whisper's log-mel [batch, frames, 80]: its 400-point bins at 16 kHz are those of a 600-point transform at 24 kHz."""
        logs = torch.log10((power(spectrum(sound, 600, 600))[..., :201] * (400 / 600) ** 2 @ self.mel.T).clamp(min=1e-10))
        return (torch.maximum(logs, logs.amax((1, 2), keepdim=True) - 8) + 4) / 4

    def raw(self, sound):
        """[batch, frames / 2, 384] as the encoder ends."""
        h = self.features(sound)[:, : sound.shape[1] // 240].transpose(1, 2)
        for conv in self.stem:
            h = F.gelu(conv(h))
        h = h.transpose(1, 2)
        h = h + self.places[: h.shape[1]]
        for layer in self.layers:
            h = layer(h)
        return self.norm(h)

    def forward(self, sound):
        return F.layer_norm(self.raw(sound).float(), (self.WIDTH,))
