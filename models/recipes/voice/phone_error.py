#!/usr/bin/env python3
"""phone_error.py CACHE WEIGHTS.npz ...: how an encoder's phoneme layer is judged, on the English held-out recordings of a cache (features.py). Knows no training.

WEIGHTS.npz is an encoder.npz of train_encoder.py or the weights of an earlier generation (rounds/weights.npz).

The phone error rate is that of greedy decoding: the mean of 5 frames' posteriors, runs of at least RUN frames, silence dropped, against the labels' own runs.
"""

import argparse
import pathlib
from types import SimpleNamespace

import numpy as np
import torch
import torch.nn.functional as F

import cache
from encoder import QUIET, Encoder, Heads
from modes import MODES, lookahead

SMOOTHED, RUN = 5, 4
MARKS = [*range(1, 17), 156, 157, 158]  # symbols of the renderer without a sound of their own


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


def opened(path):
    """(encoder, heads) of a file of weights of either generation."""
    with np.load(path) as held:
        named = {k: torch.tensor(held[k].astype(np.float32)) for k in held.files}
    part = lambda prefix: {k.removeprefix(prefix): v for k, v in named.items() if k.startswith(prefix)}
    if "encoder.content.weight" in named:
        content, width = named["encoder.content.weight"].shape
        teachers = {k.split(".")[1]: len(v) for k, v in part("heads.").items() if k.startswith("teachers.") and k.endswith("bias")}
        encoder, heads = Encoder(width, content), Heads(content, teachers)
        encoder.load_state_dict(part("encoder."))
        heads.load_state_dict(part("heads."))
        return encoder.eval(), heads.eval()
    from second_generation import SecondEncoder

    second = SecondEncoder(path)

    def encode(mel, mode, state):
        return second(mel, mode), state

    def phones(content):
        """Without the marks of stress, length, space and punctuation, which these weights were taught to tell and the labels have no more."""
        logits = second.phones(content)
        logits[..., MARKS] = -1e9
        return logits

    encode.state, encode.shape = lambda mode: None, {"both": False}
    return encode, SimpleNamespace(phones=phones)


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("cache", type=pathlib.Path)
    a.add_argument("weights", type=pathlib.Path, nargs="+")
    o = a.parse_args()
    recordings = []
    for shard in cache.shards(o.cache):
        arrays = cache.arrays(shard)
        for r in cache.index(shard):
            if r["test"] and r["lang"].startswith("en"):
                cut = slice(r["at"], r["at"] + r["frames"])
                recordings.append((np.array(arrays["mel"][cut], np.float32), np.array(arrays["phones"][cut])))
    print(len(recordings), "recordings,", sum(len(runs(p)) for _, p in recordings), "phones")
    for path in o.weights:
        encoder, heads = opened(path)
        for mode in MODES:
            j = judge(encoder, heads, recordings, mode)
            print(f"{path.name} {mode}: phone error rate {j['phones']:.4f}, frames right {j['frames']:.4f}, of inner ones {j['inner']:.4f}, cross-entropy {j['entropy']:.3f}")


if __name__ == "__main__":
    main()
