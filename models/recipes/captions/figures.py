"""What a viewer saw, in numbers: from the lines that a captioner told to delays, flicker and the errors of word times. Knows no recogniser.

A *screen* is what stands there after all lines of one moment: the finals so far, then the partial. A partial replaces the former one; a final without a new
partial takes its words from the head of the standing one. Times are the sound's seconds; `clock` is the virtual clock: sound and computing, one core.
"""

from dataclasses import dataclass, field

import numpy as np

import words as texts

NEAR = 1.5  # seconds between a told word's start and the reference's: beyond that an equal word is another one


@dataclass(frozen=True)
class Word:
    text: str
    start: float
    end: float


@dataclass(frozen=True)
class Line:
    """One line that a captioner told."""

    kind: str  # "partial", "final" or "skipped"
    heard: float  # seconds of sound pushed
    clock: float  # when it was told, ≥ heard
    words: tuple[Word, ...]


@dataclass
class Shown:
    """What the lines of one recording come to."""

    first_delays: list = field(default_factory=list)  # seconds from a word's end to its first showing, words that were met
    final_delays: list = field(default_factory=list)  # to its final, likewise
    start_errors: list = field(default_factory=list)  # seconds, told − aligned
    end_errors: list = field(default_factory=list)
    shown: int = 0  # words that ever stood as partial
    revised: int = 0  # of them those that changed or went before they were final
    lag: float = 0.0  # the largest clock − heard
    skipped: float = 0.0  # seconds of sound that were given up
    text: str = ""
    pairs: int = 0

    def __add__(self, other):
        out = Shown(**{k: v + vars(other)[k] for k, v in vars(self).items()})
        out.lag = max(self.lag, other.lag)
        return out


def screens(lines):
    """(clock, heard, number of finals, finals + partial) after each moment."""
    finals, partial, k = [], [], 0
    while k < len(lines):
        moment, told, settled = (lines[k].heard, lines[k].clock), False, 0
        while k < len(lines) and (lines[k].heard, lines[k].clock) == moment:
            line = lines[k]
            if line.kind == "final":
                finals = finals + list(line.words)
                settled += len(line.words)
            elif line.kind == "partial":
                partial, told = list(line.words), True
            k += 1
        if settled and not told:
            partial = [w for w in partial[settled:] if not finals or w.start >= finals[-1].end - 0.05]
        yield moment[1], moment[0], len(finals), finals + partial


def placed(reference, told):
    """Pairs (i, j) of reference and told words that are equal, in order and near in time."""
    pairs = texts.met([texts.bare(w.text) for w in reference], [texts.bare(w.text) for w in told])
    return [(i, j) for i, j in pairs if abs(reference[i].start - told[j].start) < NEAR]


def flicker(seen):
    """(words that ever stood as partial, of them those that changed or went). Capitals and punctuation aside."""
    shown = revised = 0
    before, settled = [], 0
    for _, _, finals, screen in seen:
        now = [texts.bare(w.text) for w in screen]
        met = {i: j for i, j in texts.met(before[settled:], now[settled:])}
        revised += sum(bool(t) for i, t in enumerate(before[settled:]) if i not in met)
        new = set(range(max(finals, settled), len(now))) - {settled + j for j in met.values()}
        shown += sum(bool(now[j]) for j in new)
        before, settled = now, finals
    return shown, revised


def watch(lines, reference):
    """Shown of one recording: `reference` are its words with their aligned times."""
    seen = list(screens(lines))
    out = Shown()
    out.shown, out.revised = flicker(seen)
    out.lag = max((line.clock - line.heard for line in lines), default=0.0)
    out.skipped = float(sum(w.end - w.start for line in lines if line.kind == "skipped" for w in line.words))
    finals = [w for line in lines if line.kind == "final" for w in line.words]
    out.text = " ".join(w.text for w in finals)
    told_at = [line.clock for line in lines if line.kind == "final" for _ in line.words]
    pairs = placed(reference, finals)
    out.pairs = len(pairs)
    first = {}  # reference word → clock of its first showing
    of_final = {j: i for i, j in pairs}
    for clock, heard, count, screen in seen:
        # Words behind the last final that was met are looked for only among what had been said by then.
        last = max((of_final[j] for j in range(count) if j in of_final), default=-1)
        said = [k for k in range(last + 1, len(reference)) if reference[k].start < heard]
        for i, _ in placed([reference[k] for k in said], screen[count:]):
            first.setdefault(said[i], clock)
    for i, j in pairs:
        word, told = reference[i], finals[j]
        out.final_delays.append(told_at[j] - word.end)
        out.first_delays.append(min(first.get(i, told_at[j]), told_at[j]) - word.end)
        out.start_errors.append(told.start - word.start)
        out.end_errors.append(told.end - word.end)
    return out


def middle(values, q, scale=1.0, form="{:.2f}"):
    """A percentile of absolute or signed values as text, or a dash when there are none."""
    return form.format(scale * float(np.percentile(values, q))) if len(values) else "–"
