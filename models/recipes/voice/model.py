"""The voice model of the family `mynah`: what it computes from sound, its layers, its synthesis, and the frozen speaker verifier used as a loss.

Knows nothing of corpora, optimisers or files other than the two weight files it can start from.
One `forward` serves training and streaming alike: it takes and returns every cache, and its outputs lag its inputs by LOOKAHEAD frames.
"""

import math

import librosa
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

RATE, HOP, WINDOW, FFT = 24000, 240, 960, 1024
MELS, BINS = 80, FFT // 2 + 1
BANDS = 114  # mel-spaced points at which the two filters are predicted
WIDTH, CONTENT, PHONES, GLOBAL = 256, 48, 180, 128
KERNEL = 7
ENCODER = ((1, 2), (1, 1), (2, 0), (4, 0), (1, 0), (2, 0), (4, 0))  # (dilation, frames of look-ahead)
DECODER = (1, 2, 4, 1, 2, 4, 1)
RECURRENT_AT = 4  # decoder blocks before the recurrent layer
LOOKAHEAD = sum(ahead for _, ahead in ENCODER)

MEL = torch.tensor(librosa.filters.mel(sr=RATE, n_fft=FFT, n_mels=MELS, fmin=40, fmax=11500)).float()


# ---- what is computed from sound -------------------------------------------------------------------------------------------------------------


