#!/usr/bin/env python3
"""train_encoder.py CACHE RUN [--seconds 7200] [--both --width 640]: stage 1, the content encoder alone, or on from where RUN stopped.

CACHE is what features.py wrote; shards that were added since are heard too. Labels: phones of rendered speech, exact but softened over a frame to each side, since a
boundary is no instant; features of two frozen recognisers and their clusters, for all speech; agreement of the content of one recording under two disturbances.
A batch runs in one mode, drawn by SHARE. Different sentences are scarce, so crops are made unlike what was rendered: faster or slower, half of them patched of pieces shorter than a
second, from any recordings, so that what was said before helps little. The first SKIP frames of a crop are heard but not judged, so that the encoder is trained with its context.
State: RUN/checkpoint.pt (weights, their average, optimiser, random states, seconds spent), RUN/log.csv (losses; at each judging the phone error rates of held-out
and of training recordings, whose gap tells whether sentences are learnt by heart), RUN/encoder.npz (the average in half precision, to commit).
"""

import argparse
import copy
import pathlib
import random

import numpy as np
import torch
import torch.nn.functional as F

import cache
from cache import CLUSTERS, TEACHERS
from disturb import disturbed
from encoder import QUIET, Encoder, Heads
from modes import FARTHEST, MELS, MODES, lookahead
from phone_error import judge
from precision import bfloat16_is_quick
from running import falling, train

FRAMES, SKIP = 400, 80  # of a crop, and of it only heard
FED = FRAMES + FARTHEST
SHARE = {"live": 0.4, "balanced": 0.35, "studio": 0.25}
WEIGHTS = {"phones": 1.0, "whisper": 1.0, "hama": 0.6, "ids": 0.25, "alike": 0.3}
GAP = (5, 30)  # frames of silence between recordings that share a crop
PIECE, PATCHED = (30, 100), 0.5  # frames of a piece, share of crops that are patched of them
SPEED, SPED = (0.82, 1.22), 0.7  # how fast a recording is heard, share of those that are not heard as they are
FIELDS = ("step", "seconds", "hours_heard", "rate", *WEIGHTS)


