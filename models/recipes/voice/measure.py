"""What is measured of a case: the natural bounds, the source itself, and what a converter made of it. Knows no files and no tables.

A measurement is a dictionary of numbers; counts of errors stand beside what they are counted of, so that many cases pool.
"""

import numpy as np

import cases
import judges
from converter import RATE

NATURAL, SOURCE, NUDGED = "target's own speech", "source, unconverted", "source, noise 40 dB below"
JUDGING = ("ge2e", "dvector")  # verifiers
NOISE = -40  # dB beside the source's level: a change that no listener minds, so what the judges make of it is their own unrest
DOUBT = 1 / 3  # of the words may the two recognisers hear otherwise in a source whose words are taken from one of them


def alike(judge, sound, **others):
    """Cosines of a sound's voice to other sounds'."""
    return {f"{v}_{name}": float(judge.voice(sound, v) @ judge.voice(other, v)) for name, other in others.items() for v in JUDGING}


def quality(judge, sound):
    return {"dnsmos": judge.quality(sound), "distillmos": judge.distilled(sound)}


def words(judge, sound, text):
    """Word errors of both recognisers; nothing where the words are not known."""
    if not text:
        return {}
    return {r: judges.word_errors(judge.words(sound, r), text)[0] for r in judges.RECOGNISERS} | {"words": len(judges.plain(text))}


def phones(judge, sound, case):
    """Phone errors against the source; apart where it is not English, which the recogniser does not know."""
    wanted = judge.phones(case.source)
    tongue = "" if case.text else "foreign_"
    return {f"{tongue}phone_errors": judges.edits(judge.phones(sound), wanted), f"{tongue}phones": len(wanted)}


def trusted(judge, case):
    """The words of a source, or None: where nobody wrote them down, both recognisers must hear much the same."""
    if case.text != cases.HEARD:
        return case.text
    text, other = (judge.words(case.source, r) for r in ("base", "tiny"))
    errors, of = judges.word_errors(other, text)
    return text if of and errors / of <= DOUBT and not judges.loops(text) else None


def natural(judge, case):
    """The target's other recording, beside the reference."""
    return alike(judge, case.other, target=case.reference) | quality(judge, case.other)


def unconverted(judge, case):
    """The source as it is: to the target as two strangers are. `text` is what it says, None where that is not known."""
    text = trusted(judge, case)
    counted = {"text": text, "heard": case.text == cases.HEARD}
    return counted | alike(judge, case.source, target=case.reference) | quality(judge, case.source) | words(judge, case.source, text) | phones(judge, case.source, case)


def nudged(judge, case, text):
    """The source with white noise far below it."""
    noise = np.random.default_rng(8).standard_normal(len(case.source))
    level = np.sqrt(np.mean(np.square(case.source, dtype=np.float64))) * 10 ** (NOISE / 20)
    sound = (case.source + noise * level).astype(np.float32)
    return alike(judge, sound, target=case.reference, source=case.source) | quality(judge, sound) | words(judge, sound, text) | phones(judge, sound, case)


def median_pitch(f0):
    return float(np.median(f0[f0 > 0])) if (f0 > 0).any() else float("nan")


def converted(judge, case, sound, text):
    """What a converter made."""
    f0, made, theirs = judge.pitch(case.source), judge.pitch(sound), judge.pitch(case.reference)
    numbers = alike(judge, sound, target=case.reference, source=case.source) | quality(judge, sound) | words(judge, sound, text) | phones(judge, sound, case)
    return numbers | {
        "f0": judges.agreement(made, f0), "voicing": judges.voicing_error(made, f0),
        "off": float(abs(12 * np.log2(median_pitch(made) / median_pitch(theirs)))),
        "louder": judges.loudness(sound) - judges.loudness(case.source),
        "over": int(np.abs(sound).max() > 1 >= np.abs(case.source).max()), "of": 1,
        "seconds": len(case.source) / RATE,
    }  # fmt: skip
