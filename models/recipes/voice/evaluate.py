#!/usr/bin/env python3
"""evaluate.py [--mynah PROGRAM] [--pack NAME=FOLDER ...] [--quick] [--out STEM]: how well the product speaks in voices that no training heard.

Converts real recordings with `mynah convert`, so with everything that a user hears, and gives what comes out to judges. Which of them had a
part in the training stands in each table, and the natural bounds beside. Without --pack the shipped voice; with several, each on the same
cases, and what differs.

    python evaluate.py                                                  # the shipped voice, every list, every mode
    python evaluate.py --quick --pack new=WORK/pack                     # a checkpoint in five minutes: twelve cases, live mode
    python evaluate.py --pack shipped=../../mynah-voice --pack new=WORK/pack

Fetches about 700 MB of packages on first use (pip and apt-get; `--lists read` needs pip alone). Written: STEM.md (the tables) and STEM.json
(every case, rewritten after each: what was measured of the same sounds by the same pack, program and code is taken over, so a stopped run goes
on where it was). No GPU needed.
"""

import argparse
import hashlib
import json
import pathlib
import time

import numpy as np
import soundfile

import cases
import fetch
import judges
import measure
import tables
from product import MODES, PROGRAM, SHIPPED, Product

HERE = pathlib.Path(__file__).parent
LISTENING = ", pitch found live"  # a mode with the pitch found while the program listens, as the plugin does, where else it has measured the whole recording
MEASURING = ("judges.py", "measure.py", "probe.py", "product.py")


class Rows:
    """What is measured, kept in STEM.json."""

    def __init__(self, stem):
        self.path, self.rows = pathlib.Path(f"{stem}.json"), []
        self.code = hashlib.sha256(b"".join((HERE / n).read_bytes() for n in MEASURING)).hexdigest()[:16]
        before = json.loads(self.path.read_text(encoding="utf-8"))["rows"] if self.path.exists() else []
        self.known = {(r["kind"], r["case"], r["system"], r["by"]): r for r in before}

    def row(self, case, system, of, find):
        """A row of this run: found again, or measured. `of`: the hash of the converter, if one had a part in it."""
        heard = hashlib.sha256(b"".join(np.ascontiguousarray(s).tobytes() for s in (case.source, case.reference, case.other))).hexdigest()
        by = f"{self.code}.{heard[:16]}.{of[:16]}"
        row = self.known.get((case.kind, case.name, system, by))
        if row is None:
            speaker, target = case.name.split("→")
            speaker, _, piece = speaker.rpartition(".")
            about = {"kind": case.kind, "case": case.name, "speaker": speaker or piece, "piece": piece, "target": target}
            row = about | {"system": system, "by": by} | find()
        self.rows.append(row)
        return row

    def save(self):
        done = {(r["kind"], r["case"], r["system"], r["by"]) for r in self.rows}
        # What comes later in this run, or belongs to another pack, stays.
        rows = self.rows + [r for k, r in self.known.items() if k not in done]
        new = self.path.with_suffix(".new")
        new.parent.mkdir(parents=True, exist_ok=True)
        new.write_text(json.dumps({"rows": rows}, indent=1, ensure_ascii=False), encoding="utf-8")
        new.replace(self.path)


def file_name(*parts):
    return "".join(c if c.isalnum() or c in ".-" else "-" for c in ".".join(parts))


