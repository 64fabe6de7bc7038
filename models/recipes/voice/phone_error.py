"""How an encoder's phoneme layer is judged: frames right and phone error rate on recordings with exact labels. Knows no training.

The phone error rate is that of greedy decoding: the mean of 5 frames' posteriors, runs of at least RUN frames, silence dropped, against the labels' own runs.
"""

import numpy as np
import torch
import torch.nn.functional as F

from encoder import QUIET
from modes import lookahead

SMOOTHED, RUN = 5, 4


def runs(symbols, least=1):
    """The symbols of runs of at least `least` frames, silence (0) left out, equal neighbours once."""
    edges = np.flatnonzero(np.diff(symbols)) + 1
    said = [int(part[0]) for part in np.split(symbols, edges) if len(part) >= least]
    said = [s for i, s in enumerate(said) if i == 0 or s != said[i - 1]]
    return [s for s in said if s > 0]


def edits(a, b):
    """Levenshtein distance."""
    row = np.arange(len(a) + 1)
    for i, y in enumerate(b, 1):
        before, row[0] = row.copy(), i
        for j, x in enumerate(a, 1):
            row[j] = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (x != y))
    return int(row[-1])


def greedy(logits):
    """[n, symbols] → phones."""
    p = logits.softmax(-1).T[None]
    kernel = torch.full((p.shape[1], 1, SMOOTHED), 1 / SMOOTHED)
    smooth = F.conv1d(F.pad(p, (SMOOTHED // 2, SMOOTHED // 2)), kernel, groups=p.shape[1])[0]
    return runs(smooth.argmax(0).numpy(), RUN)


@torch.no_grad()
def judge(encoder, heads, recordings, mode):
    """{frames, inner, entropy, phones}: shares of frames right, of those further than a frame from a boundary, cross-entropy, phone error rate.

    `recordings`: (mel [n, 80], symbols [n]) each."""
    ahead = 0 if encoder.shape["both"] else lookahead(mode)
    n = right = inner = inner_right = errors = phones = 0
    entropy = 0.0
    for mel, symbols in recordings:
        fed = F.pad(torch.tensor(mel, dtype=torch.float32)[None], (0, 0, 0, ahead), value=QUIET)
        logits = heads.phones(encoder(fed, mode, encoder.state(mode))[0])[0, ahead:].float()
        target = torch.tensor(symbols.astype(np.int64))
        hit = (logits.argmax(1) == target).numpy()
        still = np.ones(len(symbols), bool)
        for at in np.flatnonzero(np.diff(symbols)):
            still[max(0, at) : at + 2] = False
        n, right, inner, inner_right = n + len(hit), right + hit.sum(), inner + still.sum(), inner_right + hit[still].sum()
        entropy += F.cross_entropy(logits, target, reduction="sum").item()
        said = runs(symbols)
        errors, phones = errors + edits(greedy(logits), said), phones + len(said)
    return {"frames": right / n, "inner": inner_right / inner, "entropy": entropy / n, "phones": errors / phones}
