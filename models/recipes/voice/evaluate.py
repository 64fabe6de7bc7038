#!/usr/bin/env python3
"""evaluate.py --graph NAME=voice.onnx ... --cache CACHE --recordings FOLDER --whisper FOLDER --out STEM: measure voice graphs side by side.

The graphs run hop by hop through ONNX Runtime as the plugin runs them; every graph converts the same cases with the same pitch.
Cases: held-out rendered voices and sentences of CACHE, and real recordings of FOLDER (one speaker a file; none of them in any training).
Written: STEM.md (medians, natural bounds beside) and STEM.json (every case). Knows nothing of PyTorch models or training.
"""

import argparse
import hashlib
import json
import pathlib
import re
import sys
import types

import librosa
import numpy as np
import onnxruntime
import soundfile

from corpus import RATE, measured_pitch
from model import FFT, HOP, MEL, WINDOW

HANN = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)).astype(np.float32)
CALL = 2  # hops a call
NATURAL, SOURCE = "natural: the target's own other recording", "source, unconverted"


def spectra(sound):
    framed = np.lib.stride_tricks.sliding_window_view(np.pad(sound, WINDOW // 2), WINDOW)[::HOP]
    return np.fft.rfft(framed * HANN, FFT)


class Graph:
    """A voice graph as a converter of whole sounds."""

    def __init__(self, path):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.behind = int(self.session.get_modelmeta().custom_metadata_map["lookahead_frames"])

    def convert(self, sound, f0, speaker):
        """24 kHz sound in another voice: `f0` in Hz a hop as it shall be spoken, `speaker` a unit vector of 256."""
        mel = np.log(np.abs(spectra(sound)) ** 2 @ MEL.numpy().T + 1e-5).astype(np.float32)
        n = min(len(mel), len(f0))
        energy = np.log(np.exp(mel).mean(1) + 1e-4).astype(np.float32)
        extended = lambda x: np.concatenate([x[:n], np.repeat(x[n - 1 : n], self.behind + CALL, 0)])[None]
        mel, f0, energy = extended(mel), extended(f0.astype(np.float32)), extended(energy)
        state = {i.name: np.zeros(i.shape, np.float32) for i in self.session.get_inputs() if i.name.startswith("state_")}
        parts = []
        for t in range(0, mel.shape[1] - CALL + 1, CALL):
            cut = {"mel": mel[:, t : t + CALL], "f0": f0[:, t : t + CALL], "energy": energy[:, t : t + CALL]}
            *made, = self.session.run(None, {**cut, "speaker": speaker[None].astype(np.float32), **state})
            parts.append(made[:3])
            state = dict(zip(state, made[3:]))
        harmonic, noise, pitch = (np.concatenate([p[i] for p in parts], 1)[0, self.behind : self.behind + n] for i in range(3))
        at = (np.arange(n * HOP) + 0.5) / HOP - 0.5
        hertz = np.interp(at, np.arange(n), np.where(pitch > 0, pitch, 1.0))
        phase = np.cumsum(hertz / RATE) % 1.0
        pulse = np.sinc(np.where(phase > 0.5, phase - 1, phase) * RATE / np.maximum(hertz, 1)) * np.repeat(pitch > 0, HOP) * np.sqrt(RATE / np.maximum(hertz, 40)) * 0.3
        hiss = np.random.default_rng(0).standard_normal(n * HOP) * 0.3
        pieces = np.fft.irfft(spectra(pulse)[:n] * harmonic + spectra(hiss)[:n] * noise, FFT)[:, :WINDOW] * HANN
        whole = np.zeros(n * HOP + WINDOW)
        for t in range(n):
            whole[t * HOP : t * HOP + WINDOW] += pieces[t]
        return (whole[WINDOW // 2 : WINDOW // 2 + n * HOP] / 1.5).astype(np.float32)


class Judges:
    """Everything that gives a number to a sound."""

    def __init__(self, whisper, second):
        stub = types.ModuleType("webrtcvad")  # asked for at import, used only by a silence trimmer that is not called
        stub.Vad = object
        sys.modules.setdefault("webrtcvad", stub)
        from faster_whisper import WhisperModel
        from resemblyzer import VoiceEncoder
        from speechmos import dnsmos
        from swift_f0 import SwiftF0

        self.encoder, self.dnsmos, self.tracker = VoiceEncoder("cpu", verbose=False), dnsmos, SwiftF0(threads=1, spin=False)
        self.whisper = WhisperModel(whisper, device="cpu", compute_type="int8", cpu_threads=1, local_files_only=True) if whisper else None
        self.second = second

    def voice(self, sound):
        x = librosa.resample(sound, orig_sr=RATE, target_sr=16000)
        return self.encoder.embed_utterance(x / max(1e-3, np.abs(x).max()) * 0.7)

    def other_voice(self, sound):
        v = self.second(sound) if self.second else np.zeros(1)
        return v / (np.linalg.norm(v) + 1e-9)

    def pitch(self, sound):
        return measured_pitch(sound, len(sound) // HOP, self.tracker)

    def quality(self, sound):
        x = librosa.resample(sound, orig_sr=RATE, target_sr=16000)
        return float(self.dnsmos.run(x / max(1, np.abs(x).max()), 16000)["ovrl_mos"])

    def words(self, sound):
        x = librosa.resample(sound, orig_sr=RATE, target_sr=16000)
        said, _ = self.whisper.transcribe(x, language="en", beam_size=1, temperature=0.0, condition_on_previous_text=False)
        return " ".join(s.text for s in said)


def plain(text):
    return re.sub(r"[^a-z' ]", "", re.sub(r"[-—]", " ", text.lower())).split()


def word_errors(said, wanted):
    """Edits and number of wanted words."""
    said, wanted = plain(said), plain(wanted)
    row = list(range(len(said) + 1))
    for i, w in enumerate(wanted, 1):
        previous, row[0] = row[0], i
        for j, s in enumerate(said, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (s != w))
    return row[-1], len(wanted)


def agreement(made, given):
    """Correlation of log pitch where both are voiced."""
    n = min(len(made), len(given))
    both = (made[:n] > 0) & (given[:n] > 0)
    return float(np.corrcoef(np.log(made[:n][both]), np.log(given[:n][both]))[0, 1]) if both.sum() > 10 else float("nan")


def rendered_cases(cache, count):
    """(name, source, its text or None, reference, reference's other recording) from held-out voices, source and target never one speaker."""
    test = [r for r in json.loads((cache / "index.json").read_text())["recordings"] if r["test"] and not r["real"]]
    sound = np.memmap(cache / "sound.i16", np.int16, "r")
    load = lambda r: sound[r["hop"] * HOP : (r["hop"] + r["hops"]) * HOP].astype(np.float32) / 32767
    from corpus import HELD

    by = {s: [r for r in test if r["speaker"] == s] for s in HELD}
    who = [s for s in sorted(by) if len(by[s]) >= 2]
    draw = np.random.default_rng(3)
    for k in range(count):
        target = who[k % len(who)]
        sources = [r for r in test if r["speaker"] != target and r["lang"].startswith("en") and r["hops"] > 250]
        source = sources[draw.integers(len(sources))]
        a, b = draw.permutation(len(by[target]))[:2]
        yield f"{k}: {source['speaker']}→{target}", load(source), source["text"], load(by[target][a]), load(by[target][b])


def real_cases(folder, count):
    """The same from a folder of recordings, one speaker a file: the first part of a file is source, the last part reference."""
    voices = {}
    for path in sorted(folder.glob("*.wav")):
        sound, rate = soundfile.read(path, dtype="float32", always_2d=True)
        sound = librosa.resample(sound.mean(1), orig_sr=rate, target_sr=RATE)
        half = len(sound) // 2
        voices[path.stem] = (sound[: min(half, 8 * RATE)], sound[-min(half, 8 * RATE) :])
    pairs = [(a, b) for a in voices for b in voices if a != b]
    for i in np.random.default_rng(5).permutation(len(pairs))[:count]:
        a, b = pairs[i]
        text = "heard" if a.startswith("en") else None
        yield f"{a}→{b}", voices[a][0] / max(1e-3, np.abs(voices[a][0]).max()) * 0.6, text, voices[b][1], voices[b][0]


def measure(judges, sound, case, given):
    out = {"target": float(judges.voice(sound) @ case["v_reference"]), "source": float(judges.voice(sound) @ case["v_source"]), "dnsmos": judges.quality(sound)}
    if judges.second:
        out |= {"target2": float(judges.other_voice(sound) @ case["w_reference"]), "source2": float(judges.other_voice(sound) @ case["w_source"])}
    if case["text"] and judges.whisper:
        out["errors"], out["words"] = word_errors(judges.words(sound), case["text"])
    out["f0"] = agreement(judges.pitch(sound), given)
    return out


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--graph", action="append", default=[], help="NAME=voice.onnx, repeatable")
    p.add_argument("--cache", type=pathlib.Path)
    p.add_argument("--recordings", type=pathlib.Path, help="*.wav, one speaker a file; a name that begins with en is English")
    p.add_argument("--whisper", help="folder of a CTranslate2 Whisper model")
    p.add_argument("--cases", type=int, default=12, help="of each kind")
    p.add_argument("--sounds", type=pathlib.Path, help="also write the converted sounds here")
    p.add_argument("--second", help="a second verifier made by second_verifier.py")
    p.add_argument("--known", type=pathlib.Path, help="OUT.json of an earlier run: what it measured on the same graphs and cases is taken over")
    p.add_argument("--out", required=True, help="writes OUT.md and OUT.json")
    o = p.parse_args()
    second = None
    if o.second:
        from second_verifier import Second

        second = Second(o.second)
    judges = Judges(o.whisper, second)
    graphs = {name: Graph(path) for name, path in (g.split("=", 1) for g in o.graph)}
    kinds = {"rendered": rendered_cases(o.cache, o.cases) if o.cache else (), "real": real_cases(o.recordings, o.cases) if o.recordings else ()}
    hashes = {n: hashlib.sha256(pathlib.Path(g.split("=", 1)[1]).read_bytes()).hexdigest() for n, g in zip(graphs, o.graph)}
    before = json.loads(o.known.read_text(encoding="utf-8")) if o.known else {"graphs": {}, "cases": []}
    stays = {n for n, h in hashes.items() if before["graphs"].get(n) == h} | {NATURAL, SOURCE}
    known = {(r["kind"], r["case"], r["system"]): r for r in before["cases"] if r["system"] in stays}
    rows = []
    for kind, cases in kinds.items():
        for name, source, text, reference, other in cases:
            f0, theirs = judges.pitch(source), judges.pitch(reference)
            ratio = np.median(theirs[theirs > 0]) / np.median(f0[f0 > 0])
            wanted = np.where(f0 > 0, np.clip(f0 * ratio, 50, 800), 0).astype(np.float32)
            seen = lambda system: known.get((kind, name, system))
            unconverted = seen(SOURCE)
            if text == "heard":  # no transcript: what the recogniser makes of the source itself
                text = unconverted["text"] if unconverted else judges.words(source)
            case = {"text": text, "v_source": judges.voice(source), "v_reference": judges.voice(reference), "w_source": judges.other_voice(source), "w_reference": judges.other_voice(reference)}

            def natural():
                of = {"target": float(judges.voice(other) @ case["v_reference"]), "dnsmos": judges.quality(other)}
                return of | ({"target2": float(judges.other_voice(other) @ case["w_reference"])} if second else {})

            def plainly():
                return {k: v for k, v in measure(judges, source, case, f0).items() if not k.startswith("source") and k != "f0"} | {"text": text}

            def converted(system):
                made = graphs[system].convert(source, wanted, case["v_reference"])
                if o.sounds:
                    o.sounds.mkdir(parents=True, exist_ok=True)
                    soundfile.write(o.sounds / f"{system}.{kind}.{name.replace('→', '-')}.wav", np.clip(made, -1, 1), RATE)
                return measure(judges, made, case, wanted)

            label = {"kind": kind, "case": name}
            rows.append(seen(NATURAL) or label | {"system": NATURAL} | natural())
            rows.append(unconverted or label | {"system": SOURCE} | plainly())
            rows += [seen(system) or label | {"system": system} | converted(system) for system in graphs]
            print(kind, name, *(f"{r['system']} {r['target']:.3f}" for r in rows[-len(graphs) :]), flush=True)
    pathlib.Path(o.out + ".md").write_text(table(rows, bool(second)), encoding="utf-8")
    pathlib.Path(o.out + ".json").write_text(json.dumps({"graphs": hashes, "cases": rows}, indent=1, ensure_ascii=False), encoding="utf-8")


def table(rows, second):
    """Markdown: medians over cases, word errors pooled."""
    out = []
    for kind in dict.fromkeys(r["kind"] for r in rows):
        of = [r for r in rows if r["kind"] == kind]
        out.append(f"### {'Rendered' if kind == 'rendered' else 'Real'} recordings, {len({r['case'] for r in of})} cases, medians\n")
        head = ["system", "similarity to target ↑", "to source ↓"] + (["second verifier: target ↑", "source ↓"] if second else []) + ["WER ↓", "DNSMOS ↑", "F0 correlation ↑"]
        out.append("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
        for system in dict.fromkeys(r["system"] for r in of):
            mine = [r for r in of if r["system"] == system]
            middle = lambda key, f="{:.3f}": f.format(np.nanmedian([r[key] for r in mine if key in r])) if any(key in r for r in mine) else "–"
            words = sum(r.get("words", 0) for r in mine)
            wer = f"{sum(r.get('errors', 0) for r in mine) / words:.3f}" if words else "–"
            cells = [system, middle("target"), middle("source")] + ([middle("target2"), middle("source2")] if second else []) + [wer, middle("dnsmos", "{:.2f}"), middle("f0")]
            out.append("| " + " | ".join(cells) + " |")
        out.append("")
    return "\n".join(out)


if __name__ == "__main__":
    main()
