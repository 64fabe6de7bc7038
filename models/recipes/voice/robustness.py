#!/usr/bin/env python3
"""robustness.py [--mynah PROGRAM] [--pack FOLDER] [--out STEM]: what the product does with everything but clean speech.

Each condition of conditions.py goes through `mynah convert` and is judged: level against the input, peaks, numbers that are none, bursts (output
more than 6 dB above the input), what is left in the pauses; phones, words, likeness and quality where somebody speaks. Written: STEM.md and
STEM.json.
Acted voices, song and other languages come from Debian's packages (apt-get).
"""

import argparse
import json
import pathlib
import time

import numpy as np
import soundfile

import cases
import fetch
import judges
import measure
from conditions import conditions
from converter import HOP, RATE
from product import MODES, PROGRAM, SHIPPED, Product
from tables import PARTS

FLOOR, SILENT, BURST = -60, -60, 6  # dBFS that no input is taken to be below, dBFS below which it counts as a pause, dB that make a burst
NEAR = 3  # frames of input before and after an output frame that may have caused it
AFTER = 10  # frames after the last sound that a tail may take


def db(power):
    return 10 * np.log10(np.maximum(power, 1e-12))


def rms_db(sound):
    return float(db(np.mean(np.square(sound, dtype=np.float64))))


