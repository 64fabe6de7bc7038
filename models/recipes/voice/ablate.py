#!/usr/bin/env python3
"""ablate.py WEIGHTS --cache CACHE [--out STEM]: which places of the decoder need to be told of the voice?

At each place in turn the modulation is replaced by its mean over many speakers, so that the place still does what it does for everyone. Measured on
held-out pairs of one sentence in two voices: what is lost in similarity to the target (three verifiers) and in mel distance to the answer. Then places
are taken out one after another, at each step the one that is missed least (greedy, by GE2E). WEIGHTS: a run's checkpoint.pt or an .npz. A few minutes on one core.
"""

import argparse
import json
import pathlib

import numpy as np
import torch

import fetch
import judges
from corpus import HELD
from model import GLOBAL, HOP, MODES, SPEAKER, Verifier, Voice, energy_of, heard, log_mel, lookahead, power, start_from, synthesise

FRAMES, SHOWN = Verifier.FRAMES, 240  # of a pair and of a reference
INPUTS = {"input: narrow GE2E path": slice(0, GLOBAL), "input: wide GE2E path": slice(GLOBAL, 2 * GLOBAL), "input: timbre": slice(2 * GLOBAL, None)}


def load_model(path):
    """The averaged model of a checkpoint, or an .npz of weights."""
    model = Voice().eval()
    if path.suffix == ".npz":
        return start_from(model, path)
    model.load_state_dict(torch.load(path, map_location="cpu", weights_only=False)["average"])
    return model


