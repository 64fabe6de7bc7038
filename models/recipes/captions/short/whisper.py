"""Whisper tiny.en in torch from CTranslate2's file: features, encoder, decoder with the weights of its alignment heads.

Architecture: Radford et al. 2022; file: spec WhisperSpec (names, shapes, types). Knows nothing of training or of data.
"""

import json
import pathlib
import struct

import librosa
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

RATE, HOP, POSITION = 16000, 160, 320  # samples a second, a frame, a position of the encoder
TYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}


def variables(path):
    """{name: array} of a CTranslate2 model file."""
    data, at, held = memoryview(pathlib.Path(path).read_bytes()), 0, {}

    def take(form):
        nonlocal at
        (value,) = struct.unpack_from(form, data, at)
        at += struct.calcsize(form)
        return value

    def text():
        nonlocal at
        n = take("<H")
        at += n
        return bytes(data[at - n : at]).rstrip(b"\0").decode()

    if take("<I") < 5 or text() != "WhisperSpec":
        raise ValueError(f"{path} is no Whisper model of CTranslate2's binary version 5 or later.")
    take("<I")
    for _ in range(take("<I")):
        name = text()
        shape = [take("<I") for _ in range(take("<B"))]
        kind, size = TYPES[take("<B")], take("<I")
        held[name] = np.frombuffer(data, kind, size // np.dtype(kind).itemsize, at).reshape(shape)
        at += size
    return held


def linear(held, name):
    weight = torch.tensor(held[f"{name}/weight"].astype(np.float32))
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.weight.data, layer.bias.data = weight, torch.tensor(held[f"{name}/bias"].astype(np.float32))
    return layer


def norm(held, name):
    layer = nn.LayerNorm(len(held[f"{name}/gamma"]))
    layer.weight.data, layer.bias.data = (torch.tensor(held[f"{name}/{p}"].astype(np.float32)) for p in ("gamma", "beta"))
    return layer


def split(x, heads):
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


class Layer(nn.Module):
    """Self-attention, attention to the sound where the layer is the decoder's, and a wide layer; each after a norm, residual."""

    def __init__(self, held, name, heads):
        super().__init__()
        self.heads, self.crossed = heads, f"{name}/attention/linear_0/weight" in held
        self.self_norm, self.ask, self.answer = norm(held, f"{name}/self_attention/layer_norm"), linear(held, f"{name}/self_attention/linear_0"), linear(held, f"{name}/self_attention/linear_1")
        if self.crossed:
            self.cross_norm, self.seek, self.sound, self.found = norm(held, f"{name}/attention/layer_norm"), *(linear(held, f"{name}/attention/linear_{i}") for i in range(3))
        self.wide_norm, self.widen, self.narrow = norm(held, f"{name}/ffn/layer_norm"), linear(held, f"{name}/ffn/linear_0"), linear(held, f"{name}/ffn/linear_1")

    def forward(self, x, states=None):
        """The next x, and for a decoder's layer the weights [batch, heads, tokens, positions]."""
        q, k, v = (split(t, self.heads) for t in self.ask(self.self_norm(x)).chunk(3, -1))
        x = x + self.answer(F.scaled_dot_product_attention(q, k, v, is_causal=self.crossed).transpose(1, 2).flatten(2))
        weights = None
        if self.crossed:
            q = split(self.seek(self.cross_norm(x)), self.heads)
            k, v = (split(t, self.heads) for t in self.sound(states).chunk(2, -1))
            weights = (q @ k.transpose(2, 3) / q.shape[-1] ** 0.5).float().softmax(-1)
            x = x + self.found((weights.to(v.dtype) @ v).transpose(1, 2).flatten(2))
        return x + self.narrow(F.gelu(self.widen(self.wide_norm(x)))), weights


class Encoder(nn.Module):
    """[batch, 80, frames] → [batch, frames / 2, 384]."""

    def __init__(self, held):
        super().__init__()
        heads = int(held["encoder/num_heads"])
        shapes = [held[f"encoder/conv{i}/weight"].shape for i in (1, 2)]
        self.stem = nn.ModuleList(nn.Conv1d(s[1], s[0], 3, stride=i, padding=1) for i, s in enumerate(shapes, 1))
        for i, conv in enumerate(self.stem, 1):
            conv.weight.data, conv.bias.data = (torch.tensor(held[f"encoder/conv{i}/{p}"].astype(np.float32)) for p in ("weight", "bias"))
        self.register_buffer("places", torch.tensor(held["encoder/position_encodings/encodings"].astype(np.float32)))
        count = sum(f"encoder/layer_{i}/ffn/linear_0/weight" in held for i in range(64))
        self.layers = nn.ModuleList(Layer(held, f"encoder/layer_{i}", heads) for i in range(count))
        self.norm = norm(held, "encoder/layer_norm")

    def forward(self, mel):
        h = mel
        for conv in self.stem:
            h = F.gelu(conv(h))
        h = h.transpose(1, 2)
        h = h + self.places[: h.shape[1]]
        for layer in self.layers:
            h, _ = layer(h)
        return self.norm(h)


class Decoder(nn.Module):
    """Tokens [batch, n] and the encoder's states → what `logits` takes, [batch, n, 384], and the alignment heads' weights [batch, heads, n, positions]."""

    def __init__(self, held, config):
        super().__init__()
        heads = int(held["decoder/num_heads"])
        self.table = nn.Parameter(torch.tensor(held["decoder/embeddings/weight"].astype(np.float32)))
        self.register_buffer("places", torch.tensor(held["decoder/position_encodings/encodings"].astype(np.float32)))
        count = sum(f"decoder/layer_{i}/ffn/linear_0/weight" in held for i in range(64))
        self.layers = nn.ModuleList(Layer(held, f"decoder/layer_{i}", heads) for i in range(count))
        self.norm = norm(held, "decoder/layer_norm")
        self.aligned = sorted(map(tuple, json.loads(pathlib.Path(config).read_text())["alignment_heads"]))

    def forward(self, tokens, states):
        x, kept = self.table[tokens] + self.places[: tokens.shape[1]], []
        for i, layer in enumerate(self.layers):
            x, weights = layer(x, states)
            kept += [weights[:, h] for l, h in self.aligned if l == i]
        return self.norm(x), torch.stack(kept, 1)

    def logits(self, x):
        return (x @ self.table.T).float()


BANK = torch.tensor(librosa.filters.mel(sr=RATE, n_fft=400, n_mels=80))


def log_mel(sound, tail):
    """[batch, samples] at 16 kHz, then `tail` seconds of silence → [batch, 80, frames], an even number of frames."""
    positions = -(-(sound.shape[1] + round(tail * RATE)) // POSITION)
    padded = F.pad(sound, (0, positions * POSITION - sound.shape[1] + 200))
    padded = F.pad(padded[:, None], (200, 0), mode="reflect")[:, 0]
    power = torch.stft(padded, 400, HOP, window=torch.hann_window(400), center=False, return_complex=True).abs().square()[..., : 2 * positions]
    logs = (BANK @ power).clamp(min=1e-10).log10()
    return (torch.maximum(logs, logs.amax((1, 2), keepdim=True) - 8) + 4) / 4