def one_case(case, products, modes, judge, run, sounds=None, pictures=None):
    """All rows of a case."""
    run.row(case, measure.NATURAL, "", lambda: measure.natural(judge, case))
    text = run.row(case, measure.SOURCE, "", lambda: measure.unconverted(judge, case))["text"]
    run.row(case, measure.NUDGED, "", lambda: measure.nudged(judge, case, text))
    made = {}
    for name, product in products.items():
        for mode in modes:
            system = f"{name}, {mode}"

            def sound(system=system, product=product, mode=mode):
                if system not in made:
                    pitch = "live" if mode.endswith(LISTENING) else None
                    made[system] = product(case.source, case.reference, mode.removesuffix(LISTENING), pitch=pitch)
                return made[system]

            run.row(case, system, product.hash, lambda s=sound: measure.converted(judge, case, s(), text))
            if sounds:
                sounds.mkdir(parents=True, exist_ok=True)
                soundfile.write(sounds / file_name(case.kind, case.name, system, "wav"), np.clip(sound(), -1, 1), cases.RATE)
            if pictures:
                sound()
    if pictures:
        from pictures import draw

        pitch = {"source": judge.pitch(case.source)} | {s: judge.pitch(x) for s, x in made.items()}
        shown = {"source": case.source, "target's reference": case.reference} | made
        draw(pictures / file_name(case.kind, case.name, "png"), shown, pitch)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--mynah", type=pathlib.Path, default=PROGRAM, help="the program (default: target/release/mynah)")
    p.add_argument(
        "--pack", action="append", default=[], metavar="NAME=FOLDER", help="a pack to judge, repeatable (default: the shipped mynah-voice)"
    )
    p.add_argument("--quick", action="store_true", help="twelve cases in live mode, with the pitch measured first and with it found live")
    p.add_argument(
        "--modes", help="which modes, by comma, of live, balanced, studio, and each with -listening: the pitch found live, as the plugin does "
        "(default: all three and live-listening; with --quick live,live-listening)",
    )  # fmt: skip
    every = ",".join(cases.LISTS)
    p.add_argument("--lists", default=every, help=f"which lists of real recordings, by comma (default: {every})")
    p.add_argument("--cache", type=pathlib.Path, help="also judge the held-out rendered voices of a cache made by corpus.py")
    p.add_argument(
        "--recordings", type=pathlib.Path, action="append", default=[], help="also judge own recordings, FOLDER/SPEAKER.wav or FOLDER/SPEAKER/**"
    )
    p.add_argument("--cases", type=int, default=24, help="how many of each of these two")
    p.add_argument("--work", type=pathlib.Path, default=fetch.WORK, help=f"where fetched packages are kept (default {fetch.WORK})")
    p.add_argument("--sounds", type=pathlib.Path, help="also write the converted sounds here")
    p.add_argument("--pictures", type=pathlib.Path, help="also draw a spectrogram of each case here")
    p.add_argument(
        "--part", action="append", default=[], metavar="JUDGE=WORDS",
        help=f"what part a judge had in the training of what is judged, for the tables (default: the shipped voice's); judges: {', '.join(tables.PARTS)}",
    )  # fmt: skip
    p.add_argument("--out", help="writes OUT.md and OUT.json (default: evaluation, with --quick evaluation-quick, in the current folder)")
    o = p.parse_args()
    modes = o.modes.split(",") if o.modes else ["live", "live-listening"] if o.quick else [*MODES, "live-listening"]
    modes = [m.replace("-listening", LISTENING) for m in modes]
    if unknown := {m.removesuffix(LISTENING) for m in modes} - set(MODES):
        p.error(f"there is no mode {', '.join(unknown)}; there are {', '.join(MODES)}")
    if unknown := set(o.lists.split(",")) - set(cases.LISTS):
        p.error(f"there is no list {', '.join(unknown)}; there are {', '.join(cases.LISTS)}")
    if wrong := [g for g in o.pack if "=" not in g]:
        p.error(f"--pack {wrong[0]}: give NAME=FOLDER")
    parts = dict(g.split("=", 1) for g in o.part if "=" in g)
    if len(parts) < len(o.part) or (unknown := set(parts) - set(tables.PARTS)):
        p.error(f"--part takes JUDGE=WORDS with a judge of {', '.join(tables.PARTS)}")
    tables.PARTS.update(parts)
    out, began = o.out or ("evaluation-quick" if o.quick else "evaluation"), time.monotonic()
    products = {name: Product(o.mynah, folder) for name, folder in (g.split("=", 1) for g in o.pack or [f"mynah-voice={SHIPPED}"])}
    judge, run = judges.Judges(o.work), Rows(out)
    todo = list(cases.real_cases(o.work, o.lists.split(",")))
    todo = list(cases.few(todo)) if o.quick else todo
    todo += [c for folder in o.recordings for c in cases.own_cases(o.work, folder, o.cases)]
    todo += list(cases.rendered_cases(o.cache, o.cases)) if o.cache else []
    for number, case in enumerate(todo, 1):
        one_case(case, products, modes, judge, run, o.sounds, o.pictures)
        run.save()
        mine = [r for r in run.rows if (r["kind"], r["case"]) == (case.kind, case.name) and "louder" in r]
        near = (f"{r['system']} d-vector {r['dvector_target']:.2f}" for r in mine)
        print(f"{number}/{len(todo)} {case.kind} {case.name}", *near, flush=True)
    page = tables.page(run.rows, list(products), modes)
    pathlib.Path(f"{out}.md").write_text(page, encoding="utf-8")
    print(page)
    print(f"{time.monotonic() - began:.0f} s; written {out}.md and {out}.json")


if __name__ == "__main__":
    main()
