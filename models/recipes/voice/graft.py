#!/usr/bin/env python3
"""graft.py CACHE ENCODER.npz OUT.npz [--weights rounds/weights.npz]: the second generation's decoder behind a new content encoder, to begin training with.

Speech of CACHE (corpus.py) is heard by both encoders; a linear map (ridge regression) tells the old content from the new one, and the decoder's first layer takes it in. What the map explains of the old
content is printed. Every other layer of the decoder begins as it was. Knows no losses.
"""

import argparse
import json
import pathlib

import numpy as np
import torch

from model import HOP, Voice, heard, log_mel, power
from modes import MODES, lookahead
from second_generation import SecondEncoder

CUT = 400  # frames heard of a recording
FIRST = 60  # of them left out: caches are filling
RIDGE = 1e-3  # of the new content's variance, which is 1


def contents(o, old, new):
    """Frames of both contents, [m, ..] each, over recordings drawn from the cache in all three modes."""
    kept = [r for r in json.loads((o.cache / "index.json").read_text())["recordings"] if not r["test"] and r["hops"] > CUT + 20]
    sound = np.memmap(o.cache / "sound.i16", np.int16, "r")
    draw, pairs = np.random.default_rng(0), []
    for i, r in enumerate(draw.choice(kept, min(o.recordings, len(kept)), replace=False)):
        a = r["hop"] + int(draw.integers(0, r["hops"] - CUT - 20))
        mel = log_mel(power(heard(torch.tensor(sound[a * HOP : (a + CUT) * HOP].astype(np.float32) / 32767)[None])))
        mode = MODES[i % len(MODES)]
        late = slice(FIRST + lookahead(mode), CUT)
        pairs.append((old(mel, mode)[0, late], new(mel, mode, new.state(mode))[0][0, late]))
    return [torch.cat(part).double() for part in zip(*pairs)]


@torch.no_grad()
def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("cache", type=pathlib.Path)
    a.add_argument("encoder", type=pathlib.Path)
    a.add_argument("out", type=pathlib.Path)
    a.add_argument("--weights", type=pathlib.Path, default=pathlib.Path(__file__).parent / "rounds" / "weights.npz")
    a.add_argument("--recordings", type=int, default=300)
    o = a.parse_args()
    model, old = Voice().eval(), SecondEncoder(o.weights)
    with np.load(o.encoder) as held:
        model.encoder.load_state_dict({k.removeprefix("encoder."): torch.tensor(held[k].astype(np.float32)) for k in held.files if k.startswith("encoder.")})
    with np.load(o.weights) as held:
        decoder = {k: torch.tensor(held[k].astype(np.float32)) for k in held.files if k in model.state_dict() and not k.startswith(("encoder.", "join."))}
        join, bias = (torch.tensor(held[f"join.{k}"].astype(np.float32)).double() for k in ("weight", "bias"))
    model.load_state_dict(decoder, strict=False)
    wanted, given = contents(o, old, model.encoder)
    given = torch.cat([given, torch.ones(len(given), 1)], 1)
    square = given.T @ given / len(given)
    told = torch.linalg.solve(square + RIDGE * torch.eye(len(square)), given.T @ wanted / len(given))  # [new + 1, old]
    left = (wanted - given @ told).square().mean(0).sum() / wanted.var(0).sum()
    print(f"{len(wanted)} frames; the map explains {1 - left:.3f} of the old content's variance")
    n = wanted.shape[1]
    model.join.weight.copy_(torch.cat([torch.einsum("oct,ic->oit", join[:, :n], told[:-1]), join[:, n:]], 1))
    model.join.bias.copy_(bias + torch.einsum("oct,c->o", join[:, :n], told[-1]))
    np.savez(o.out, **{k: v.numpy().astype(np.float16) for k, v in model.state_dict().items()})


if __name__ == "__main__":
    main()
