"""A discriminator that tells made log-mels from recorded ones, and what the generator learns from it.

Least-squares adversarial loss (Mao et al. 2017) and feature matching (Kumar et al. 2019). Two small judges: one hears whole frames follow each other (convolution
in time), one sees patches of the picture (convolution in time and frequency). They judge how fine-grained the envelope is, not the phase; small enough for a processor.
Knows no voice model.
"""

import torch
import torch.nn.functional as F
from torch import nn

from model import MELS

normed = nn.utils.parametrizations.weight_norm


class Frames(nn.Module):
    """Judges [batch, frames, MELS] with each frame as a whole."""

    WIDTH = 160

    def __init__(self):
        super().__init__()
        shapes = [(MELS, self.WIDTH, 5, 1), (self.WIDTH, self.WIDTH, 5, 4), (self.WIDTH, self.WIDTH, 5, 4), (self.WIDTH, self.WIDTH, 3, 1)]
        self.layers = nn.ModuleList(normed(nn.Conv1d(i, o, k, padding=k // 2, groups=g)) for i, o, k, g in shapes)
        self.verdict = normed(nn.Conv1d(self.WIDTH, 1, 3, padding=1))

    def forward(self, mel):
        h, felt = mel.transpose(1, 2), []
        for layer in self.layers:
            h = F.leaky_relu(layer(h), 0.1)
            felt.append(h)
        return self.verdict(h), felt


class Patches(nn.Module):
    """Judges [batch, frames, MELS] patch by patch."""

    WIDTH = 16

    def __init__(self):
        super().__init__()
        shapes = [(1, self.WIDTH, (3, 5), (1, 2)), (self.WIDTH, self.WIDTH, (3, 5), (2, 2)), (self.WIDTH, 2 * self.WIDTH, (3, 5), (1, 2))]
        self.layers = nn.ModuleList(normed(nn.Conv2d(i, o, k, s, padding=(k[0] // 2, k[1] // 2))) for i, o, k, s in shapes)
        self.verdict = normed(nn.Conv2d(2 * self.WIDTH, 1, 3, padding=1))

    def forward(self, mel):
        h, felt = mel.unsqueeze(1), []
        for layer in self.layers:
            h = F.leaky_relu(layer(h), 0.1)
            felt.append(h)
        return self.verdict(h), felt


class Adversary(nn.Module):
    """Both judges and the two losses. Log-mels are ln(power), [batch, frames, MELS]."""

    def __init__(self):
        super().__init__()
        self.judges = nn.ModuleList((Frames(), Patches()))

    def look(self, mel):
        return [judge((mel + 6) / 3) for judge in self.judges]

    def told(self, made, recorded):
        """The discriminator's loss: 1 for what was recorded, 0 for what was made."""
        pairs = zip(self.look(made.detach()), self.look(recorded))
        return sum((m.square().mean() + (r - 1).square().mean()) for (m, _), (r, _) in pairs) / len(self.judges)

    def fooled(self, made, recorded, answered):
        """The generator's losses: every made sound should pass, and those `answered` should be felt like their answer."""
        with torch.no_grad():
            wanted = self.look(recorded)
        passing, match = 0.0, 0.0
        for (verdict, felt), (_, target) in zip(self.look(made), wanted):
            passing = passing + (verdict - 1).square().mean()
            match = match + sum((a[:answered] - b[:answered]).abs().mean() / (b[:answered].abs().mean() + 1e-3) for a, b in zip(felt, target)) / len(felt)
        return passing / len(self.judges), match / len(self.judges)