def frames_db(sound):
    """Level of each hop, dBFS."""
    return db(np.square(sound[: len(sound) // HOP * HOP].reshape(-1, HOP), dtype=np.float64).mean(1))


def longest_run(flags):
    best = run = 0
    for f in flags:
        run = run + 1 if f else 0
        best = max(best, run)
    return best


def numbers(given, made):
    """What can be said of any output, heard or not."""
    broken = int((~np.isfinite(made)).sum())
    made = np.nan_to_num(made, nan=0, posinf=0, neginf=0)
    n = min(len(given), len(made))
    given = given[:n] - given[:n].mean()  # a constant is no sound
    a, b = frames_db(given), frames_db(made[:n])
    width = lambda before, after: np.lib.stride_tricks.sliding_window_view(np.pad(a, (before, after), constant_values=-120), before + after + 1).max(1)
    silent, near = width(AFTER, NEAR) < SILENT, np.maximum(width(NEAR, NEAR), FLOOR)
    return {
        "input": rms_db(given), "output": rms_db(made[:n]),
        "peak": float(db(np.square(np.abs(made).max()))), "broken": broken,
        "burst_ms": 10 * longest_run(b > near + BURST), "loudest_burst": float(max(0, (b - near).max())),
        "buzz": float(db(np.mean(10 ** (b[silent] / 10)))) if silent.any() else None,
    }  # fmt: skip


def judged(judge, c, made, reference, clean):
    """What is heard in an output; in `clean` lie the inputs whose words others share."""
    row = {}
    if not c.voice or rms_db(made) < -75:
        return row
    row |= {f"{v}_target": float(judge.voice(made, v) @ judge.voice(reference, v)) for v in measure.JUDGING}
    row |= {"distillmos": judge.distilled(made), "source_distillmos": judge.distilled(c.sound)}
    if c.words in clean:
        text = judge.words(clean[c.words], "base")
        wanted = judge.phones(clean[c.words])
        row["words"], row["phones"] = len(judges.plain(text)), len(wanted)
        for name, sound in (("", made), ("source_", np.clip(c.sound, -1, 1))):
            row[f"{name}errors"] = judges.word_errors(judge.words(sound, "base"), text)[0]
            row[f"{name}phone_errors"] = judges.edits(judge.phones(sound), wanted)
    return row


HEADINGS = (
    "condition", "input", "output", "change", "peak in", "peak out", "not a number", "longest burst, ms", "loudest burst, dB", "in pauses",
    "PER (source's)", "WER (source's)", "GE2E to target", "d-vector to target", "DistillMOS (source's)",
)  # fmt: skip
PARTICIPANTS = ("*judge's part in the training*", *["–"] * 9, *(f"*{PARTS[j]}*" for j in ("hama", "base", "ge2e", "dvector", "distillmos")))


def table(rows, modes):
    out = [
        f"Levels in dBFS, RMS; bursts: output above the input's loudest frame within 30 ms (and above {FLOOR} dBFS) by more than {BURST} dB; "
        f"pauses: output where the input is below {SILENT} dBFS. Phones (hama) and words (Whisper base) against those of the clean recording, "
        "in brackets what the judge makes of the input itself.\n"
    ]
    for mode in modes:
        mine = [r for r in rows if r["mode"] == mode]
        below = [r for r in mine if r["peak_in"] <= 0]
        above = [r["condition"] for r in below if r["peak"] > 0]
        out.append(f"### {mode}\n\n{len(above)} of {len(below)} conditions whose input stays below full scale come out above it")
        out[-1] += f": {'; '.join(above)}.\n" if above else ".\n"
        out += ["| " + " | ".join(HEADINGS) + " |\n" + "|---" * len(HEADINGS) + "|", "| " + " | ".join(PARTICIPANTS) + " |"]
        out += [line(r) for r in mine] + [""]
    return "\n".join(out)


def line(r):
    tell = lambda key, f="{:.1f}": f.format(r[key]) if r.get(key) is not None else "–"
    share = lambda what, of: f"{r[what] / r[of]:.2f} ({r['source_' + what] / r[of]:.2f})" if r.get(of) else "–"
    cells = [f"{r['group']}: {r['condition']}", tell("input"), tell("output"), f"{r['output'] - r['input']:+.1f}", tell("peak_in"), tell("peak")]
    cells += [str(r["broken"]), str(r["burst_ms"]), tell("loudest_burst"), tell("buzz")]
    cells += [share("phone_errors", "phones"), share("errors", "words"), tell("ge2e_target", "{:.2f}"), tell("dvector_target", "{:.2f}")]
    cells.append(f"{r['distillmos']:.2f} ({r['source_distillmos']:.2f})" if "distillmos" in r else "–")
    return "| " + " | ".join(cells) + " |"


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--mynah", type=pathlib.Path, default=PROGRAM, help="the program (default: target/release/mynah)")
    p.add_argument("--pack", type=pathlib.Path, default=SHIPPED, help="folder of the pack (default: the shipped one)")
    p.add_argument("--gate", type=float, help="the program's gate, dBFS (default: none)")
    p.add_argument("--modes", default="live", help=f"by comma, of {', '.join(MODES)}")
    p.add_argument("--no-debian", action="store_true", help="leave out what comes from Debian's packages")
    p.add_argument("--target", default="myself", choices=[n for n, v in cases.REAL.items() if v[2]], help="the real voice that is spoken with")
    p.add_argument("--only", default="", help="only conditions whose name holds this")
    p.add_argument("--work", type=pathlib.Path, default=fetch.WORK)
    p.add_argument("--sounds", type=pathlib.Path, help="also write inputs and outputs here")
    p.add_argument("--out", default="robustness", help="writes OUT.md and OUT.json")
    o = p.parse_args()
    judge, modes, convert = judges.Judges(o.work), o.modes.split(","), Product(o.mynah, o.pack)
    reference = cases.real_voices(o.work)[o.target].reference
    rows, clean = [], {}
    for c in conditions(o.work, not o.no_debian):
        if c.words == c.name:
            clean[c.name] = np.clip(c.sound, -1, 1)
        if o.only not in f"{c.group}: {c.name}":
            continue
        began = time.monotonic()
        for mode in modes:
            made = convert(c.sound, reference, mode, o.gate)
            safe = np.nan_to_num(made).astype(np.float32)
            row = {"group": c.group, "condition": c.name, "mode": mode} | numbers(c.sound, made)
            row["peak_in"] = float(db(np.square(np.abs(c.sound).max())))
            rows.append(row | judged(judge, c, np.clip(safe, -1, 1), reference, clean))
            if o.sounds:
                o.sounds.mkdir(parents=True, exist_ok=True)
                file = "".join(x if x.isalnum() or x in ".-" else "-" for x in f"{c.group}.{c.name}")
                soundfile.write(o.sounds / f"{file}.wav", np.clip(c.sound, -1, 1), RATE)
                soundfile.write(o.sounds / f"{file}.{mode}.wav", np.clip(safe, -1, 1), RATE)
        print(f"{c.group}: {c.name} ({time.monotonic() - began:.0f} s)", flush=True)
        pathlib.Path(f"{o.out}.md").write_text(table(rows, modes), encoding="utf-8")
        pathlib.Path(f"{o.out}.json").write_text(json.dumps({"rows": rows}, indent=1, ensure_ascii=False), encoding="utf-8")
    print(table(rows, modes))


if __name__ == "__main__":
    main()