def spectrum(sound, window=WINDOW, fft=FFT, hop=HOP):
    """Complex spectra of [batch, samples]: frame t is centred on sample t * hop; zero padding at both ends."""
    shaped = F.pad(sound, (window // 2, window // 2)).unfold(-1, window, hop) * torch.hann_window(window, device=sound.device)
    return torch.fft.rfft(shaped, fft)


def power(spec):
    return spec.real.square() + spec.imag.square()


def log_mel(spec_power):
    """[.., 80]: ln(mel power + 1e-5), Slaney mels from 40 to 11,500 Hz."""
    return torch.log(spec_power @ MEL.T.to(spec_power.device) + 1e-5)


def energy_of(mel):
    """ln(mean of mel power + 1e-4) of a log-mel, one number a frame."""
    return torch.log(mel.exp().mean(-1) + 1e-4)


def band_matrix():
    """[114, 513]: each bin a weighted mean of the mel-spaced points around it; the first and last point hold the edges."""
    bank = librosa.filters.mel(sr=RATE, n_fft=FFT, n_mels=BANDS, fmin=0, fmax=RATE / 2, norm=None)
    bank = bank / (bank.sum(0, keepdims=True) + 1e-6)
    bank[:, 0] = 0
    bank[0, 0] = 1
    bank[-1, bank.sum(0) < 0.5] = 1
    return torch.tensor(bank).float()


# ---- layers ----------------------------------------------------------------------------------------------------------------------------------


class Block(nn.Module):
    """Depthwise convolution in time, optional modulation by the voice, then a two-layer mix of channels; residual."""

    def __init__(self, dilation, ahead=0, voice=0):
        super().__init__()
        self.ahead, self.history = ahead, (KERNEL - 1) * dilation
        self.time = nn.Conv1d(WIDTH, WIDTH, KERNEL, dilation=dilation, groups=WIDTH)
        self.norm = nn.LayerNorm(WIDTH)
        self.modulate = nn.Linear(voice, 2 * WIDTH) if voice else None
        self.widen, self.narrow = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, WIDTH)

    def forward(self, x, cache, voice=None):
        """x [batch, n, WIDTH]; cache [batch, WIDTH, history]. The output is `ahead` frames behind the input."""
        n = x.shape[1]
        joined = torch.cat([cache, x.transpose(1, 2)], -1)
        h = self.norm(self.time(joined).transpose(1, 2))
        if self.modulate is not None:
            scale, shift = self.modulate(voice).unsqueeze(1).chunk(2, -1)
            h = h * (1 + scale) + shift
        start = self.history - self.ahead
        skip = joined[:, :, start : start + n].transpose(1, 2) if self.ahead else x
        return skip + self.narrow(F.gelu(self.widen(h))), joined[:, :, -self.history :]


class Voice(nn.Module):
    """Content encoder, voice-modulated decoder, two spectral filters."""

    def __init__(self):
        super().__init__()
        self.enter = nn.Linear(MELS, WIDTH)
        self.encoder = nn.ModuleList(Block(d, ahead) for d, ahead in ENCODER)
        self.content = nn.Linear(WIDTH, CONTENT)
        self.phones = nn.Linear(CONTENT, PHONES)
        # The voice: a narrow path (the prototype's) and a wide one beside it.
        self.narrow_voice = nn.Sequential(nn.Linear(256, 192), nn.GELU(), nn.Linear(192, GLOBAL))
        self.wide_voice = nn.Sequential(nn.Linear(256, 256), nn.GELU(), nn.Linear(256, GLOBAL))
        self.join = nn.Conv1d(CONTENT + 4, WIDTH, 3)
        self.decoder = nn.ModuleList(Block(d, voice=2 * GLOBAL) for d in DECODER)
        self.recurrent = nn.GRU(WIDTH, WIDTH, batch_first=True)
        self.last_modulate = nn.Linear(2 * GLOBAL, 2 * WIDTH)
        self.head = nn.Linear(WIDTH, 2 * BANDS)
        self.tint = nn.Linear(2 * GLOBAL, 2 * BANDS)
        for layer in (self.last_modulate, self.tint):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        nn.init.zeros_(self.head.weight)
        self.register_buffer("bands", band_matrix(), persistent=False)

    def state(self, batch=1, device=None):
        """All caches, zero, in the order of the graph's `state_i`."""
        blocks = [*self.encoder, *self.decoder]
        shapes = [(batch, WIDTH, b.history) for b in blocks] + [(batch, 2, LOOKAHEAD), (batch, CONTENT + 4, 2), (1, batch, WIDTH)]
        return [torch.zeros(s, device=device) for s in shapes]

    def encode(self, mel, state):
        """Content [batch, n, CONTENT] in -1..1, LOOKAHEAD frames late, and the encoder's new caches."""
        h, new = self.enter((mel + 5) / 4), []
        for block, cache in zip(self.encoder, state):
            h, kept = block(h, cache)
            new.append(kept)
        return torch.tanh(self.content(h)), new

    def voice(self, speaker):
        return torch.cat([self.narrow_voice(speaker), self.wide_voice(speaker * 16)], -1)

    def decode(self, content, f0, energy, speaker, state):
        """Filters [batch, n, 513] twice from content and the (already delayed) pitch and energy; `state` is the decoder's part and the last two."""
        *caches, join_cache, memory = state
        voiced = (f0 > 40).float()
        octaves = torch.log2(f0.clamp(min=40) / 180) * voiced
        h = torch.cat([content, torch.stack([octaves, voiced, energy / 4, octaves.square()], -1)], -1)
        joined = torch.cat([join_cache, h.transpose(1, 2)], -1)
        h, voice, new = self.join(joined).transpose(1, 2), self.voice(speaker), []
        for i, (block, cache) in enumerate(zip(self.decoder, caches)):
            if i == RECURRENT_AT:
                remembered, memory = self.recurrent(h, memory)
                h = h + remembered
            h, kept = block(h, cache, voice)
            new.append(kept)
        scale, shift = self.last_modulate(voice).unsqueeze(1).chunk(2, -1)
        logs = (self.head(h * (1 + scale) + shift) + self.tint(voice).unsqueeze(1)).float().clamp(-12, 6)
        with torch.autocast(f0.device.type, enabled=False):  # magnitudes in full precision
            harmonic, noise = torch.exp(logs[..., :BANDS] - 1) @ self.bands, torch.exp(logs[..., BANDS:] - 3) @ self.bands
        return harmonic, noise, f0 * voiced, [*new, joined[:, :, -2:], memory]

    def forward(self, mel, f0, energy, speaker, state, blur=0.0):
        """One stretch of frames. `blur` is the spread of noise laid on the content in training: it narrows what can pass."""
        heard, seen = self.encode(mel, state[: len(ENCODER)])
        content, phones = heard, self.phones(heard)
        if blur:
            content = content + blur * torch.randn_like(content)
        waiting = torch.cat([state[-3], torch.stack([f0, energy], 1)], -1)
        n = f0.shape[1]
        harmonic, noise, pitch, new = self.decode(content, waiting[:, 0, :n], waiting[:, 1, :n], speaker, [*state[len(ENCODER) : -3], *state[-2:]])
        return harmonic, noise, pitch, [*seen, *new[:-2], waiting[:, :, -LOOKAHEAD:], *new[-2:]], phones, heard


# ---- synthesis -------------------------------------------------------------------------------------------------------------------------------


def excitation(f0):
    """Band-limited pulse train and white noise, [batch, frames * HOP] each, both 0.3 in scale; the pulse is silent where f0 is 0."""
    voiced = (f0 > 0).float()
    f = F.interpolate(torch.where(f0 > 0, f0, torch.ones_like(f0)).unsqueeze(1), scale_factor=HOP, mode="linear", align_corners=False).squeeze(1)
    phase = torch.cumsum(f.double() / RATE, 1)
    phase = (phase - phase.floor()).float()
    away = torch.where(phase > 0.5, phase - 1, phase)
    pulse = torch.sinc(away * RATE / f.clamp(min=1)) * voiced.repeat_interleave(HOP, 1) * torch.sqrt(RATE / f.clamp(min=40)) * 0.3
    return pulse, torch.randn_like(pulse) * 0.3


def synthesise(f0, harmonic, noise):
    """Sound [batch, frames * HOP]: each filter times its excitation's spectrum, overlap-added under hann windows (whose squares sum to 1.5)."""
    n = f0.shape[1]
    with torch.no_grad():
        pulse, hiss = (spectrum(x)[:, :n] for x in excitation(f0))
    pieces = torch.fft.irfft(pulse * harmonic + hiss * noise, FFT)[..., :WINDOW] * torch.hann_window(WINDOW, device=f0.device)
    whole = F.fold(pieces.transpose(1, 2), (1, (n - 1) * HOP + WINDOW), (1, WINDOW), stride=(1, HOP)).flatten(1) / 1.5
    return whole[:, WINDOW // 2 : WINDOW // 2 + n * HOP]


# ---- the speaker verifier --------------------------------------------------------------------------------------------------------------------


class Verifier(nn.Module):
    """GE2E (Wan et al. 2018) as Resemblyzer trained it, frozen, differentiable, fed from 24 kHz sound.

    Its 40 mels of power end at 8 kHz with 40 Hz a bin; a 600-point transform at 24 kHz has the same bins as its own 400-point one at 16 kHz.
    """

    FRAMES = 160

    def __init__(self, pretrained):
        super().__init__()
        self.lstm, self.linear = nn.LSTM(40, 256, 3, batch_first=True), nn.Linear(256, 256)
        weights = torch.load(pretrained, map_location="cpu", weights_only=False)["model_state"]
        self.load_state_dict({k: v for k, v in weights.items() if k.startswith(("lstm.", "linear."))})
        self.register_buffer("mel", torch.tensor(librosa.filters.mel(sr=16000, n_fft=400, n_mels=40)).float(), persistent=False)
        self.requires_grad_(False)

    def features(self, sound):
        """[batch, frames, 40] mel power of 24 kHz sound."""
        return power(spectrum(sound, 600, 600))[..., :201] * (400 / 600) ** 2 @ self.mel.T

    def forward(self, features):
        """Unit vectors [batch, 256] of [batch, 160, 40]."""
        return F.normalize(F.relu(self.linear(self.lstm(features)[1][0][-1])), dim=-1)


# ---- starting weights ------------------------------------------------------------------------------------------------------------------------


def start_from(model, path):
    """Start from earlier weights: an `.npz` that `export.py --weights` wrote, or the prototype's exported graph."""
    if str(path).endswith(".npz"):
        with np.load(path) as held:
            model.load_state_dict({name: torch.tensor(held[name].astype(np.float32)) for name in held.files})
        return model
    return start_from_graph(model, path)


def start_from_graph(model, path):
    """Copy a prototype's exported graph into `model`; what the graph lacks (the wide voice path, the phoneme layer) keeps acting as nothing."""
    import onnx

    graph = onnx.load(path).graph
    held = {i.name.removesuffix("_f16").removeprefix("m."): torch.tensor(onnx.numpy_helper.to_array(i).astype(np.float32)) for i in graph.initializer}
    names = {"enter": "ein", "content": "ez", "narrow_voice.0": "spk.0", "narrow_voice.2": "spk.2", "join": "din", "head": "head"}
    for ours, theirs, blocks in (("encoder", "eb", ENCODER), ("decoder", "db", DECODER)):
        for i in range(len(blocks)):
            for a, b in (("time", "dw"), ("norm", "ln"), ("widen", "p1"), ("narrow", "p2"), ("modulate", "film")):
                names[f"{ours}.{i}.{a}"] = f"{theirs}.{i}.{b}"
    own = model.state_dict()
    for ours, theirs in names.items():
        for part in ("weight", "bias"):
            if f"{theirs}.{part}" in held:
                value, place = held[f"{theirs}.{part}"], own[f"{ours}.{part}"]
                if value.dim() == place.dim() + 1:
                    value = value.squeeze(-1)
                if value.shape != place.shape:  # a widened modulation: the new columns start at zero
                    value = torch.cat([value, torch.zeros(place.shape[0], place.shape[1] - value.shape[1])], 1)
                place.copy_(value)
    node = next(n for n in graph.node if n.op_type == "GRU")
    order = lambda t: torch.cat([t[WIDTH : 2 * WIDTH], t[:WIDTH], t[2 * WIDTH :]])  # ONNX has update, reset, new; torch reset, update, new
    w, r, b = (held[node.input[i]].squeeze(0) for i in (1, 2, 3))
    own["recurrent.weight_ih_l0"].copy_(order(w))
    own["recurrent.weight_hh_l0"].copy_(order(r))
    own["recurrent.bias_ih_l0"].copy_(order(b[: 3 * WIDTH]))
    own["recurrent.bias_hh_l0"].copy_(order(b[3 * WIDTH :]))
    model.load_state_dict(own)
    return model
