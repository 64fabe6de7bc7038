#!/usr/bin/env python3
"""robustness.py [--pack FOLDER | --mynah PATH] [--debian FOLDER] [--out STEM]: what a voice does with everything but clean speech.

Each condition of conditions.py is converted and judged: level against the input, peak, numbers that are none, bursts (output more than 6 dB above the
input), what is left in the pauses, words and likeness where somebody speaks. With --mynah the product's own program converts, gate and leveller as it
has them; without it the graphs alone do, in NumPy. Written: STEM.md and STEM.json; sounds only where --sounds is given.

Acted voices, song and other languages come from Debian packages, unpacked into a folder for --debian:
    apt-get download hedgewars-data klettres-data asterisk-core-sounds-{es,fr,it,ru}-g722 && for p in *.deb; do dpkg-deb -x $p FOLDER/${p%%_*}; done
"""

import argparse
import json
import pathlib
import subprocess
import tempfile
import time

import numpy as np
import soundfile

import cases
import fetch
import judges
from conditions import conditions
from converter import HOP, MODES, RATE
from evaluate import SHIPPED, open_pack, wanted_pitch

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


class Graphs:
    """The pack's graphs by themselves."""

    def __init__(self, folder, judge, reference):
        self.pack, self.judge = open_pack(folder, MODES), judge
        self.speaker = self.pack.speaker(judge.voice(reference), reference)
        self.theirs, self.name = judge.pitch(reference), "graphs without gate and leveller"

    def __call__(self, sound, mode):
        mode = mode if mode in self.pack.graphs else next(iter(self.pack.graphs))  # a first pack has one mode, whatever is asked for
        return self.pack.convert(sound, wanted_pitch(self.judge.pitch(sound), self.theirs), self.speaker, mode)


class Product:
    """The program `mynah convert`, by files."""

    def __init__(self, program, gate, reference):
        self.program, self.gate = program.resolve(), ["--gate", str(gate)] if gate is not None else []
        self.folder = tempfile.TemporaryDirectory()
        self.reference = pathlib.Path(self.folder.name) / "reference.wav"
        soundfile.write(self.reference, reference, RATE, subtype="FLOAT")
        self.name = f"mynah convert{', gate ' + str(gate) + ' dBFS' if gate is not None else ''}"

    def __call__(self, sound, mode):
        given, made = (pathlib.Path(self.folder.name) / n for n in ("given.wav", "made.wav"))
        soundfile.write(given, sound, RATE, subtype="FLOAT")
        made.unlink(missing_ok=True)
        command = [str(self.program), "convert", str(given), "--voice", str(self.reference), "-o", str(made), "--mode", mode, *self.gate]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=600)
        return soundfile.read(made, dtype="float32", always_2d=True)[0].mean(1)


def table(rows, modes, name):
    out = [f"Converted by {name}. Levels in dBFS, RMS; bursts: output above the input's loudest frame within 30 ms (and above {FLOOR} dBFS) by more than {BURST} dB; pauses: output where the input is below {SILENT} dBFS.\n"]
    for mode in modes:
        out.append(f"### {mode}\n\n| condition | input | output | change | peak | not a number | longest burst, ms | loudest burst, dB | in pauses | WER (source) | GE2E to target |\n" + "|---" * 11 + "|")
        for r in (r for r in rows if r["mode"] == mode):
            tell = lambda key, f="{:.1f}": f.format(r[key]) if r.get(key) is not None else "–"
            wer = f"{r['errors'] / r['words']:.2f} ({r['source_errors'] / r['words']:.2f})" if r.get("words") else "–"
            cells = [tell("input"), tell("output"), f"{r['output'] - r['input']:+.1f}", tell("peak"), str(r["broken"]), str(r["burst_ms"]), tell("loudest_burst"), tell("buzz"), wer, tell("target", "{:.2f}")]
            out.append(f"| {r['group']}: {r['condition']} | " + " | ".join(cells) + " |")
        out.append("")
    return "\n".join(out)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--pack", type=pathlib.Path, default=SHIPPED, help="folder of graphs (default: the shipped pack)")
    p.add_argument("--mynah", type=pathlib.Path, help="the program mynah, to judge the product itself with the pack that it finds")
    p.add_argument("--gate", type=float, help="with --mynah: its gate, dBFS")
    p.add_argument("--modes", default="live,studio", help=f"by comma, of {', '.join(MODES)}")
    p.add_argument("--debian", type=pathlib.Path, help="folder of unpacked Debian packages")
    p.add_argument("--target", default="myself", choices=[n for n, v in cases.REAL.items() if v[2]], help="the real voice that is spoken with")
    p.add_argument("--only", default="", help="only conditions whose name holds this")
    p.add_argument("--work", type=pathlib.Path, default=fetch.WORK)
    p.add_argument("--sounds", type=pathlib.Path, help="also write inputs and outputs here")
    p.add_argument("--out", default="robustness", help="writes OUT.md and OUT.json")
    o = p.parse_args()
    judge, modes = judges.Judges(o.work), o.modes.split(",")
    reference = cases.real_voices(o.work)[o.target][1]
    convert = Product(o.mynah, o.gate, reference) if o.mynah else Graphs(o.pack, judge, reference)
    target, rows, heard = judge.voice(reference), [], {}  # heard: words of each input by its name
    for c in (c for c in conditions(o.work, o.debian) if o.only in f"{c.group}: {c.name}"):
        began = time.monotonic()
        for mode in modes:
            made = convert(c.sound, mode)
            row = {"group": c.group, "condition": c.name, "mode": mode} | numbers(c.sound, made)
            safe = np.clip(np.nan_to_num(made), -1, 1).astype(np.float32)
            if c.voice and rms_db(safe) > -75:
                row["target"] = float(judge.voice(safe) @ target)
            if c.words and (c.words in heard or c.words == c.name):
                if c.name not in heard:
                    heard[c.name] = judge.words(np.clip(c.sound, -1, 1), "base")
                row["source_errors"], row["words"] = judges.word_errors(heard[c.name], heard[c.words])
                row["errors"] = judges.word_errors(judge.words(safe, "base"), heard[c.words])[0]
            rows.append(row)
            if o.sounds:
                o.sounds.mkdir(parents=True, exist_ok=True)
                file = "".join(x if x.isalnum() or x in ".-" else "-" for x in f"{c.group}.{c.name}")
                soundfile.write(o.sounds / f"{file}.wav", np.clip(c.sound, -1, 1), RATE)
                soundfile.write(o.sounds / f"{file}.{mode}.wav", safe, RATE)
        print(f"{c.group}: {c.name} ({time.monotonic() - began:.0f} s)", flush=True)
        pathlib.Path(f"{o.out}.md").write_text(table(rows, modes, convert.name), encoding="utf-8")
        pathlib.Path(f"{o.out}.json").write_text(json.dumps({"by": convert.name, "rows": rows}, indent=1, ensure_ascii=False), encoding="utf-8")
    print(table(rows, modes, convert.name))


if __name__ == "__main__":
    main()
