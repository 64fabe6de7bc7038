"""The phones that are heard in a sound, by a recogniser without a language model, and how many of one sound's another sound keeps.

hama's acoustic model (PyPI `hama` 1.3.13, Apache-2.0): 16 kHz sound → log-probabilities of 191 tokens each 20 ms, read greedily; English, 2.3 M
parameters, a hundredth of real time. It knows no words, so it can't guess a phone that isn't there. For judges and for checks while training:

    from probe import Phones
    phones = Phones()
    phones(sound16k)                            # ["ɪ", "t", "w", "ə", "z", …]
    phones.error_rate(made16k, source16k)       # edits / phones of the source
    phones.error_rates([(made, source), …])     # the same of many, pooled

Not a loss: it gives no gradient. Knows nothing of voices, cases or models.
"""

import json

import numpy as np
import onnxruntime

import fetch

RATE = 16000
BLANK, BOUNDARY, UNKNOWN = "<blank>", "<wb>", "<unk>"
# Stress, length, tone and joining marks and padding: no sound of their own.
SILENT = {BLANK, BOUNDARY, UNKNOWN, "<pad>", "<sos>", "<eos>", " ", "%", ",", "~", "ː", "ˑ", "˞", "‿", "͡", "͜", "̯", "̩", "²", "³", "¹", "⁰", "⁴", "⁵", "⁻", "⁽", "⁾"}
BLANK_BIAS = -0.1  # as hama's own decoder has it


def edits(made, wanted):
    """Insertions, deletions and substitutions that make one sequence of the other (Levenshtein)."""
    row = list(range(len(made) + 1))
    for i, w in enumerate(wanted, 1):
        previous, row[0] = row[0], i
        for j, m in enumerate(made, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (m != w))
    return row[-1]


class Phones:
    """Calls are independent: nothing is kept of a sound. One thread; safe to call from several."""

    def __init__(self, work=fetch.WORK, threads=1):
        folder = fetch.package("hama", work) / "hama" / "assets"
        self.tokens = [*json.loads((folder / "g2p_vocab.json").read_text(encoding="utf-8"))["decoder"], BOUNDARY, BLANK]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = threads
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.graph = onnxruntime.InferenceSession(str(folder / "asr_waveform_fp16.onnx"), options, providers=["CPUExecutionProvider"])

    def log_probabilities(self, sound):
        """[frames, 191] of a 16 kHz mono sound of any length over 25 ms."""
        x = np.clip(np.nan_to_num(np.asarray(sound, np.float32)), -1, 1)
        logs, lengths = self.graph.run(["log_probs", "out_lengths"], {"waveform": x[None], "waveform_lengths": np.array([len(x)], np.int64)})
        return logs[0, : int(lengths[0])].astype(np.float32)

    def __call__(self, sound):
        """Phones in the order in which they are heard; none where the sound is shorter than 25 ms."""
        if len(sound) < RATE // 40:
            return []
        logs = self.log_probabilities(sound)
        logs[:, len(self.tokens) - 1] += BLANK_BIAS
        best = logs.argmax(1)
        heard = best[np.r_[True, best[1:] != best[:-1]]] if len(best) else best
        return [t for t in (self.tokens[i] for i in heard) if t not in SILENT]

    def batch(self, sounds):
        """The phones of each sound, one after the other: padding to one length would change what is heard at the ends."""
        return [self(s) for s in sounds]

    def errors(self, made, wanted):
        """(edits, phones of `wanted`); each is a sound or a list of phones."""
        a, b = (x if isinstance(x, list) else self(x) for x in (made, wanted))
        return edits(a, b), len(b)

    def error_rate(self, made, wanted):
        """Edits by phones of `wanted`; NaN where nothing is heard in it."""
        wrong, of = self.errors(made, wanted)
        return wrong / of if of else float("nan")

    def error_rates(self, pairs):
        """The pooled rate of many (made, wanted)."""
        counts = np.array([self.errors(*p) for p in pairs])
        return float(counts[:, 0].sum() / max(1, counts[:, 1].sum()))
