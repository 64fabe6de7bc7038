"""Words against words: the error rate, which words of a transcript were met, which of a list of names were found. Knows nothing of time or of recognisers."""

import re
from dataclasses import dataclass
from functools import lru_cache

import jiwer
from rapidfuzz.distance import Levenshtein
from whisper_normalizer.english import EnglishTextNormalizer


@lru_cache
def normaliser():
    return EnglishTextNormalizer()


@dataclass(frozen=True)
class Errors:
    """Counts of a comparison; they add up over recordings."""

    substituted: int = 0
    deleted: int = 0
    inserted: int = 0
    words: int = 0  # of the reference

    def __add__(self, other):
        return Errors(*(a + b for a, b in zip(vars(self).values(), vars(other).values())))

    @property
    def count(self):
        return self.substituted + self.deleted + self.inserted

    @property
    def rate(self):
        return self.count / max(1, self.words)


def errors(reference, heard):
    """Word errors after Whisper's English normaliser (case, punctuation, spelling, numbers, fillers)."""
    reference, heard = normaliser()(reference), normaliser()(heard)
    out = jiwer.process_words(reference, heard)
    return Errors(out.substitutions, out.deletions, out.insertions, len(reference.split()))


def bare(text):
    """A single word as it is compared with another: lower case, letters, digits and inner apostrophes."""
    return re.sub(r"^'+|'+$", "", re.sub(r"[^a-z0-9']", "", text.lower().replace("’", "'")))


def met(a, b):
    """Pairs (i, j) of equal words on the shortest way from one list of bare words to the other; empty words meet nobody."""
    pairs = []
    for op in Levenshtein.opcodes(a, b):
        if op.tag == "equal":
            pairs += [(i, j) for i, j in zip(range(op.src_start, op.src_end), range(op.dest_start, op.dest_end)) if a[i]]
    return pairs


def mentions(names, text):
    """How often each name is said in a text: whole words, after the normaliser."""
    text = f" {normaliser()(text)} "
    return {name: text.count(f" {normaliser()(name)} ") for name in names}
