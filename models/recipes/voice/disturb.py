"""Disturbances of log-mels [batch, n, 80]: another vocal tract, microphone, room, noise. What is said stays. Knows no layers and no corpora."""

import math

import torch
import torch.nn.functional as F

FLOOR = 1e-5  # as log_mel adds


def stretched(mel, most):
    """The mel axis bent: a longer or shorter vocal tract, each item for itself."""
    batch, _, bands = mel.shape
    scale = 1 + (torch.rand(batch, 1) * 2 - 1) * most
    at = (torch.arange(bands)[None] * scale + (torch.rand(batch, 1) * 2 - 1) * 1.5).clamp(0, bands - 1)
    low = at.floor().long().clamp(max=bands - 2)
    share = (at - low)[:, None]
    take = lambda i: mel.gather(2, i[:, None].expand(-1, mel.shape[1], -1))
    return take(low) * (1 - share) + take(low + 1) * share


def slope(batch, points, most, bands):
    """A smooth curve over the bands, within ±most nats: [batch, 1, bands]."""
    return F.interpolate((torch.rand(batch, 1, points) * 2 - 1) * most, bands, mode="linear", align_corners=True)


def some(batch, share):
    """1 for a share of the items, else 0: [batch, 1, 1]."""
    return (torch.rand(batch, 1, 1) < share).float()


def room(power, share):
    """The late part of a room: power that dies away with 0.15 to 0.8 s over 60 dB, 6 to 20 dB under the direct sound."""
    batch, n, _ = power.shape
    seconds = torch.rand(batch, 1) * 0.65 + 0.15
    decay = torch.exp(torch.arange(60)[None] * -math.log(1e6) * 0.01 / seconds)  # [batch, taps of 10 ms]
    decay[:, 0] = 0
    decay = decay / decay.sum(1, keepdim=True) * 10 ** -(torch.rand(batch, 1) * 1.4 + 0.6) * 4
    size = 1 << (n + 60).bit_length()
    late = torch.fft.irfft(torch.fft.rfft(power, size, dim=1) * torch.fft.rfft(decay, size)[:, :, None], size, dim=1)[:, :n].clamp(min=0)
    return power + late * some(batch, share)


def banded(logs, most=12, share=0.5):
    """For a share of the items a stretch of up to `most` bands as soft as the softest of each frame (Park et al. 2019, SpecAugment). No stretch of time is taken out: what is said in a
    frame is to be heard in it."""
    batch, _, bands = logs.shape
    width, first = torch.randint(1, most + 1, (batch, 1, 1)), torch.randint(0, bands, (batch, 1, 1))
    band = torch.arange(bands)[None, None]
    out = (band >= first) & (band < first + width) & (some(batch, share) > 0)
    return torch.where(out, logs.amin(2, keepdim=True), logs)


def disturbed(mel, bend=0.13):
    """Log-mels as another speaker's tract, microphone, distance, room and neighbours would give them."""
    batch, n, bands = mel.shape
    logs = stretched(mel, bend) + slope(batch, 7, 0.9, bands) * some(batch, 0.7) + (torch.rand(batch, 1, 1) * 2 - 1) * 1.4
    power = room(logs.exp(), 0.3)
    level = power.mean((1, 2), keepdim=True)
    # White to coloured noise that stands still, its power exponentially distributed over frames and bands as that of Gaussian noise is.
    stationary = torch.exp(torch.rand(batch, 1, 1) * 6 - 11 + slope(batch, 5, 1.5, bands)) * -torch.log(torch.rand_like(power) + 1e-6)
    # Voices behind: another item of the batch, 6 to 30 dB softer.
    behind = power.roll(1, 0) * 10 ** -(torch.rand(batch, 1, 1) * 2.4 + 0.6) * level / level.roll(1, 0).clamp(min=1e-6) * some(batch, 0.15)
    # Noise near the level of the voice, now and then.
    loud = level * 10 ** -(torch.rand(batch, 1, 1) * 2) * torch.exp(slope(batch, 5, 1.5, bands)) * -torch.log(torch.rand_like(power) + 1e-6) * some(batch, 0.12)
    # A telephone, a dull microphone: nothing above some band.
    cut = torch.where(some(batch, 0.12) > 0, torch.rand(batch, 1, 1) * 35 + 40, torch.full((batch, 1, 1), 1e3))
    power = (power + stationary + behind + loud) * (torch.arange(bands)[None, None] < cut)
    return banded(torch.log(power + FLOOR))