class Cache:
    """What is needed of a cache made by corpus.py."""

    def __init__(self, folder):
        self.recordings = json.loads((folder / "index.json").read_text())["recordings"]
        self.sounds = np.memmap(folder / "sound.i16", np.int16, "r")
        self.pitches = np.memmap(folder / "pitch.f32", np.float32, "r")
        self.vectors = np.memmap(folder / "windows.f32", np.float32, "r").reshape(-1, SPEAKER)

    def sound(self, r, at, frames):
        """[frames * HOP] from frame `at`, zero past the end."""
        n = max(0, min(frames, r["hops"] - at))
        a = (r["hop"] + at) * HOP
        return np.pad(self.sounds[a : a + n * HOP].astype(np.float32) / 32767, (0, (frames - n) * HOP))

    def reference(self, r):
        """Whole verifier vector and SHOWN frames of a recording."""
        v = self.vectors[r["window"] : r["window"] + r["windows"]].mean(0)
        n = min(SHOWN, r["hops"])
        return v / np.linalg.norm(v), np.resize(self.sound(r, (r["hops"] - n) // 2, n), SHOWN * HOP)

    def pairs(self, count, ahead):
        """(source, answer, reference): a held-out sentence in two voices and another recording of the second voice."""
        test = [r for r in self.recordings if r["test"] and not r["real"]]
        groups, spoken = {}, {}
        for r in test:
            groups.setdefault(r["group"], []).append(r)
            spoken.setdefault(r["speaker"], []).append(r)
        found = [
            (a, b, next(o for o in spoken[b["speaker"]] if o is not b))
            for g in groups.values() for a in g for b in g
            if a["speaker"] != b["speaker"] and len(spoken[b["speaker"]]) > 1 and min(a["hops"], b["hops"]) >= FRAMES + ahead
        ]  # fmt: skip
        strict = [p for p in found if p[1]["speaker"] in HELD]  # targets that no training heard at all
        chosen = strict if len(strict) >= count else found
        return [chosen[i] for i in np.random.default_rng(2).permutation(len(chosen))[:count]]


def speakers(model, references):
    """Vector and timbre of each reference, [batch, SPEAKER + TIMBRE]."""
    vectors = torch.tensor(np.stack([v for v, _ in references])).float()
    timbres = model.reference(log_mel(power(heard(torch.tensor(np.stack([s for _, s in references])))))[:, :SHOWN])
    return torch.cat([vectors, timbres], 1)


class Ablation:
    """A model whose places of modulation can be frozen to their mean over speakers."""

    def __init__(self, model, everyone):
        self.model, self.frozen, self.mean = model, frozenset(), {}
        layers = {f"decoder block {i}": b.modulate for i, b in enumerate(model.decoder) if b.modulate is not None}
        layers |= {"before the head": model.last_modulate, "tint of the filters": model.tint}
        self.everyone = everyone.mean(0, keepdim=True)
        for name, layer in layers.items():
            self.mean[name] = layer(everyone).mean(0, keepdim=True)
            layer.register_forward_hook(lambda _, __, out, name=name: self.mean[name].expand_as(out) if name in self.frozen else out)
        # An input that is nothing at all in these weights can't be missed: its row would mislead.
        self.places = [*layers, *(n for n, cut in INPUTS.items() if everyone[:, cut].std(0).max() > 1e-6)]
        own = model.voice

        def voice(speaker):
            said = own(speaker).clone()
            for name, cut in INPUTS.items():
                if name in self.frozen:
                    said[:, cut] = self.everyone[:, cut]
            return said

        model.voice = voice


class Trial:
    """The pairs, encoded once, and the judges of what is decoded from them."""

    def __init__(self, model, cache, count, mode, work):
        self.model, self.mode, ahead = model, mode, lookahead(mode)
        chosen = cache.pairs(count, ahead)
        at = [min((min(a["hops"], b["hops"]) - FRAMES - ahead) // 2, 60) for a, b, _ in chosen]
        sources = torch.tensor(np.stack([cache.sound(a, t, FRAMES + ahead) for (a, _, _), t in zip(chosen, at)]))
        answers = torch.tensor(np.stack([cache.sound(b, t, FRAMES) for (_, b, _), t in zip(chosen, at)]))
        self.f0 = torch.tensor(np.stack([cache.pitches[b["hop"] + t : b["hop"] + t + FRAMES] for (_, b, _), t in zip(chosen, at)]))
        mel = log_mel(power(heard(sources)))[:, : FRAMES + ahead]
        content, _ = model.encoder(mel, mode, model.encoder.state(mode, len(chosen)))
        self.content, self.energy = content[:, ahead:], energy_of(mel)[:, :FRAMES]
        self.answer = log_mel(power(heard(answers)))[:, :FRAMES]
        references = [cache.reference(r) for _, _, r in chosen]
        self.speaker = speakers(model, references)
        self.judge = judges.Judges(work)
        self.verifier = Verifier(fetch.package("Resemblyzer", work) / "resemblyzer/pretrained.pt").eval()
        self.targets = {v: np.stack([self.judge.voice(s, v) for _, s in references]) for v in judges.VERIFIERS[1:]}
        self.count = len(chosen)

    def __call__(self, thorough=True):
        """Mean similarities and mel distance; without `thorough` GE2E only."""
        torch.manual_seed(0)
        harmonic, noise, _ = self.model.decode(self.content, self.f0, self.energy, self.speaker, self.model.decoder_state(self.count))
        sound = synthesise(self.f0, harmonic, noise)
        gain = 0.7 / sound.abs().amax(1, keepdim=True).clamp(min=1e-3)
        made = self.verifier(self.verifier.features(sound * gain)[:, :FRAMES])
        out = {"ge2e": float((made * self.speaker[:, :SPEAKER]).sum(1).mean())}
        if thorough:
            out |= {v: float(np.mean([self.judge.voice(s, v) @ t for s, t in zip(sound.numpy(), of)])) for v, of in self.targets.items()}
            out["mel"] = float((log_mel(power(heard(sound)))[:, :FRAMES] - self.answer).abs().mean())
        return out


def fold(model, ablation, blocks):
    """State of `model` without the modulation of these decoder blocks, whose means go into the norm before it."""
    state = model.state_dict()
    for i in blocks:
        scale, shift = ablation.mean[f"decoder block {i}"].squeeze(0).chunk(2, -1)
        weight, bias = f"decoder.{i}.norm.weight", f"decoder.{i}.norm.bias"
        state[weight], state[bias] = state[weight] * (1 + scale), state[bias] * (1 + scale) + shift
        state = {k: v for k, v in state.items() if not k.startswith(f"decoder.{i}.modulate")}
    return state


def table(base, single, greedy):
    head = "| {} | GE2E | d-vector | cepstra | mel distance |\n|---|---|---|---|---|\n"
    cells = lambda r: " | ".join(f"{r[k]:+.3f}" for k in ("ge2e", "dvector", "cepstra", "mel"))
    change = lambda r: {k: r[k] - base[k] for k in r}
    out = [head.format("all places in use") + "| means | " + " | ".join(f"{base[k]:.3f}" for k in ("ge2e", "dvector", "cepstra", "mel")) + " |\n"]
    out.append("Change when one place is the same for every voice (similarity down: the place is needed):\n")
    out.append(head.format("place") + "".join(f"| {n} | {cells(change(r))} |\n" for n, r in sorted(single.items(), key=lambda x: x[1]["ge2e"])))
    out.append("Change when places are taken out one after another, the least missed first:\n")
    out.append(head.format("taken out too") + "".join(f"| {n} | {cells(change(r))} |\n" for n, r in greedy))
    return "\n".join(out)


@torch.no_grad()
def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("weights", type=pathlib.Path)
    p.add_argument("--cache", type=pathlib.Path, required=True, help="a cache made by corpus.py")
    p.add_argument("--mode", choices=MODES, default="balanced")
    p.add_argument("--pairs", type=int, default=24)
    p.add_argument("--speakers", type=int, default=200, help="that the mean modulation is taken over")
    p.add_argument("--work", type=pathlib.Path, default=fetch.WORK)
    p.add_argument("--out", default="ablation", help="writes OUT.md and OUT.json")
    p.add_argument("--fold", metavar="1,2,…", help="measure nothing: write OUT.npz without the modulation of these decoder blocks (then take them out of MODULATED in model.py)")
    o = p.parse_args()
    torch.set_num_threads(1)
    model, cache = load_model(o.weights), Cache(o.cache)
    one_each = list({r["speaker"]: r for r in cache.recordings if not r["test"]}.values())
    drawn = [one_each[i] for i in np.random.default_rng(1).permutation(len(one_each))[: o.speakers]]
    ablation = Ablation(model, model.voice(speakers(model, [cache.reference(r) for r in drawn])))
    if o.fold:
        folded = fold(model, ablation, [int(i) for i in o.fold.split(",")])
        np.savez_compressed(f"{o.out}.npz", **{k: v.numpy().astype(np.float16) for k, v in folded.items()})
        return
    trial = Trial(model, cache, o.pairs, o.mode, o.work)

    def measured(frozen, thorough=True):
        ablation.frozen = frozenset(frozen)
        return trial(thorough)

    base, single, greedy, out = measured(()), {}, [], []
    for place in ablation.places:
        single[place] = measured((place,))
        print(f"without {place}: GE2E {single[place]['ge2e'] - base['ge2e']:+.3f}", flush=True)
    while len(out) < len(ablation.places):
        rest = [n for n in ablation.places if n not in out]
        out.append(max(rest, key=lambda n: measured((*out, n), False)["ge2e"]))
        greedy.append((out[-1], measured(out)))
        print(f"{len(out)} out, lately {out[-1]}: GE2E {greedy[-1][1]['ge2e'] - base['ge2e']:+.3f}", flush=True)
    text = f"{trial.count} held-out pairs, mode {o.mode}, mean modulation over {len(drawn)} speakers.\n\n" + table(base, single, greedy)
    pathlib.Path(f"{o.out}.md").write_text(text, encoding="utf-8")
    pathlib.Path(f"{o.out}.json").write_text(json.dumps({"base": base, "single": single, "greedy": greedy}, indent=1), encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
