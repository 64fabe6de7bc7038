"""The content encoder of the third generation: log-mels in, what is said out. Trained alone (train_encoder.py), then frozen under the decoder.

Blocks (layers.py) that are causal but for a few taps of the first ones. Against the second generation's (second_generation.py): wider and deeper, a content that is normalised over its channels instead of squeezed by `tanh`, heads that read the content itself. Knows no corpora and
no optimisers.
"""

import torch
import torch.nn.functional as F
from torch import nn

from layers import Block
from modes import AHEAD, MELS, MODES

WIDTH, DILATIONS = 320, (1, 1, 2, 4, 1, 2, 4, 8, 1, 2, 4, 8)
PHONES = 180  # the renderer's symbols
QUIET = -11.5  # log-mel of silence: ln(1e-5)


class Encoder(nn.Module):
    """[batch, n, 80] log-mels → content [batch, n, CONTENT], `lookahead(mode)` frames late, of mean 0 and variance 1 over its channels."""

    def __init__(self, width=WIDTH, content=64, dilations=DILATIONS, both=False, drop=0.0):
        super().__init__()
        self.shape = {"width": width, "content": content, "dilations": list(dilations), "both": both}
        self.enter = nn.Linear(MELS, width)
        self.mode = nn.Embedding(len(MODES), width)
        nn.init.zeros_(self.mode.weight)
        farthest = [max(AHEAD[m][i] for m in MODES) if i < len(AHEAD["live"]) and not both else 0 for i in range(len(dilations))]
        self.blocks = nn.ModuleList(Block(width, d, far, both, drop=drop) for d, far in zip(dilations, farthest))
        self.norm = nn.LayerNorm(width)
        self.content = nn.Linear(width, content)

    def taps(self, mode):
        """Taps ahead of each block."""
        return (*AHEAD[mode], *(0,) * (len(self.blocks) - len(AHEAD[mode])))

    def state(self, mode, batch=1, device=None):
        """Caches of nothing heard yet."""
        return [torch.zeros(batch, b.history(a), self.enter.out_features, device=device) for b, a in zip(self.blocks, self.taps(mode))]

    def forward(self, mel, mode, state):
        h, new = self.enter((mel + 5) / 4), []
        h = h + self.mode.weight[MODES.index(mode)].to(h.dtype)
        for block, cache, ahead in zip(self.blocks, state, self.taps(mode)):
            h, kept = block(h, cache, ahead)
            new.append(kept)
        h = self.content(self.norm(h)).float()
        return F.layer_norm(h, (self.shape["content"],)), new


class Heads(nn.Module):
    """What the content must tell, in training only: phones, and the standardised features of frozen teachers at half the frame rate."""

    def __init__(self, content, teachers, phones=PHONES):
        """`teachers`: {name: numbers a frame}."""
        super().__init__()
        self.phones = nn.Linear(content, phones)
        self.teachers = nn.ModuleDict({name: nn.Linear(2 * content, n) for name, n in teachers.items()})

    def features(self, name, content):
        """[batch, n / 2, numbers] of [batch, n, content]."""
        return self.teachers[name](content.unflatten(1, (-1, 2)).flatten(2))
