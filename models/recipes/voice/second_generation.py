"""The content encoder of the second generation, as rounds/weights.npz holds it: to judge it beside newer ones (phone_error.py) and to hand its decoder on to one of them (graft.py). Nothing trains it."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from layers import Block
from modes import AHEAD, MELS, MODES

WIDTH, CONTENT, PHONES = 256, 48, 180
DILATIONS = (1, 1, 2, 4, 1, 2, 4, 1, 2, 1)


class SecondEncoder(nn.Module):
    """[batch, n, 80] log-mels → content [batch, n, CONTENT] in -1..1, `lookahead(mode)` frames late."""

    def __init__(self, path):
        super().__init__()
        self.enter, self.mode = nn.Linear(MELS, WIDTH), nn.Embedding(len(MODES), WIDTH)
        farthest = [max(AHEAD[m][i] for m in MODES) if i < len(AHEAD["live"]) else 0 for i in range(len(DILATIONS))]
        self.encoder = nn.ModuleList(Block(WIDTH, d, far) for d, far in zip(DILATIONS, farthest))
        self.content, self.phones = nn.Linear(WIDTH, CONTENT), nn.Linear(CONTENT, PHONES)
        with np.load(path) as held:
            mine = {name: torch.tensor(held[name].astype(np.float32)) for name in self.state_dict()}
        self.load_state_dict(mine)
        self.requires_grad_(False).eval()

    def forward(self, mel, mode):
        """Content of recordings from nothing heard yet."""
        h = self.enter((mel + 5) / 4) + self.mode.weight[MODES.index(mode)]
        for i, block in enumerate(self.encoder):
            ahead = AHEAD[mode][i] if i < len(AHEAD[mode]) else 0
            h, _ = block(h, torch.zeros(len(mel), block.history(ahead), WIDTH), ahead)
        return torch.tanh(self.content(h))
