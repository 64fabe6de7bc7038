"""Markdown of what was measured: one table a list and one of all, with each judge's part in the training and the natural bounds in it.

A rate is pooled over cases and has the half width of its 90 % interval beside it (1,000 draws of cases with replacement); other numbers are
medians, in brackets where the worst tenth begins (10th percentile; 90th where less is better). Knows rows, no sounds.
"""

import numpy as np

from measure import NATURAL, NUDGED, SOURCE

TITLES = {
    "all": "All real recordings", "read": "Read English", "acted": "Acted English",
    "home": "Recorded at home", "own": "Own recordings", "rendered": "Rendered recordings",
}  # fmt: skip
# What part a judge had in the shipped voice's training; evaluate.py --part says it of another.
PARTS = {
    "hama": "teaches the encoder", "base": "none", "tiny": "teaches, a loss", "ge2e": "conditions, loss", "dvector": "none", "dnsmos": "none", "distillmos": "none",
}  # fmt: skip
# Heading, judge, key with form and percentile beside the median, or (errors, of) for a rate.
COLUMNS = (
    ("PER, hama ↓", "hama", ("phone_errors", "phones")),
    ("PER, other languages ↓", "hama", ("foreign_phone_errors", "foreign_phones")),
    ("WER, Whisper base ↓", "base", ("base", "words")),
    ("WER, Whisper tiny.en ↓", "tiny", ("tiny", "words")),
    ("GE2E to target ↑", "ge2e", "ge2e_target", "{:.3f}", 10),
    ("GE2E to source ↓", "ge2e", "ge2e_source", "{:.3f}", None),
    ("d-vector to target ↑", "dvector", "dvector_target", "{:.3f}", 10),
    ("d-vector to source ↓", "dvector", "dvector_source", "{:.3f}", None),
    ("DNSMOS ↑", "dnsmos", "dnsmos", "{:.2f}", 10),
    ("DistillMOS ↑", "distillmos", "distillmos", "{:.2f}", 10),
    ("F0 correlation ↑", None, "f0", "{:.3f}", 10),
    ("voicing error ↓", None, "voicing", "{:.3f}", None),
    ("pitch from target's, semitones ↓", None, "off", "{:.1f}", 90),
    ("loudness, LU", None, "louder", "{:+.1f}", None),
    ("above full scale", None, ("over", "of")),
)
BOUNDS = (NATURAL, SOURCE, NUDGED)
DRAWS, INSIDE = 1000, (5, 95)


def median(values, form, worst):
    values = np.array([v for v in values if v is not None and np.isfinite(v)])
    if not len(values):
        return "–"
    return form.format(np.median(values)) + (f" ({form.format(np.percentile(values, worst))})" if worst else "")


def spread(statistic, count):
    """5th and 95th percentile of a statistic over draws of `count` cases with replacement."""
    draw = np.random.default_rng(0).integers(count, size=(DRAWS, count))
    return np.nanpercentile([statistic(d) for d in draw], INSIDE)


def counts(rows, keys):
    """[cases, 2]: errors and what they are of, where both are known."""
    return np.array([[r[keys[0]], r[keys[1]]] for r in rows if r.get(keys[1])], float)


def rate(rows, keys):
    held = counts(rows, keys)
    if not len(held):
        return "–"
    if keys[0] == "over":
        return f"{held[:, 0].sum():.0f} of {len(held)}"
    pooled = held[:, 0].sum() / held[:, 1].sum()
    low, high = spread(lambda d: held[d, 0].sum() / held[d, 1].sum(), len(held))
    return f"{pooled:.3f} ± {(high - low) / 2:.3f}" if pooled else "0"


def cell(rows, column):
    return rate(rows, column[2]) if isinstance(column[2], tuple) else median([r.get(column[2]) for r in rows], column[3], column[4])


def known(rows, column):
    key = column[2][1] if isinstance(column[2], tuple) else column[2]
    return any(r.get(key) is not None for r in rows)


