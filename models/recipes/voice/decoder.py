"""The decoder of the third generation: content, pitch and energy in, the magnitudes of a harmonic and a noise filter out, in a wanted voice. Stage 2.

The voice comes in two ways. What is the same in every frame (the verifier's vector and a mean over the reference) scales and shifts some blocks; and a *timbre memory* of SLOTS places
holds how the voice speaks each kind of sound: the content asks which places concern it (a softmax over a product with fixed keys), and what they hold of this voice is mixed
for the frame. Both are computed once a voice. Knows no corpora and no optimisers.
"""

import torch
import torch.nn.functional as F
from torch import nn

from encoder import Block
from model import BANDS, SPEAKER, band_matrix
from modes import MELS

WIDTH, DILATIONS, MODULATED, RECURRENT_AT = 256, (1, 2, 4, 1, 2, 4, 1), (0, 3, 6), 4
SLOTS, HELD, GLOBAL = 24, 64, 128  # places of the memory, numbers a place, numbers of each global path
JOINED = 3  # frames of content that the first layer sees
MIDDLE = 180  # Hz: octaves of pitch count from here


class Reference(nn.Module):
    """[batch, m, 80] log-mels of the wanted voice → (memory [batch, SLOTS, HELD], mean [batch, GLOBAL]), the same for the same sound at another level."""

    WIDTH = 192

    def __init__(self):
        super().__init__()
        self.enter = nn.Linear(MELS, self.WIDTH)
        self.blocks = nn.ModuleList(nn.Conv1d(self.WIDTH, self.WIDTH, 5, padding=2) for _ in range(3))
        self.score = nn.Linear(self.WIDTH, SLOTS)
        self.hold, self.leave = nn.Linear(self.WIDTH, HELD), nn.Linear(2 * self.WIDTH, GLOBAL)

    def forward(self, mel):
        level = mel.exp().mean((1, 2), keepdim=True)
        h = self.enter((torch.log(mel.exp() / level * 0.1 + 1e-5) + 5) / 4)
        for block in self.blocks:
            h = h + F.gelu(block(h.transpose(1, 2)).transpose(1, 2))
        h = h.float()
        shares = torch.softmax(self.score(h).float(), -1)  # which place a frame of the reference belongs to
        whole = h.mean(1)
        # A place of which the reference says little keeps to the mean of the whole.
        held = (shares.transpose(1, 2) @ h + 2 * whole.unsqueeze(1)) / (shares.sum(1).unsqueeze(-1) + 2)
        spread = (h.var(1) + 1e-4).sqrt()
        return self.hold(held - whole.unsqueeze(1)), torch.tanh(self.leave(torch.cat([whole, spread], -1)))


class Decoder(nn.Module):
    """Filters [batch, n, BANDS] twice, as logarithms, from content, pitch (Hz, 0 unvoiced) and energy of the same frames."""

    def __init__(self, content):
        super().__init__()
        self.reference = Reference()
        self.narrow_voice = nn.Sequential(nn.Linear(SPEAKER, 192), nn.GELU(), nn.Linear(192, GLOBAL))
        self.wide_voice = nn.Sequential(nn.Linear(SPEAKER, 256), nn.GELU(), nn.Linear(256, GLOBAL))
        voice = 3 * GLOBAL
        self.ask = nn.Linear(content, SLOTS)
        self.join = nn.Linear(JOINED * (content + 4) + HELD, WIDTH)
        self.blocks = nn.ModuleList(Block(WIDTH, d, voice=voice if i in MODULATED else 0) for i, d in enumerate(DILATIONS))
        self.recurrent = nn.GRU(WIDTH, WIDTH, batch_first=True)
        self.last_modulate, self.head, self.tint = nn.Linear(voice, 2 * WIDTH), nn.Linear(WIDTH, 2 * BANDS), nn.Linear(voice, 2 * BANDS)
        for layer in (self.last_modulate, self.tint):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        nn.init.zeros_(self.head.weight)
        self.register_buffer("bands", band_matrix(), persistent=False)

    def state(self, batch=1, device=None):
        """Caches of nothing said yet."""
        zeros = lambda *shape: torch.zeros(*shape, device=device)
        return [*(zeros(batch, b.history(), WIDTH) for b in self.blocks), zeros(batch, JOINED - 1, (self.join.in_features - HELD) // JOINED), zeros(1, batch, WIDTH)]

    def voice(self, vector, mean):
        """[batch, 3 * GLOBAL] of the verifier's vector [batch, 256] and the reference's mean."""
        return torch.cat([self.narrow_voice(vector), self.wide_voice(vector * 16), mean], -1)

    def forward(self, content, f0, energy, memory, voice, state):
        *caches, joining, remembered = state
        voiced = (f0 > 40).float()
        octaves = torch.log2(f0.clamp(min=40) / MIDDLE) * voiced
        known = torch.cat([content, torch.stack([octaves, voiced, energy / 4, octaves.square()], -1)], -1)
        joined = torch.cat([joining, known], 1)
        timbre = torch.softmax(self.ask(content).float(), -1) @ memory.float()
        n = content.shape[1]
        h = self.join(torch.cat([*(joined[:, i : i + n] for i in range(JOINED)), timbre], -1))
        new = []
        for i, (block, cache) in enumerate(zip(self.blocks, caches)):
            if i == RECURRENT_AT:
                said, remembered = self.recurrent(h, remembered.to(h.dtype))
                h = h + said
            h, kept = block(h, cache, voice=voice)
            new.append(kept)
        scale, shift = self.last_modulate(voice).unsqueeze(1).chunk(2, -1)
        logs = (self.head(h * (1 + scale) + shift) + self.tint(voice).unsqueeze(1)).float().clamp(-12, 6)
        return logs[..., :BANDS] - 1, logs[..., BANDS:] - 3, [*new, joined[:, n:], remembered]

    def magnitudes(self, harmonic, noise):
        """Linear magnitudes [.., 513] of both filters."""
        return harmonic.exp() @ self.bands, noise.exp() @ self.bands
