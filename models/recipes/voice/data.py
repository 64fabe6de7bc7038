"""Draws the items of a training batch from a cache made by corpus.py; never a held-out recording.

A batch holds
  pairs     source and target speak one sentence with one prosody in two timbres: the target recording is the answer;
  selves    source and target are one recording (rendered or real), the source bent in formants, colour and noise so that its own timbre is no help;
  strangers any source, any target voice, the pitch moved to that voice: no answer exists.
Knows no layers and no losses.
"""

import json
import random

import numpy as np
import torch

from corpus import STEP
from model import FARTHEST, HOP, MELS, RATE, Verifier, heard, log_mel, power

SHOWN = 240  # frames of the reference that the timbre is taken from


class Data:
    """Draws items from a cache made by corpus.py; never a held-out recording."""

    def __init__(self, cache, seed, lead, made):
        """Items of `lead` frames that the encoder alone hears, `made` frames that end with a window of the verifier, and what may be heard of the future."""
        self.fed, self.before = lead + made + FARTHEST, lead + made - Verifier.FRAMES
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
        self.said = [sum(r["hops"] for r in of) ** 0.5 for of in self.real]  # who said more is drawn oftener, but not in proportion
        wide = [(of, w) for of, w in zip(self.real, self.said) if not of[0]["narrow"]]
        self.wide, self.wide_said = [of for of, _ in wide], [w for _, w in wide]
        self.rendered = [r for r in self.answers if not r["real"]]
        for r in self.answers:
            self.by_speaker.setdefault(r["speaker"], []).append(r)
        self.sound = np.memmap(cache / "sound.i16", np.int16, "r")
        self.pitch = np.memmap(cache / "pitch.f32", np.float32, "r")
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
        """Sound and pitch of self.fed frames from hop `at`, zero before the beginning and past the end."""
        start, end = max(0, at), min(recording["hops"], at + self.fed)
        a, n = recording["hop"] + start, max(0, end - start)
        pad = lambda x, unit: np.pad(x, ((start - at) * unit, (self.fed - n - start + at) * unit))
        return pad(self.sound[a * HOP : (a + n) * HOP].astype(np.float32) / 32767, HOP), pad(np.array(self.pitch[a : a + n]), 1)

    def any(self, real, narrow=False):
        """A recording, with probability `real` of a real voice; one without its upper octave only where `narrow` allows."""
        voices, said = (self.real, self.said) if narrow else (self.wide, self.wide_said)
        return self.draw.choice(self.draw.choices(voices, said)[0] if voices and self.draw.random() < real else self.rendered)

    def timbre(self, recording):
        """SHOWN frames of a reference recording for the timbre, looped where it is shorter."""
        at = self.draw.randrange(max(1, recording["hops"] - SHOWN))
        a, n = recording["hop"] + at, min(SHOWN, recording["hops"] - at)
        sound = self.sound[a * HOP : (a + n) * HOP].astype(np.float32) / 32767
        return np.resize(sound, SHOWN * HOP)

    def background(self, length, noise):
        """A background of unit loudness: other voices, a hum, or noise that falls with frequency."""
        what = self.draw.random()
        if what < 0.35:
            x = sum(np.resize(self.cut(self.any(0.3, narrow=True), 0)[0], length) for _ in range(self.draw.randint(1, 3)))
        elif what < 0.5:
            at = np.arange(length) * self.draw.choice((50, 60)) / RATE
            x = sum(np.sin(2 * np.pi * k * at) / k ** self.draw.uniform(0.5, 1.5) for k in range(1, 9))
        else:
            spectrum = np.fft.rfft(noise.standard_normal(length))
            x = np.fft.irfft(spectrum / np.maximum(1, np.arange(len(spectrum)) * 50 / len(spectrum)) ** self.draw.uniform(0.2, 1.2), length)
        return x / (np.sqrt(np.mean(np.square(x))) + 1e-6)

    def item(self, kind):
        draw = self.draw
        if kind == "pair":
            source, answer = draw.choice(self.pairs)
        elif kind == "self":
            source = answer = self.any(0.5)
        else:
            source = self.any(0.5, narrow=True)
            answer = self.any(0.3)
        of = source if kind == "stranger" else answer
        k = draw.randrange(of["windows"])
        at = k * STEP - self.before + draw.randint(-6, 6)
        a, pitch = self.cut(source, at)
        bend = draw.uniform(-0.14, 0.14) if draw.random() < 0.7 else 0.0
        if kind == "stranger":
            shown = self.reference(answer)
            b, voice = a, self.voice(shown)
            wanted = voice
            pitch = pitch * (np.clip(answer["median"] / source["median"], 0.3, 3.5) if min(answer["median"], source["median"]) > 0 else 1)
            pitch = np.where(pitch > 0, np.clip(pitch * 2 ** draw.uniform(-0.1, 0.1), 50, 800), 0)
        else:
            b, pitch = self.cut(answer, at)
            shown = self.reference(answer)
            voice, own = self.voice(shown), self.windows[answer["window"] + k]
            wanted = (voice + own) / np.linalg.norm(voice + own)
            if kind == "self":
                bend = draw.choice((-1, 1)) * draw.uniform(0.08, 0.22)
        if draw.random() < 0.2:  # an unsure pitch tracker: voicing lost here and there
            lost = np.repeat(np.random.default_rng(draw.getrandbits(32)).random(self.fed // 3 + 1) < 0.06, 3)[:self.fed]
            pitch = np.where(lost, 0, pitch)
        noise = np.random.default_rng(draw.getrandbits(32))
        a = a * 10 ** (draw.uniform(-6, 6) / 20)
        if draw.random() < 0.15:  # a small room
            tail = noise.standard_normal(1920) * np.exp(-np.arange(1920) / draw.uniform(200, 600)) * draw.uniform(0.01, 0.08)
            tail[0] = 1
            size = 1 << (len(a) + len(tail)).bit_length()
            a = np.fft.irfft(np.fft.rfft(a, size) * np.fft.rfft(tail, size), size)[: len(a)]
        a = a + noise.standard_normal(len(a)) * 10 ** draw.uniform(-4.5, -2.5)
        if draw.random() < 0.2:
            a = a + self.background(len(a), noise) * np.sqrt(np.mean(a**2)) * 10 ** (-draw.uniform(8, 30) / 20)
        if draw.random() < 0.12:  # a telephone, a dull microphone: nothing above some frequency
            spectrum = np.fft.rfft(a)
            spectrum[int(len(spectrum) * draw.uniform(3300, 8000) / (RATE / 2)) :] = 0
            a = np.fft.irfft(spectrum, len(a))
        colour = np.interp(np.arange(MELS), np.linspace(0, MELS - 1, 7), noise.uniform(-0.9, 0.9, 7) if draw.random() < 0.6 else np.zeros(7))
        return {"a": a, "b": b, "pitch": pitch, "voice": voice, "shown": self.timbre(shown), "wanted": wanted, "bend": bend, "colour": colour, "gain": (source if kind == "stranger" else answer)["gain"]}

    def batch(self, kinds, device):
        items = [self.item(k) for k in kinds]
        return {k: torch.as_tensor(np.stack([np.asarray(i[k]) for i in items]).astype(np.float32)).to(device) for k in items[0]}


def bent_mel(sound, bend, colour):
    """Log-mel of a sound whose spectrum is stretched by exp(bend) along frequency and coloured: another vocal tract and microphone."""
    p = power(heard(sound))[:, : sound.shape[1] // HOP]
    at = (torch.arange(p.shape[-1], device=p.device) / torch.exp(bend).unsqueeze(1)).clamp(max=p.shape[-1] - 1)
    low = at.floor().long().clamp(max=p.shape[-1] - 2)
    share = (at - low).unsqueeze(1)
    take = lambda i: p.gather(2, i.unsqueeze(1).expand(-1, p.shape[1], -1))
    mel = log_mel(take(low) * (1 - share) + take(low + 1) * share)
    return torch.log(mel.exp() * torch.exp(colour).unsqueeze(1) + 1e-5)
