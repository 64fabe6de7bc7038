"""The voice model of the family `mynah`: what it computes from sound, its layers, its synthesis, and the frozen speaker verifier used as a loss.

Knows nothing of corpora, optimisers or files other than the weight files it can start from.
One set of weights serves three modes, which differ in how many frames the content encoder may look ahead (AHEAD). One `forward` serves training
and streaming alike: it takes and returns every cache. The content lags its input by `lookahead(mode)` frames; pitch and energy come with the
frame that is made, so the caller holds them back for as long.
"""

import math

import librosa
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from encoder import Encoder
from layers import Block
from modes import AHEAD, FARTHEST, MELS, MODES, lookahead  # noqa: F401, for those who know the model alone

RATE, HOP, FFT = 24000, 240, 1024
RISE, FALL = 720, 240  # samples over which the analysis window goes up and down: its peak, the frame's time, is only 10 ms before its end
WINDOW = RISE + FALL
BINS = FFT // 2 + 1
BANDS = 114  # mel-spaced points at which the two filters are predicted
WIDTH, CONTENT, GLOBAL, SPEAKER, TIMBRE = 256, 64, 128, 256, 128
DECODER = (1, 2, 4, 1, 2, 4, 1)
MODULATED = (0, 3, 6)  # decoder blocks that the voice conditions: ablate.py says the others can do without
RECURRENT_AT = 4  # decoder blocks before the recurrent layer

MEL = torch.tensor(librosa.filters.mel(sr=RATE, n_fft=FFT, n_mels=MELS, fmin=40, fmax=11500)).float()


# ---- what is computed from sound -------------------------------------------------------------------------------------------------------------


def hearing_window():
    """[960]: half a hann window of 1,440 samples upwards, half of one of 480 downwards."""
    return torch.cat([torch.hann_window(2 * RISE)[:RISE], torch.hann_window(2 * FALL)[FALL:]])


def heard(sound):
    """Complex spectra [batch, frames, 513] under the analysis window, whose peak lies on sample t * HOP of frame t; zero padding at both ends."""
    return torch.fft.rfft(F.pad(sound, (RISE, FALL)).unfold(-1, WINDOW, HOP) * hearing_window().to(sound.device), FFT)


def spectrum(sound, window, fft, hop=HOP):
    """Complex spectra of [batch, samples] under a hann window: frame t is centred on sample t * hop; zero padding at both ends."""
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


class Reference(nn.Module):
    """What a recording of the wanted voice says of its timbre beyond the verifier's vector: TIMBRE numbers from any number of frames."""

    WIDTH, HEADS = 192, 4

    def __init__(self):
        super().__init__()
        self.enter = nn.Linear(MELS, self.WIDTH)
        self.blocks = nn.ModuleList(nn.Conv1d(self.WIDTH, self.WIDTH, 5, padding=2) for _ in range(2))
        self.score = nn.Linear(self.WIDTH, self.HEADS)
        self.leave = nn.Linear(2 * self.WIDTH, TIMBRE)

    def forward(self, mel):
        """[batch, TIMBRE] in -1..1 of [batch, m, 80]; of the same sound at another level the same."""
        level = mel.exp().mean((1, 2), keepdim=True)
        h = self.enter((torch.log(mel.exp() / level * 0.1 + 1e-5) + 5) / 4)
        for block in self.blocks:
            h = h + F.gelu(block(h.transpose(1, 2)).transpose(1, 2))
        weight = torch.softmax(self.score(h).float(), 1).unsqueeze(-1)  # [batch, m, heads, 1]
        parts = h.float().unflatten(-1, (self.HEADS, -1))
        mean = (weight * parts).sum(1)
        spread = ((weight * (parts - mean.unsqueeze(1)).square()).sum(1) + 1e-4).sqrt()
        return torch.tanh(self.leave(torch.cat([mean.flatten(1), spread.flatten(1)], -1)))


