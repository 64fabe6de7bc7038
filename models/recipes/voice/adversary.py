"""A discriminator that tells made spectrograms from recorded ones, and what the generator learns from it.

Least-squares adversarial loss (Mao et al. 2017) and feature matching (Kumar et al. 2019) over two resolutions of logarithmic magnitudes, as the
multi-resolution discriminator of UnivNet (Jang et al. 2021) has them, but small: it judges the envelope's fine grain, not the phase. Knows no voice model.
"""

import torch
import torch.nn.functional as F
from torch import nn

from model import power, spectrum

CHANNELS = 20
RESOLUTIONS = ((960, 1024, 240), (400, 512, 120))  # window, transform, hop


class Spectral(nn.Module):
    """Judges log magnitudes [batch, frames, bins]; strides run along frequency, so every frame keeps its verdicts."""

    def __init__(self):
        super().__init__()
        shapes = [(1, CHANNELS, (3, 7), (1, 2)), *[(CHANNELS, CHANNELS, (3, 7), (1, 2))] * 3, (CHANNELS, CHANNELS, (3, 3), (1, 1))]
        normed = nn.utils.parametrizations.weight_norm
        self.layers = nn.ModuleList(normed(nn.Conv2d(i, o, k, s, padding=(k[0] // 2, k[1] // 2))) for i, o, k, s in shapes)
        self.verdict = normed(nn.Conv2d(CHANNELS, 1, 3, padding=1))

    def forward(self, logs):
        h, felt = logs.unsqueeze(1), []
        for layer in self.layers:
            h = F.leaky_relu(layer(h), 0.1)
            felt.append(h)
        return self.verdict(h), felt


class Adversary(nn.Module):
    """Both resolutions of the discriminator and its two losses."""

    def __init__(self):
        super().__init__()
        self.judges = nn.ModuleList(Spectral() for _ in RESOLUTIONS)

    def look(self, sound):
        return [judge(torch.log(power(spectrum(sound, w, n, hop)) + 1e-6) / 4) for judge, (w, n, hop) in zip(self.judges, RESOLUTIONS)]

    def told(self, made, recorded):
        """The discriminator's loss: 1 for what was recorded, 0 for what was made."""
        pairs = zip(self.look(made.detach()), self.look(recorded))
        return sum((m.square().mean() + (r - 1).square().mean()) for (m, _), (r, _) in pairs) / len(self.judges)

    def fooled(self, made, recorded, answered):
        """The generator's losses: every made sound should pass, and those `answered` should be felt like their answer."""
        with torch.no_grad():
            wanted = self.look(recorded)
        pass_, match = 0.0, 0.0
        for (verdict, felt), (_, target) in zip(self.look(made), wanted):
            pass_ = pass_ + (verdict - 1).square().mean()
            match = match + sum((a[:answered] - b[:answered]).abs().mean() / (b[:answered].abs().mean() + 1e-3) for a, b in zip(felt, target)) / len(felt)
        return pass_ / len(self.judges), match / len(self.judges)
