"""Stretches of speech as a streaming buffer holds them: cut anywhere, with the text that is said in them and past their end.

Reads the corpus that models/recipes/voice/corpus.py writes (English recordings only); recordings without a text are given one by `texts.py`.
"""

import json
import pathlib

import numpy as np
import torch
from scipy.signal import resample_poly

from whisper import RATE

SOURCE_RATE, SOURCE_HOP = 24000, 240
ENGLISH = ("en-us", "en-gb")


class Data:
    """Random stretches; the seed alone decides them."""

    def __init__(self, cache, texts, tokenizer, seed):
        index = json.loads((cache / "index.json").read_text())
        texts = json.loads(pathlib.Path(texts).read_text()) if texts else {}
        self.sound = np.memmap(cache / "sound.i16", np.int16, "r")
        spoken = [r | {"text": r.get("text") or texts.get(str(r["hop"]))} for r in index["recordings"]]
        spoken = [r for r in spoken if r["text"] and (r["real"] or r.get("lang") in ENGLISH)]
        self.recordings = [r for r in spoken if not r["test"]]
        self.held_out = [r for r in spoken if r["test"]]
        self.real = [r for r in self.recordings if r["real"]]
        self.by_speaker = {}
        for r in self.recordings:
            self.by_speaker.setdefault(r["speaker"], []).append(r)
        self.tokens = lambda text: tokenizer.encode(" " + text.strip(), add_special_tokens=False).ids
        self.random = np.random.default_rng(seed)

    def read(self, r):
        """[samples] at 16 kHz."""
        at = r["hop"] * SOURCE_HOP
        x = self.sound[at : at + r["hops"] * SOURCE_HOP].astype(np.float32) / 32768
        return resample_poly(x, 2, 3).astype(np.float32)

    def stretch(self, seconds):
        """One stretch of exactly so long: sound, the tokens of its text, the tokens of what came before."""
        g, need = self.random, round(seconds * RATE)
        first = self.real[g.integers(len(self.real))] if g.random() < 0.25 and self.real else self.recordings[g.integers(len(self.recordings))]
        peers = self.by_speaker[first["speaker"]]
        lead = round(g.uniform(0.1, 0.5) * RATE)
        parts, text, length, r = [np.zeros(lead, np.float32)], [], lead, first
        while length < need or not text:
            x = self.read(r)
            parts += [x, np.zeros(round(g.uniform(0, 0.6) * RATE), np.float32)]
            text.append(r["text"].strip())
            length = sum(map(len, parts))
            r = peers[g.integers(len(peers))]
        x = np.concatenate(parts)[:need]
        return self.worn(x), self.tokens(" ".join(text)), self.tokens(r["text"])[-40:] if g.random() < 0.5 else []

    def worn(self, x):
        """Gain, noise of some colour, a dull microphone."""
        g = self.random
        x = x / max(1e-3, np.abs(x).max()) * 10 ** g.uniform(-1.3, 0)
        if g.random() < 0.6:
            spectrum = np.fft.rfft(g.standard_normal(len(x)))
            noise = np.fft.irfft(spectrum / (1 + np.arange(len(spectrum))) ** g.uniform(0, 0.9), len(x))
            x = x + noise * np.sqrt((x**2).mean() / (noise**2).mean()) * 10 ** (-g.uniform(8, 40) / 20)
        if g.random() < 0.2:
            x = np.convolve(x, np.hanning(round(g.uniform(4, 9))), "same") / 3
        return x.astype(np.float32)

    def batch(self, count, longest, start, end):
        """Sounds [count, samples], tokens [count, n], the columns whose prediction counts. `start` opens a transcript, `end` ends it."""
        seconds = float(self.random.uniform(1.0, longest))
        items = [self.stretch(seconds) for _ in range(count)]
        rows = [(before and [start["previous"], *before]) + start["transcript"] + text[: 100] + [end] for _, text, before in items]
        width = max(map(len, rows))
        tokens, said = np.full((count, width), end), np.zeros((count, width), bool)
        for i, (row, (_, _, before)) in enumerate(zip(rows, items)):
            tokens[i, : len(row)] = row
            # The row of the last opening token predicts the first word.
            said[i, len(before) + bool(before) + len(start["transcript"]) - 1 : len(row) - 1] = True
        return torch.tensor(np.stack([x for x, _, _ in items])), torch.tensor(tokens), torch.tensor(said)
