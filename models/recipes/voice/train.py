#!/usr/bin/env python3
"""train.py CACHE RUN --verifier pretrained.pt [--start voice.onnx] [--seconds 7200]: train the voice model, or go on where RUN stopped.

A batch holds
  pairs     source and target speak one sentence with one prosody in two timbres: the target recording is the answer;
  selves    source and target are one recording (rendered or real), the source bent in formants, colour and noise so that its own timbre is no help;
  strangers any source, any target voice, the pitch moved to that voice: no answer exists, so the verifier judges the voice and the averaged model the words.
The only state is RUN/checkpoint.pt (model, average, optimiser, random states, seconds spent) and RUN/log.csv.
"""

import argparse
import copy
import json
import pathlib
import random
import signal
import time

import numpy as np
import torch
import torch.nn.functional as F

from model import FFT, HOP, LOOKAHEAD, MELS, Verifier, Voice, energy_of, log_mel, power, spectrum, start_from, synthesise
from corpus import STEP

FRAMES = Verifier.FRAMES  # of an item: 1.6 s, one window of the verifier
FED = FRAMES + LOOKAHEAD
FIELDS = ("step", "seconds", "rate", "stft", "mel", "phones", "voice", "stranger", "words", "alike")  # voice, stranger: mean similarity to the wanted voice


