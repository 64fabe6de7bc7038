"""The product as a converter: `mynah convert` run on files, with the pack that is to be judged and no other voice in reach.

Each pack gets a folder of packs of its own, given to the program by MYNAH_PACKS, and a home of its own (MYNAH_HOME), in which the user's other packs
are linked (runtime, verifier). So what is judged is pitch, leveller, resampling, delay and graphs as a user has them, and no choice of the user's and
no damaged file makes the program fall back on another voice. Knows nothing of cases and judges.
"""

import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import librosa
import numpy as np
import soundfile

RATE = 24000
MODES = ("live", "balanced", "studio")
ROOT = pathlib.Path(__file__).parents[3]
PROGRAM = ROOT / "target" / "release" / "mynah"
SHIPPED = ROOT / "models" / "mynah-voice"
ID = "mynah-voice"  # the program's own voice, taken where nobody chose another
SHORTEST = 3.2  # seconds that a reference has at least; the program asks for 3


def sha256(path):
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def manifest(folder):
    """The text of a pack.toml for the files of `folder`: its own, or the shipped one's, under the program's own name and with the files' present hashes."""
    page = folder / "pack.toml"
    text = (page if page.exists() else SHIPPED / "pack.toml").read_text(encoding="utf-8")
    names = re.findall(r'^name = "([^"]+)"\nsha256 = "[0-9a-f]{64}"', text, re.M)
    if missing := [n for n in names if not (folder / n).exists()]:
        raise SystemExit(f"{folder} has no `{missing[0]}`: a pack is what export.py writes")
    for name in names:
        text = re.sub(rf'(^name = "{re.escape(name)}"\nsha256 = ")[0-9a-f]{{64}}', rf"\g<1>{sha256(folder / name)}", text, flags=re.M)
    return re.sub(r'^id = ".*"', f'id = "{ID}"', text, count=1, flags=re.M), names


class Product:
    """A program and a pack."""

    def __init__(self, program=PROGRAM, pack=SHIPPED):
        self.program, pack = pathlib.Path(program).resolve(), pathlib.Path(pack).resolve()
        if not self.program.is_file():
            raise SystemExit(f"{program} is not there: build it with `cargo build --release --bins`, or say where it is with --mynah")
        self.place = tempfile.TemporaryDirectory(prefix="mynah-judged-")
        place = pathlib.Path(self.place.name)
        text, names = manifest(pack)
        mine, home = place / "packs" / ID, place / "home" / "packs"
        mine.mkdir(parents=True)
        home.mkdir(parents=True)
        (mine / "pack.toml").write_text(text, encoding="utf-8")
        for name in names:
            (mine / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(pack / name, mine / name)
        for other in json.loads(self.run("models", "list", "--json"))["packs"]:
            folder = other.get("folder")
            if folder and other["kind"] != "voice" and not (home / other["id"]).exists():
                (home / other["id"]).symlink_to(folder, target_is_directory=True)
        self.environment = {**os.environ, "MYNAH_PACKS": str(place / "packs"), "MYNAH_HOME": str(place / "home")}
        found = json.loads(self.run("models", "info", ID, "--json"))["folder"]
        if pathlib.Path(found).resolve() != mine.resolve():
            raise SystemExit(f"the program takes its voice from {found}, not from the pack that is to be judged")
        self.run("models", "verify", ID)
        self.hash = hashlib.sha256("".join([sha256(self.program), *(sha256(mine / n) for n in names)]).encode()).hexdigest()
        self.references = {}

    environment = None

    def run(self, *arguments):
        done = subprocess.run([str(self.program), *map(str, arguments)], env=self.environment, capture_output=True, text=True, timeout=900, check=False)
        if done.returncode:
            raise SystemExit(f"`mynah {' '.join(map(str, arguments))}` failed: {done.stderr.strip()}")
        return done.stdout

    def _reference(self, sound):
        """The file of a reference; a shorter one than the program takes is laid end to end."""
        key = hashlib.sha256(sound.tobytes()).hexdigest()
        if key not in self.references:
            path = pathlib.Path(self.place.name) / f"reference-{len(self.references)}.wav"
            times = int(np.ceil(SHORTEST * RATE / max(1, len(sound))))
            soundfile.write(path, np.tile(sound, times), RATE, subtype="FLOAT")
            self.references[key] = path
        return self.references[key]

    def __call__(self, sound, reference, mode, gate=None, pitch=None):
        """24 kHz mono in, as much of it out, unclipped. Its pitch: moved as the program finds right once it has measured the whole of it, or as `pitch` says."""
        given, made = (pathlib.Path(self.place.name) / n for n in ("given.wav", "made.wav"))
        soundfile.write(given, sound, RATE, subtype="FLOAT")
        made.unlink(missing_ok=True)
        more = [x for option, value in (("--gate", gate), ("--pitch", pitch)) if value is not None for x in (option, value)]
        self.run("convert", given, "--voice", self._reference(reference), "-o", made, "--mode", mode, *more)
        out, rate = soundfile.read(made, dtype="float32", always_2d=True)
        out = out.mean(1)
        return out if rate == RATE else librosa.resample(out, orig_sr=rate, target_sr=RATE)