def told(rows):
    """How much was heard: cases, words, speakers."""
    sources = {(r["kind"], r["speaker"], r["piece"]): r for r in rows if r["system"] == SOURCE}
    spoken = [r for r in rows if r["system"] == SOURCE]
    once, all_ = sum(r.get("words", 0) for r in sources.values()), sum(r.get("words", 0) for r in spoken)
    speakers, voices = ({r[k] for r in spoken} for k in ("speaker", "target"))
    line = f"{len(spoken)} cases; {len(speakers)} speakers in {len(voices)} voices; {once:,} different words "
    line += f"({all_:,} with each target voice counted, {sum(r.get('phones', 0) for r in spoken):,} phones)"
    lost = sum(1 for r in spoken if r["heard"] and not r["text"])
    return line + (f"; {lost} cases whose source the two recognisers hear differently are judged by phones only." if lost else ".")


def head(columns):
    return "| system | " + " | ".join(c[0] for c in columns) + " |\n|" + "---|" * (len(columns) + 1)


def one(rows, title):
    columns = [c for c in COLUMNS if known(rows, c)]
    out = [f"### {title}\n", told(rows) + "\n", head(columns)]
    out.append("| *judge's part in the training* | " + " | ".join(f"*{PARTS[c[1]]}*" if c[1] else "–" for c in columns) + " |")
    for system in [s for s in BOUNDS if s in {r["system"] for r in rows}] + [s for s in dict.fromkeys(r["system"] for r in rows) if s not in BOUNDS]:
        mine = [r for r in rows if r["system"] == system]
        out.append(f"| {system} | " + " | ".join(cell(mine, c) for c in columns) + " |")
    return "\n".join(out) + "\n"


def difference(rows, first, second, column):
    """Second less first over the cases of both, and its 90 % interval."""
    a, b = ({(r["kind"], r["case"]): r for r in rows if r["system"] == s} for s in (first, second))
    both = [k for k in a if k in b]
    if isinstance(column[2], tuple):
        x, y = (np.array([[s[k].get(column[2][0], 0), s[k].get(column[2][1], 0)] for k in both], float) for s in (a, b))
        statistic = lambda d: y[d, 0].sum() / max(1, y[d, 1].sum()) - x[d, 0].sum() / max(1, x[d, 1].sum())
        form = "{:+.3f}"
    else:
        pairs = [(a[k].get(column[2]), b[k].get(column[2])) for k in both]
        gaps = np.array([q - p for p, q in pairs if p is not None and q is not None and np.isfinite(q - p)])
        both, statistic, form = gaps, (lambda d: gaps[d].mean()), "{:+.3f}"
    if not len(both):
        return "–"
    low, high = spread(statistic, len(both))
    return f"{form.format(statistic(np.arange(len(both))))} ({form.format(low)} to {form.format(high)})"


def compared(rows, packs, modes):
    """Each further pack beside the first, mode by mode: mean differences case by case with 90 % intervals."""
    columns = [c for c in COLUMNS if known(rows, c) and c[2] != ("over", "of")]
    out = [f"### Beside {packs[0]}: differences case by case (90 % intervals)\n", head(columns)]
    for other in packs[1:]:
        for mode in modes:
            first, second = (f"{p}, {mode}" for p in (packs[0], other))
            if {first, second} <= {r["system"] for r in rows}:
                out.append(f"| {second} | " + " | ".join(difference(rows, first, second, c) for c in columns) + " |")
    return "\n".join(out) + "\n"


def page(rows, packs, modes):
    """All of it."""
    lists = list(dict.fromkeys(r["kind"] for r in rows))
    real = [r for r in rows if r["kind"] in ("read", "acted", "home")]
    out = [one(real, TITLES["all"])] if len({r["kind"] for r in real}) > 1 else []
    out += [one([r for r in rows if r["kind"] == k], TITLES[k]) for k in lists]
    return "\n".join(out + ([compared(rows, packs, modes)] if len(packs) > 1 else []))