class Data:
    """Draws items from a cache made by corpus.py; never a held-out recording."""

    def __init__(self, cache, seed):
        about = json.loads((cache / "index.json").read_text())
        kept = [r for r in about["recordings"] if not r["test"]]
        # Drawn voices that a first model finds hardest to say are often hoarse: sources still, answers never.
        hard = sorted(r["hardness"] for r in kept if "hardness" in r and r["speaker"] >= 160)
        limit = hard[int(len(hard) * 0.93)] if hard else 1e9
        self.answers = [r for r in kept if r.get("hardness", 0) <= limit or r["speaker"] < 160]
        good, groups, self.by_speaker = {id(r) for r in self.answers}, {}, {}
        for r in kept:
            if not r["real"]:
                groups.setdefault(r["group"], []).append(r)
        self.pairs = [(a, b) for g in groups.values() for a in g for b in g if a is not b and id(b) in good]
        self.real = {}
        for r in kept:
            if r["real"]:
                self.real.setdefault(r["speaker"], []).append(r)
        self.real = list(self.real.values())
        self.rendered = [r for r in self.answers if not r["real"]]
        for r in self.answers:
            self.by_speaker.setdefault(r["speaker"], []).append(r)
        self.sound = np.memmap(cache / "sound.i16", np.int16, "r")
        self.pitch = np.memmap(cache / "pitch.f32", np.float32, "r")
        self.phones = np.memmap(cache / "phones.i16", np.int16, "r")
        self.windows = np.memmap(cache / "windows.f32", np.float32, "r").reshape(-1, 256)
        self.draw = random.Random(seed)
        print(f"{len(self.pairs)} pairs, {len(self.real)} real speakers, {len(self.by_speaker)} speakers", flush=True)

    def voice(self, recording):
        """One embedding of a voice: the mean of some windows of a recording, as a reference of a few seconds would give."""
        k = recording["windows"]
        chosen = self.draw.sample(range(k), self.draw.randint(1, k))
        v = self.windows[[recording["window"] + i for i in chosen]].mean(0)
        return v / np.linalg.norm(v)

    def reference(self, recording):
        """A recording of the same speaker, likelier one of similar pitch: live, the pitch is moved to the reference's."""
        others = self.by_speaker.get(recording["speaker"], [recording])
        near = [np.exp(-abs(np.log2((o["median"] + 1) / (recording["median"] + 1))) / 0.2) + 0.02 for o in others]
        return self.draw.choices(others, near)[0]

    def cut(self, recording, at):
        """Sound, pitch and phonemes of FED frames from hop `at`, zero (phoneme: unknown) past the end."""
        n = max(0, min(FED, recording["hops"] - at))
        a = recording["hop"] + at
        pad = lambda x, length, value=0: np.pad(x, (0, length - len(x)), constant_values=value)
        sound = self.sound[a * HOP : (a + n) * HOP].astype(np.float32) / 32767
        return pad(sound, FED * HOP), pad(np.array(self.pitch[a : a + n]), FED), pad(self.phones[a : a + n].astype(np.int64), FED, -1)

    def any(self, real):
        """A recording that can be an answer; of real voices each as likely as another, however much it has said."""
        return self.draw.choice(self.draw.choice(self.real) if self.real and self.draw.random() < real else self.rendered)

    def item(self, kind):
        draw = self.draw
        if kind == "pair":
            source, answer = draw.choice(self.pairs)
        elif kind == "self":
            source = answer = self.any(0.5)
        else:
            source = self.any(0.25)
            answer = self.any(0.2)
        of = source if kind == "stranger" else answer
        k = draw.randrange(of["windows"])
        at = max(0, min(k * STEP + draw.randint(-6, 6), of["hops"] - FED))
        a, pitch, phones = self.cut(source, at)
        bend = draw.uniform(-0.14, 0.14) if draw.random() < 0.7 else 0.0
        if kind == "stranger":
            b, voice = a, self.voice(answer)
            wanted = voice
            pitch = pitch * (np.clip(answer["median"] / source["median"], 0.3, 3.5) if min(answer["median"], source["median"]) > 0 else 1)
            pitch = np.where(pitch > 0, np.clip(pitch * 2 ** draw.uniform(-0.1, 0.1), 50, 800), 0)
        else:
            b, pitch, known = self.cut(answer, at)
            phones = known
            voice, own = self.voice(self.reference(answer)), self.windows[answer["window"] + k]
            wanted = (voice + own) / np.linalg.norm(voice + own)
            if kind == "self":
                bend = draw.choice((-1, 1)) * draw.uniform(0.08, 0.22)
        if draw.random() < 0.2:  # an unsure pitch tracker: voicing lost here and there
            lost = np.repeat(np.random.default_rng(draw.getrandbits(32)).random(FED // 3 + 1) < 0.06, 3)[:FED]
            pitch = np.where(lost, 0, pitch)
        noise = np.random.default_rng(draw.getrandbits(32))
        a = a * 10 ** (draw.uniform(-6, 6) / 20)
        if draw.random() < 0.15:  # a small room
            tail = noise.standard_normal(1920) * np.exp(-np.arange(1920) / draw.uniform(200, 600)) * draw.uniform(0.01, 0.08)
            tail[0] = 1
            a = np.fft.irfft(np.fft.rfft(a, 65536) * np.fft.rfft(tail, 65536), 65536)[: len(a)]
        a = a + noise.standard_normal(len(a)) * 10 ** draw.uniform(-4.5, -2.5)
        colour = np.interp(np.arange(MELS), np.linspace(0, MELS - 1, 7), noise.uniform(-0.9, 0.9, 7) if draw.random() < 0.6 else np.zeros(7))
        return {"a": a, "b": b, "pitch": pitch, "phones": phones, "voice": voice, "wanted": wanted, "bend": bend, "colour": colour, "gain": (source if kind == "stranger" else answer)["gain"]}

    def batch(self, kinds, device):
        items = [self.item(k) for k in kinds]
        whole = lambda x: torch.as_tensor(x) if x.dtype == np.int64 else torch.as_tensor(x.astype(np.float32))
        return {k: whole(np.stack([np.asarray(i[k]) for i in items])).to(device) for k in items[0]}


def bent_mel(sound, bend, colour):
    """Log-mel of a sound whose spectrum is stretched by exp(bend) along frequency and coloured: another vocal tract and microphone."""
    p = power(spectrum(sound))[:, :FED]
    at = (torch.arange(p.shape[-1], device=p.device) / torch.exp(bend).unsqueeze(1)).clamp(max=p.shape[-1] - 1)
    low = at.floor().long().clamp(max=p.shape[-1] - 2)
    share = (at - low).unsqueeze(1)
    take = lambda i: p.gather(2, i.unsqueeze(1).expand(-1, p.shape[1], -1))
    mel = log_mel(take(low) * (1 - share) + take(low + 1) * share)
    return torch.log(mel.exp() * torch.exp(colour).unsqueeze(1) + 1e-5)


def spectral_loss(x, y):
    """Multi-resolution: relative error of magnitudes plus mean distance of their logarithms, upper half of the spectrum weighted up for consonants."""
    total = 0.0
    for n, hop in ((2048, 480), (1024, 240), (512, 120), (256, 60)):
        w = torch.hann_window(n, device=x.device)
        a, b = (power(torch.stft(s, n, hop, window=w, return_complex=True)).clamp(min=1e-10) for s in (x, y))
        weight = torch.linspace(0.7, 1.3, a.shape[1], device=x.device).view(1, -1, 1)
        total = total + (a.sqrt() - b.sqrt()).norm() / b.sqrt().norm() + 0.5 * (weight * (a.log() - b.log()).abs()).mean()
    return total / 4


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("cache", type=pathlib.Path)
    p.add_argument("run", type=pathlib.Path)
    p.add_argument("--verifier", required=True, help="Resemblyzer's pretrained.pt")
    p.add_argument("--start", help="a voice graph to take first weights from")
    p.add_argument("--seconds", type=float, default=7200, help="training time in all, over every resumption")
    p.add_argument("--rate", type=float, default=6e-4)
    p.add_argument("--level", type=float, default=0.6, help="share of --seconds before the rate begins to fall")
    p.add_argument("--pairs", type=int, default=5)
    p.add_argument("--selves", type=int, default=2)
    p.add_argument("--strangers", type=int, default=3)
    p.add_argument("--blur", type=float, default=0.05, help="spread of the noise on the content")
    p.add_argument("--phones", type=float, default=0.5, help="weight of the phoneme cross-entropy")
    p.add_argument("--alike", type=float, default=1.0, help="weight of the distance between the contents of source and answer")
    p.add_argument("--voice-weight", type=float, default=2.0)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--bf16", action="store_true", help="layers in bfloat16, where the processor has it")
    p.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    p.add_argument("--seed", type=int, default=0)
    o = p.parse_args()
    torch.set_num_threads(o.threads)
    torch.manual_seed(o.seed)
    o.run.mkdir(parents=True, exist_ok=True)
    data, model, verifier = Data(o.cache, o.seed), Voice(), Verifier(o.verifier).to(o.device).train()
    if o.start:
        start_from(model, o.start)
    model.to(o.device)
    average = copy.deepcopy(model).requires_grad_(False).eval()
    fresh = [q for n, q in model.named_parameters() if n.startswith(("wide_voice", "tint", "last_modulate", "phones"))]
    ids = {id(q) for q in fresh}
    old = [q for q in model.parameters() if id(q) not in ids]
    optimiser = torch.optim.AdamW([{"params": old, "times": 1.0}, {"params": fresh, "times": 3.0}], o.rate, betas=(0.8, 0.99), weight_decay=0.01)
    step, spent, place = 0, 0.0, o.run / "checkpoint.pt"
    if place.exists():
        held = torch.load(place, map_location=o.device, weights_only=False)
        model.load_state_dict(held["model"])
        average.load_state_dict(held["average"])
        optimiser.load_state_dict(held["optimiser"])
        step, spent = held["step"], held["seconds"]
        data.draw.setstate(held["draw"])
        torch.set_rng_state(held["torch"].cpu())
    log = open(o.run / "log.csv", "a", buffering=1)
    if log.tell() == 0:
        log.write(",".join(FIELDS) + "\n")

    def save():
        new = o.run / "checkpoint.new"
        torch.save({"model": model.state_dict(), "average": average.state_dict(), "optimiser": optimiser.state_dict(), "step": step, "seconds": spent, "draw": data.draw.getstate(), "torch": torch.get_rng_state()}, new)
        new.replace(place)

    kinds = ["pair"] * o.pairs + ["self"] * o.selves + ["stranger"] * o.strangers
    answered, sums, summed, last, saved = o.pairs + o.selves, np.zeros(7), 0, time.time(), time.time()
    asked = []  # to stop, by a signal: the step in hand is finished and saved
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, lambda *_: asked.append(True))
    while spent < o.seconds and not asked:
        d = data.batch(kinds, o.device)
        with torch.no_grad():
            mel = bent_mel(d["a"], d["bend"], d["colour"])
            wanted_mel = log_mel(power(spectrum(d["b"])))[:, :FED]
            energy = energy_of(wanted_mel)
        with torch.autocast(o.device.split(":")[0], torch.bfloat16, enabled=o.bf16):
            harmonic, noise, pitch, _, phones, content = model(mel, d["pitch"], energy, d["voice"], model.state(len(mel), o.device), o.blur)
            with torch.no_grad():  # what the averaged model hears in the answer: the same words from another mouth
                answer, _ = average.encode(wanted_mel[:answered], average.state(answered, o.device))
        alike = F.mse_loss(content[:answered, LOOKAHEAD:].float(), answer[:, LOOKAHEAD:].float())
        made = synthesise(pitch[:, LOOKAHEAD:], harmonic[:, LOOKAHEAD:], noise[:, LOOKAHEAD:])
        target = d["b"][:answered, : FRAMES * HOP]
        made_mel = log_mel(power(spectrum(made)))[:, :FRAMES]
        stft = spectral_loss(made[:answered], target)
        unvoiced = ((d["pitch"] == 0) & (energy > -6)).float()[:answered, :FRAMES]
        mel_loss = ((made_mel[:answered] - wanted_mel[:answered, :FRAMES]).abs().mean(-1) * (1 + 0.7 * unvoiced)).mean()
        spoken = d["phones"][:, :FRAMES]
        phone_loss = F.cross_entropy(phones[:, LOOKAHEAD:].float().flatten(0, 1), spoken.flatten(), ignore_index=-1)
        with torch.autocast(o.device.split(":")[0], torch.bfloat16, enabled=o.bf16):
            close = (verifier(verifier.features(made * d["gain"].unsqueeze(1))[:, :FRAMES]).float() * d["wanted"]).sum(-1)
            words = torch.zeros(())
            if o.strangers:
                heard, _ = average.encode(F.pad(made_mel[answered:], (0, 0, 0, LOOKAHEAD)), average.state(o.strangers, o.device))
                with torch.no_grad():
                    meant, _ = average.encode(mel[answered:], average.state(o.strangers, o.device))
                heard, meant = heard[:, LOOKAHEAD:].float(), meant[:, LOOKAHEAD:].float()
                words = F.mse_loss(heard, meant)
                if (spoken[answered:] >= 0).any() and step > 500:
                    words = words + 0.3 * F.cross_entropy(average.phones(heard).flatten(0, 1), spoken[answered:].flatten(), ignore_index=-1)
        voice, stranger = (1 - close[:answered]).mean(), (1 - close[answered:]).mean() if o.strangers else torch.zeros(())
        share = o.strangers / max(1, answered)
        loss = stft + 0.5 * mel_loss + o.phones * phone_loss + o.alike * alike + o.voice_weight * (voice + share * stranger) + share * words
        fall = max(0.0, min(1, spent / o.seconds) - o.level) / (1 - o.level)  # level first, then down along a half cosine
        rate = o.rate * min(1, (step + 1) / 50) * (0.03 + 0.97 * 0.5 * (1 + np.cos(np.pi * fall)))
        for group in optimiser.param_groups:
            group["lr"] = rate * group["times"]
        optimiser.zero_grad()
        loss.backward()
        size = torch.nn.utils.clip_grad_norm_(model.parameters(), 2.0)
        if torch.isfinite(size):
            optimiser.step()
        step += 1
        with torch.no_grad():
            keep = min(0.997, step / (step + 20))
            for mine, theirs in zip(average.parameters(), model.parameters()):
                mine.lerp_(theirs, 1 - keep)
        now = time.time()
        spent, last = spent + now - last, now
        sums += [float(x.detach()) for x in (stft, mel_loss, phone_loss, 1 - voice, 1 - stranger, words, alike)]
        summed += 1
        if step % 25 == 0:
            log.write(",".join([str(step), str(round(spent)), f"{rate:.2e}", *(f"{x:.4f}" for x in sums / summed)]) + "\n")
            sums[:], summed = 0, 0
        if now - saved > 120:
            save()
            saved = now
    save()
    print(f"{step} steps, {spent:.0f} s", flush=True)


if __name__ == "__main__":
    main()
