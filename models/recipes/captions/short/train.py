#!/usr/bin/env python3
"""train.py CACHE RUN --model FOLDER [--texts TEXTS.json] [--seconds 3600]: teach Whisper's encoder to hear a short buffer without its 30 s of padding.

Whisper was trained on 30 s. A buffer with a second of silence behind it is decoded badly: words repeat without end. Here a copy of the encoder, given the
buffer and TAIL seconds, learns to give the (frozen) decoder what the published encoder gives with LONG seconds behind the same buffer: the same next tokens
(Kullback-Leibler), the same states where the sound is, the same attention of the alignment heads. No transcript is needed, since the published model is the teacher.
The only state is RUN/checkpoint.pt and RUN/log.csv; a stopped run goes on where it was.
"""

import argparse
import copy
import math
import pathlib
import signal
import time

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer

from data import Data
from whisper import POSITION, RATE, Decoder, Encoder, log_mel, variables

TAIL, LONG = 1.0, 10.0
ENDING = 4.0  # how much more a row counts where the teacher ends
FIELDS = ("step", "seconds", "rate", "tokens", "states", "attention", "agree")


def opening(tokenizer):
    """The special tokens that begin a transcript of an English model, the one before earlier text, and the end."""
    ids = [tokenizer.token_to_id(t) for t in ("<|startoftranscript|>", "<|notimestamps|>", "<|startofprev|>", "<|endoftext|>")]
    return {"transcript": ids[:2], "previous": ids[2]}, ids[3]


class Run:
    def __init__(self, o):
        torch.set_num_threads(o.threads)
        torch.manual_seed(o.seed)
        self.o, held = o, variables(o.model / "model.bin")
        tokenizer = Tokenizer.from_file(str(o.model / "tokenizer.json"))
        self.start, self.end = opening(tokenizer)
        self.teacher, self.decoder = Encoder(held).requires_grad_(False), Decoder(held, o.model / "config.json").requires_grad_(False)
        self.student = copy.deepcopy(self.teacher).requires_grad_(True)
        self.average = copy.deepcopy(self.teacher)
        self.data = Data(o.cache, o.texts, tokenizer, o.seed)
        self.optimiser = torch.optim.AdamW(self.student.parameters(), lr=o.rate, betas=(0.9, 0.98), weight_decay=0.0)
        self.step, self.spent = 0, 0.0
        if (file := o.run / "checkpoint.pt").exists():
            held = torch.load(file, weights_only=False)
            for name in ("student", "average", "optimiser"):
                getattr(self, name).load_state_dict(held[name])
            self.step, self.spent, self.data.random.bit_generator.state = held["step"], held["spent"], held["random"]

    def save(self):
        state = {n: getattr(self, n).state_dict() for n in ("student", "average", "optimiser")}
        torch.save(state | {"step": self.step, "spent": self.spent, "random": self.data.random.bit_generator.state}, self.o.run / "new.pt")
        (self.o.run / "new.pt").rename(self.o.run / "checkpoint.pt")

    def losses(self):
        o = self.o
        sound, tokens, said = self.data.batch(o.batch, o.longest, self.start, self.end)
        heard = sound.shape[1] // POSITION
        with torch.autocast("cpu", torch.bfloat16, enabled=o.bf16):
            with torch.no_grad():
                wanted_states = self.teacher(log_mel(sound, LONG))
                wanted, wanted_weights = self.decoder(tokens, wanted_states)
                wanted = self.decoder.logits(wanted[said]).log_softmax(-1)
                # What comes after the teacher's end says nothing.
                ended = torch.zeros_like(said, dtype=torch.long).masked_scatter(said, (wanted.argmax(-1) == self.end).long())
                counts = said & (ended.cumsum(1) - ended == 0)
                wanted = wanted[counts[said]]
            states = self.student(log_mel(sound, TAIL))
            got, weights = self.decoder(tokens, states)
            got = self.decoder.logits(got[counts]).log_softmax(-1)
        # A missed end is what makes words repeat, and there is but one in a buffer.
        weight = 1 + ENDING * wanted[:, self.end].exp()
        kl = ((wanted.exp() * (wanted - got)).sum(-1) * weight).sum() / weight.sum()
        a, b = states[:, :heard].float(), wanted_states[:, :heard].float()
        apart = ((a - b).square().mean() / b.var()).float()

        def over_sound(w):
            w = w[..., :heard].float() + 1e-6
            return (w / w.sum(-1, keepdim=True)).log()

        mine, theirs = over_sound(weights), over_sound(wanted_weights)
        aligned = (theirs.exp() * (theirs - mine)).sum(-1).mean(1)[counts].mean()
        agree = (got.argmax(-1) == wanted.argmax(-1)).float().mean()
        return kl, apart, aligned, agree

    def rate(self):
        o, done = self.o, min(1.0, self.spent / self.o.seconds)
        return o.rate * min(1.0, (self.step + 1) / 50) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done)))

    def go(self):
        o, stop, kept = self.o, [], []
        signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
        log = o.run / "log.csv"
        if not log.exists():
            log.write_text(",".join(FIELDS) + "\n")
        last = time.monotonic()
        while self.spent < o.seconds and not stop:
            for group in self.optimiser.param_groups:
                group["lr"] = self.rate()
            kl, apart, aligned, agree = self.losses()
            (kl + o.states * apart + o.attention * aligned).backward()
            torch.nn.utils.clip_grad_norm_(self.student.parameters(), 1.0)
            self.optimiser.step()
            self.optimiser.zero_grad()
            decay = min(0.995, (1 + self.step) / (10 + self.step))
            with torch.no_grad():
                for a, s in zip(self.average.parameters(), self.student.parameters()):
                    a.lerp_(s, 1 - decay)
            self.step += 1
            now = time.monotonic()
            self.spent, last = self.spent + now - last, now
            kept.append([float(x) for x in (kl, apart, aligned, agree)])
            if self.step % 20 == 0:
                with log.open("a") as f:
                    f.write(f"{self.step},{self.spent:.0f},{self.rate():.3g}," + ",".join(f"{x:.4f}" for x in np.mean(kept, 0)) + "\n")
                kept = []
            if self.step % 100 == 0:
                self.save()
        self.save()


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("cache", type=pathlib.Path)
    p.add_argument("run", type=pathlib.Path)
    p.add_argument("--model", type=pathlib.Path, required=True, help="folder with Whisper tiny.en as CTranslate2 has it")
    p.add_argument("--texts", type=pathlib.Path, help="what texts.py wrote")
    p.add_argument("--seconds", type=float, default=3600)
    p.add_argument("--rate", type=float, default=1e-4)
    p.add_argument("--batch", type=int, default=8)
    p.add_argument("--longest", type=float, default=10.0, help="seconds of the longest buffer")
    p.add_argument("--states", type=float, default=0.5, help="weight of the distance of the encoder's states")
    p.add_argument("--attention", type=float, default=0.3, help="weight of the distance of the alignment heads' attention")
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--bf16", action="store_true", help="products in bfloat16, where the processor has it")
    p.add_argument("--seed", type=int, default=0)
    o = p.parse_args()
    o.run.mkdir(parents=True, exist_ok=True)
    Run(o).go()


if __name__ == "__main__":
    main()
