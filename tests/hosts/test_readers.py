"""What other people's programs read in the caption files: FFmpeg, pysubs2, webvtt-py, ttconv (IMSC), Ardour's Lua, Python's csv. Times and texts are those of the JSON file."""

import csv
import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET

import pysubs2
import pytest
import ttconv.imsc.reader
import ttconv.isd
import webvtt
from mynah_host import MYNAH, home

FORMATS = {"json": "json", "srt": "srt", "vtt": "vtt", "ttml": "ttml", "itt": "itt", "csv": "csv", "reaper": "reaper.csv", "audition": "audition.csv", "ardour": "lua"}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """One recording's captions in every format: {format: path}."""
    folder = tmp_path_factory.mktemp("captions")
    recording = home() / "packs" / "recordings" / "two_cities.wav"
    paths = {name: folder / f"captions.{ending}" for name, ending in FORMATS.items()}
    for path in paths.values():
        subprocess.run([MYNAH, "caption", recording, "-o", path], check=True, capture_output=True)
    return paths


@pytest.fixture(scope="module")
def truth(files):
    """(start, end, text) of each cue, in milliseconds; lines parted by spaces."""
    cues = json.loads(files["json"].read_text())["cues"]
    assert len(cues) > 10
    return [(round(1000 * c["start"]), round(1000 * c["end"]), " ".join(c["lines"])) for c in cues]


def same(read, truth, within=0):
    assert [text for *_, text in read] == [text for *_, text in truth]
    for (a, b, text), (c, d, _) in zip(read, truth):
        assert abs(a - c) <= within and abs(b - d) <= within, (text, a, b, c, d)


@pytest.mark.parametrize("name", ["srt", "vtt"])
def test_ffmpeg_reads(name, files, truth, tmp_path):
    out = tmp_path / "read.srt"
    subprocess.run(["ffmpeg", "-v", "error", "-i", files[name], out], check=True)
    read = pysubs2.load(str(out), format_="srt")
    same([(e.start, e.end, e.plaintext.replace("\n", " ")) for e in read], truth)


@pytest.mark.parametrize("name", ["srt", "vtt"])
def test_pysubs2_reads(name, files, truth):
    same([(e.start, e.end, e.plaintext.replace("\n", " ")) for e in pysubs2.load(str(files[name]))], truth)


def test_webvtt_reads(files, truth):
    milliseconds = lambda c: round(1000 * sum(float(x) * 60**k for k, x in enumerate(reversed(c.split(":")))))
    same([(milliseconds(c.start), milliseconds(c.end), c.text.replace("\n", " ")) for c in webvtt.read(files["vtt"])], truth)


@pytest.mark.parametrize("name, within", [("ttml", 1), ("itt", 42)])
def test_ttconv_reads(name, within, files, truth):
    """A frame of iTT at 24 a second is 42 ms: a time goes to the nearest, an end to the one before where two frames must stay free."""
    document = ttconv.imsc.reader.to_model(ET.parse(files[name]))
    read, at, shown = [], 0, ""
    for offset, picture in ttconv.isd.ISD.generate_isd_sequence(document):
        said = []

        def walk(element):
            if isinstance(element, ttconv.model.Text):
                said.append(element.get_text())
            if isinstance(element, ttconv.model.Br):
                said.append(" ")
            for child in element:
                walk(child)

        for region in picture.iter_regions() if picture else []:
            walk(region)
        text = " ".join("".join(said).split())
        if text != shown:
            if shown:
                read.append((at, round(1000 * float(offset)), shown))
            at, shown = round(1000 * float(offset)), text
    same(read, truth, within)


def test_tables_are_read(files, truth):
    text = [t for *_, t in truth]
    rows = list(csv.DictReader(files["reaper"].open(newline="")))
    assert [r["Name"] for r in rows] == text and list(rows[0]) == ["#", "Name", "Start", "End", "Length"]
    rows = list(csv.DictReader(files["audition"].open(newline="", encoding="utf-8-sig"), delimiter="\t"))
    assert [r["Description"] for r in rows] == text and {"Name", "Start", "Duration", "Time Format", "Type"} <= set(rows[0])
    assert len(list(csv.DictReader(files["csv"].open(newline="")))) == len(text)


def test_ardours_lua_runs_the_script(files, truth, tmp_path):
    """Ardour's Lua without a session: the script is loaded with its `ardour` header and compiled; what it would mark is counted."""
    lua = next((p for p in ("ardour7-lua", "ardour8-lua") if shutil.which(p)), None)
    if lua is None:
        pytest.skip("no Lua of Ardour here")
    script = tmp_path / "check.lua"
    script.write_text(f'ardour = function (t) assert (t["type"] == "EditorAction" and t["name"]) end\nassert (loadfile ("{files["ardour"]}")) ()\nassert (type (factory) == "function" and type (factory ()) == "function")\nprint ("compiled")\n')
    done = subprocess.run([lua, script], capture_output=True, text=True, timeout=60)
    assert "compiled" in done.stdout, done.stdout + done.stderr
    assert len(re.findall(re.escape(truth[0][2]), files["ardour"].read_text())) >= 1