class Data:
    """Crops of the cache's recordings."""

    def __init__(self, folder, seed, real_share):
        self.shards, self.kinds, self.tests, self.cache, self.known = [], {"rendered": [], "real": []}, [], folder, 0
        self.draw, self.real_share = random.Random(seed), real_share
        self.refresh()

    def refresh(self):
        """Opens shards that are new."""
        for shard in cache.shards(self.cache)[self.known :]:
            self.shards.append(cache.arrays(shard))
            for r in cache.index(shard):
                r["shard"] = self.known
                (self.tests if r["test"] else self.kinds["real" if r["real"] else "rendered"]).append(r)
            self.known += 1
        self.taught = [n for n in TEACHERS if all(n in shard for shard in self.shards)]
        self.weights = {k: [r["frames"] ** 0.7 for r in of] for k, of in self.kinds.items()}
        hours = {k: round(sum(r["frames"] for r in of) / 360000, 2) for k, of in self.kinds.items()}
        print(hours, "hours;", len(self.tests), "recordings held out", flush=True)

    def recording(self, kind):
        return self.draw.choices(self.kinds[kind], self.weights[kind])[0]

    def crop(self):
        """Numpy arrays of FED frames: a stretch of a recording, and more recordings behind it until the crop is full."""
        mel = np.full((FED, MELS), QUIET, np.float32)
        phones, ids = np.zeros(FED, np.int64), np.full(FED // 2, -1, np.int64)
        known = {n: np.zeros((FED // 2, TEACHERS[n]), np.float32) for n in self.taught}
        heard = np.zeros(FED // 2, np.float32)  # 1 where the teachers heard the same
        kind = "real" if self.kinds["real"] and self.draw.random() < self.real_share else "rendered"
        if kind == "real":
            phones[:] = -1
        at, patched = 0, self.draw.random() < PATCHED
        while at < FED:
            r = self.recording(kind)
            shard = self.shards[r["shard"]]
            start = self.draw.randrange(0, max(1, r["frames"] - 100), 2) if at == 0 or patched else 0
            speed = self.draw.uniform(*SPEED) if self.draw.random() < SPED else 1.0
            n = min(FED - at, int((r["frames"] - start - 2) / speed), self.draw.randrange(*PIECE) if patched else FED)
            n -= n % 2
            if n < 2:
                break
            times = start + np.arange(n) * speed
            frames, share = times.astype(np.int64), (times % 1).astype(np.float32)[:, None]
            a, span = r["at"], slice(at // 2, (at + n) // 2)
            of = lambda name: shard[name][a + start : a + start + int(n * speed) + 3].astype(np.float32)
            sound = of("mel")
            frames -= start
            mel[at : at + n] = sound[frames] * (1 - share) + sound[np.minimum(frames + 1, len(sound) - 1)] * share
            phones[at : at + n] = shard["phones"][a + start + frames]
            pairs = (a + start + frames[::2]) // 2
            ids[span] = shard["ids"][pairs]
            for name in self.taught:
                known[name][span] = shard[name][pairs]
            heard[span] = 1
            at += n + (0 if patched else self.draw.randrange(*GAP) // 2 * 2)
        return mel, phones, ids, heard, known

    def batch(self, size):
        crops = [self.crop() for _ in range(size)]
        stack = lambda i: torch.tensor(np.stack([c[i] for c in crops]))
        return stack(0), stack(1), stack(2), stack(3), {n: torch.tensor(np.stack([c[4][n] for c in crops])) for n in self.taught}

    def judged(self, which, most):
        """(mel, phones) of held-out or training recordings in English."""
        of = self.tests if which == "held out" else [r for r in self.kinds["rendered"] if r["lang"].startswith("en")]
        of = [r for r in of if r["lang"].startswith("en")][:most] if which == "held out" else of[:: max(1, len(of) // most)][:most]
        cut = lambda r, n: np.array(self.shards[r["shard"]][n][r["at"] : r["at"] + r["frames"]])
        return [(cut(r, "mel").astype(np.float32), cut(r, "phones")) for r in of]


def soft_cross_entropy(logits, symbols):
    """Mean over frames with a known symbol; a frame's target is half its own symbol and a quarter each neighbour's."""
    logs = F.log_softmax(logits.float(), -1)
    take = lambda s: -logs.gather(-1, s.clamp(min=0).unsqueeze(-1)).squeeze(-1)
    before, behind = torch.cat([symbols[:, :1], symbols[:, :-1]], 1), torch.cat([symbols[:, 1:], symbols[:, -1:]], 1)
    loss = 0.5 * take(symbols) + 0.25 * take(torch.where(before < 0, symbols, before)) + 0.25 * take(torch.where(behind < 0, symbols, behind))
    there = symbols >= 0
    return (loss * there).sum() / there.sum().clamp(min=1)


class Run:
    """Weights, their average, optimiser, and what a run has spent."""

    def __init__(self, o):
        torch.manual_seed(o.seed)
        self.o, self.step, self.spent, self.heard = o, 0, 0.0, 0.0
        self.data = Data(o.cache, o.seed, o.real)
        self.encoder = Encoder(o.width, o.content, both=o.both, drop=o.drop).to(o.device)
        self.heads = Heads(o.content, TEACHERS | {"ids": CLUSTERS}).to(o.device)
        self.average = tuple(m.eval() for m in copy.deepcopy((self.encoder, self.heads)))
        self.weights = [*self.encoder.parameters(), *self.heads.parameters()]
        decayed = [w for w in self.weights if w.ndim > 1]
        groups = [{"params": decayed, "weight_decay": o.decay}, {"params": [w for w in self.weights if w.ndim <= 1], "weight_decay": 0.0}]
        self.optimiser = torch.optim.AdamW(groups, lr=o.rate, betas=(0.9, 0.98))
        self.path = o.run / "checkpoint.pt"
        if self.path.exists():
            held = torch.load(self.path, map_location=o.device, weights_only=False)
            for module, kept in zip((self.encoder, self.heads, *self.average, self.optimiser), held["states"]):
                module.load_state_dict(kept)
            self.step, self.spent, self.heard = held["step"], held["spent"], held["heard"]
            torch.set_rng_state(held["random"])
            self.data.draw.setstate(held["draw"])
        elif o.start:
            with np.load(o.start) as held:
                named = {k: torch.tensor(held[k].astype(np.float32)) for k in held.files}
            for prefix, module in (("encoder.", self.encoder), ("heads.", self.heads)):
                part = {k.removeprefix(prefix): v for k, v in named.items() if k.startswith(prefix)}
                module.load_state_dict(part, strict=prefix == "encoder.")
            self.average = tuple(m.eval() for m in copy.deepcopy((self.encoder, self.heads)))

    def save(self):
        states = [m.state_dict() for m in (self.encoder, self.heads, *self.average, self.optimiser)]
        whole = {"states": states, "shape": self.encoder.shape, "step": self.step, "spent": self.spent, "heard": self.heard}
        whole |= {"random": torch.get_rng_state(), "draw": self.data.draw.getstate()}
        torch.save(whole, self.path.with_suffix(".part"))
        self.path.with_suffix(".part").replace(self.path)
        named = {f"encoder.{k}": v for k, v in self.average[0].state_dict().items()} | {f"heads.{k}": v for k, v in self.average[1].state_dict().items()}
        np.savez(self.o.run / "encoder.npz", **{k: v.cpu().numpy().astype(np.float16) for k, v in named.items()})

    def losses(self, mel, phones, ids, heard, known, mode):
        o, ahead = self.o, 0 if self.o.both else lookahead(mode)
        size = len(mel)
        twice = max(1, size // 6)
        with torch.no_grad():  # the last crops are heard twice, disturbed in another way
            fed = disturbed(torch.cat([mel, mel[-twice:]]))[:, : FRAMES + ahead].to(o.device)
        with torch.autocast(o.device, torch.bfloat16, enabled=o.bf16):
            content, _ = self.encoder(fed, mode, self.encoder.state(mode, len(fed), o.device))
            content = content[:, ahead : ahead + FRAMES]
            again, content = content[size:, SKIP:], content[:size]
            blurred = content[:, SKIP:] + o.blur * torch.randn_like(content[:, SKIP:])
            logits = self.heads.phones(blurred)
            told = {n: self.heads.features(n, blurred).float() for n in self.heads.teachers}
        window = slice(SKIP // 2, FRAMES // 2)
        there = heard[:, window].to(o.device)
        apart = lambda n: ((told[n] - known[n][:, window].to(o.device)).square().mean(-1) * there).sum() / there.sum()
        clusters = F.cross_entropy(told["ids"].flatten(0, 1), ids[:, window].to(o.device).flatten(), ignore_index=-1)
        return {
            "phones": soft_cross_entropy(logits, phones[:, SKIP:FRAMES].to(o.device)),
            **{n: apart(n) if n in known else torch.zeros(()) for n in TEACHERS},
            "ids": clusters,
            "alike": F.mse_loss(again, content[-twice:, SKIP:]),
        }

    def train_step(self):
        mode = self.data.draw.choices(MODES, [SHARE[m] for m in MODES])[0]
        losses = self.losses(*self.data.batch(self.o.batch), mode)
        rate = falling(self.o, self.step, self.spent)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.zero_grad()
        sum(WEIGHTS[n] * x for n, x in losses.items()).backward()
        if torch.isfinite(torch.nn.utils.clip_grad_norm_(self.weights, 1.0)):
            self.optimiser.step()
        self.step, self.heard = self.step + 1, self.heard + self.o.batch * FRAMES / 360000
        with torch.no_grad():
            keep = min(0.9985, self.step / (self.step + 20))
            mine = [w for m in self.average for w in m.parameters()]
            torch._foreach_lerp_(mine, self.weights, 1 - keep)
        return rate, [float(x.detach()) for x in losses.values()]

    def judge(self, most):
        """A line of phone error rates."""
        parts = []
        for which in ("held out", "training"):
            of = self.data.judged(which, most)
            for mode in MODES if which == "held out" and not self.o.both else ("balanced",):
                j = judge(*self.average, of, mode)
                parts.append(f"{which} {mode}: phones {j['phones']:.4f} inner {j['inner']:.4f} frames {j['frames']:.4f} entropy {j['entropy']:.3f}")
        return "; ".join(parts)


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("cache", type=pathlib.Path)
    p.add_argument("run", type=pathlib.Path)
    p.add_argument("--start", type=pathlib.Path, help="an encoder.npz to begin with")
    p.add_argument("--seconds", type=float, default=7200, help="training time in all, over every resumption")
    p.add_argument("--level", type=float, default=0.6, help="share of --seconds before the rate begins to fall")
    p.add_argument("--rate", type=float, default=1.5e-3)
    p.add_argument("--decay", type=float, default=0.02)
    p.add_argument("--batch", type=int, default=20, help="crops of 4 s a step")
    p.add_argument("--width", type=int, default=320)
    p.add_argument("--content", type=int, default=64)
    p.add_argument("--both", action="store_true", help="full context to both sides: the bound of what these labels allow")
    p.add_argument("--real", type=float, default=0.3, help="share of crops of real speech")
    p.add_argument("--blur", type=float, default=0.1, help="spread of the noise on the content under the heads")
    p.add_argument("--drop", type=float, default=0.1, help="share of mixed channels left out")
    p.add_argument("--judge-every", type=float, default=600, help="seconds between judgings")
    p.add_argument("--device", default="cpu")
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--seed", type=int, default=0)
    o = p.parse_args()
    o.bf16 = o.device != "cpu" or bfloat16_is_quick()
    return o


def main():
    o = arguments()
    torch.set_num_threads(o.threads)
    o.run.mkdir(parents=True, exist_ok=True)
    run = Run(o)
    print(sum(w.numel() for w in run.encoder.parameters()), "weights; bfloat16" if o.bf16 else "weights; float32", flush=True)
    judged = [run.spent]

    def told():
        print(f"step {run.step}, {run.spent:.0f} s, {run.heard:.1f} h heard: {run.judge(110)}", flush=True)

    def between(run):
        if run.spent - judged[0] > o.judge_every:
            told()
            run.data.refresh()
            judged[0] = run.spent

    train(run, o, FIELDS, 50, lambda run: [f"{run.heard:.2f}"], between)
    told()


if __name__ == "__main__":
    main()