class Voice(nn.Module):
    """Content encoder (encoder.py), voice-modulated decoder, two spectral filters."""

    def __init__(self):
        super().__init__()
        self.encoder = Encoder(content=CONTENT)
        # The voice: a narrow path and a wide one from the verifier's vector, and the timbre as it is.
        self.reference = Reference()
        self.narrow_voice = nn.Sequential(nn.Linear(SPEAKER, 192), nn.GELU(), nn.Linear(192, GLOBAL))
        self.wide_voice = nn.Sequential(nn.Linear(SPEAKER, 256), nn.GELU(), nn.Linear(256, GLOBAL))
        told = 2 * GLOBAL + TIMBRE
        self.join = nn.Conv1d(CONTENT + 4, WIDTH, 3)
        self.decoder = nn.ModuleList(Block(WIDTH, d, voice=told if i in MODULATED else 0) for i, d in enumerate(DECODER))
        self.recurrent = nn.GRU(WIDTH, WIDTH, batch_first=True)
        self.last_modulate = nn.Linear(told, 2 * WIDTH)
        self.head = nn.Linear(WIDTH, 2 * BANDS)
        self.tint = nn.Linear(told, 2 * BANDS)
        for layer in (self.last_modulate, self.tint):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        nn.init.zeros_(self.head.weight)
        self.register_buffer("bands", band_matrix(), persistent=False)

    def state(self, mode, batch=1, device=None):
        """All caches, zero, in the order of the graph's `state_i`: the encoder's, then the decoder's."""
        return [*self.encoder.state(mode, batch, device), *self.decoder_state(batch, device)]

    def decoder_state(self, batch=1, device=None):
        shapes = [*((batch, b.history(), WIDTH) for b in self.decoder), (batch, 2, CONTENT + 4), (1, batch, WIDTH)]
        return [torch.zeros(s, device=device) for s in shapes]

    def voice(self, speaker):
        """What the layers are told of `speaker` [batch, SPEAKER + TIMBRE]: the verifier's vector, then the timbre (zero: not known)."""
        vector, timbre = speaker[:, :SPEAKER], speaker[:, SPEAKER:]
        return torch.cat([self.narrow_voice(vector), self.wide_voice(vector * 16), timbre], -1)

    def modulation(self, speaker):
        """All that the decoder is told of a voice, [batch, M]: scale and shift of each modulated block and of the last layer, then what is added to the logs. It
        is the same in every frame, so it is computed once a voice."""
        voice = self.voice(speaker)
        layers = [b.modulate for b in self.decoder if b.modulate is not None] + [self.last_modulate, self.tint]
        return torch.cat([layer(voice) for layer in layers], -1)

    def decode(self, content, f0, energy, speaker, state):
        """Filters [batch, n, 513] twice from content, pitch and energy of the same frames; `state` is the decoder's part."""
        return self.decode_told(content, f0, energy, self.modulation(speaker), state)

    def decode_told(self, content, f0, energy, modulation, state):
        """The same with the voice's modulation."""
        *caches, join_cache, memory = state
        *told, last, tint = modulation.split([2 * WIDTH] * (len(MODULATED) + 1) + [2 * BANDS], -1)
        told = dict(zip(MODULATED, told))
        voiced = (f0 > 40).float()
        octaves = torch.log2(f0.clamp(min=40) / 180) * voiced
        h = torch.cat([content, torch.stack([octaves, voiced, energy / 4, octaves.square()], -1)], -1)
        joined = torch.cat([join_cache, h], 1)
        h, new = self.join(joined.transpose(1, 2)).transpose(1, 2), []
        for i, (block, cache) in enumerate(zip(self.decoder, caches)):
            if i == RECURRENT_AT:
                remembered, memory = self.recurrent(h, memory.to(h.dtype))
                h = h + remembered
            h, kept = block(h, cache, modulation=told.get(i))
            new.append(kept)
        scale, shift = last.unsqueeze(1).chunk(2, -1)
        logs = (self.head(h * (1 + scale) + shift) + tint.unsqueeze(1)).float().clamp(-12, 6)
        with torch.autocast(f0.device.type, enabled=False):  # magnitudes in full precision
            harmonic, noise = torch.exp(logs[..., :BANDS] - 1) @ self.bands, torch.exp(logs[..., BANDS:] - 3) @ self.bands
        return harmonic, noise, [*new, joined[:, -2:], memory]

    def forward(self, mel, f0, energy, modulation, mode, state):
        """One stretch of frames as the exported graph takes it: `f0` and `energy` are those of the frames that come out, `modulation` is the voice's."""
        blocks = len(self.encoder.blocks)
        content, seen = self.encoder(mel, mode, state[:blocks])
        harmonic, noise, made = self.decode_told(content, f0, energy, modulation, state[blocks:])
        return harmonic, noise, [*seen, *made]


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


def minimum_phase(magnitudes):
    """The complex spectrum [.., 513] of the causal filter with these magnitudes that answers soonest (folded cepstrum, Oppenheim and Schafer 1989, 12.7)."""
    cepstrum = torch.fft.irfft(torch.log(magnitudes.clamp(min=1e-6)), FFT)
    fold = torch.zeros(FFT, device=magnitudes.device)
    fold[0], fold[1 : FFT // 2], fold[FFT // 2] = 1, 2, 1
    return torch.exp(torch.fft.rfft(cepstrum * fold))


def synthesise(f0, harmonic, noise):
    """Sound [batch, frames * HOP]: each excitation in pieces under hann windows two hops long, which sum to 1, through its frame's causal filter.

    Frame t's piece is centred on sample t * HOP, so the sound is complete up to a frame's own time once that frame is known.
    """
    n = f0.shape[1]
    with torch.no_grad():
        pulse, hiss = (spectrum(x, 2 * HOP, FFT)[:, :n] for x in excitation(f0))
    pieces = torch.fft.irfft(pulse * minimum_phase(harmonic) + hiss * minimum_phase(noise), FFT)
    whole = F.fold(pieces.transpose(1, 2), (1, (n - 1) * HOP + FFT), (1, FFT), stride=(1, HOP)).flatten(1)
    return whole[:, HOP : HOP + n * HOP]


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
    """Start from earlier weights, an `.npz` that `export.py --weights` or `ablate.py --fold` wrote. Layers that it has not begin as they are; a layer that the model has
    no more is left out; one of another shape is an error."""
    with np.load(path) as held:
        old = {name: torch.tensor(held[name].astype(np.float32)) for name in held.files}
    model.load_state_dict(old, strict=False)
    return model
