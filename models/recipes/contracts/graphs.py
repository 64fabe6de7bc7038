"""Graphs of a contract with random weights: nodes, files, what sherpa-onnx hears with them."""
import json
import pathlib
import re
import shutil
import unicodedata

import numpy as np
import onnx
import soundfile as sf
from onnx import TensorProto, helper, numpy_helper

ROOT = pathlib.Path(__file__).resolve().parents[3]
OUT = ROOT / "tests" / "data" / "contracts"
F32, I32, I64 = TensorProto.FLOAT, TensorProto.INT32, TensorProto.INT64


class Graph:
    """Nodes and weights of a graph as they are added."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        self.nodes, self.weights, self.inputs, self.outputs = [], [], [], []

    def weight(self, array):
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def normal(self, *shape, scale=None):
        return self.weight((self.random.standard_normal(shape) * (scale or shape[0] ** -0.5)).astype(np.float32))

    def node(self, kind, *inputs, name=None, **attributes):
        name = name or f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def input(self, name, kind, shape):
        self.inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def output(self, name, kind, shape):
        self.outputs.append(helper.make_tensor_value_info(name, kind, shape))

    def save(self, path, metadata):
        graph = helper.make_graph(self.nodes, "contract", self.inputs, self.outputs, self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        for key, value in metadata.items():
            entry = model.metadata_props.add()
            entry.key, entry.value = key, ",".join(map(str, value)) if isinstance(value, list) else str(value)
        onnx.checker.check_model(model)
        onnx.save(model, path)


def sound(frames):
    """tests/golden/reference.flac with as much silence behind it as Mynah hears there, for chunks of so many frames."""
    samples, rate = sf.read(ROOT / "tests" / "golden" / "reference.flac", dtype="float32")
    assert rate == 16000
    return np.concatenate([samples, np.zeros((frames + 1) * 160, np.float32)])


def symbols(count, blank="<blk>"):
    """A vocabulary like a small BPE model's: pieces that begin words, pieces that go on, two bytes of one character."""
    names = [blank, "<sos/eos>", "<unk>", "<0xC3>", "<0xA9>"]
    letters = "aeioutnsrhld"
    pieces = [a + b for a in letters for b in letters]
    while len(names) < count:
        piece = pieces[len(names)]
        names.append(("\u2581" if len(names) % 3 else "") + piece)
    return names


def bytes_bpe(count):
    """A vocabulary of byte-level BPE, as icefall writes it: a letter for each byte, of two scripts."""
    others = [c for c in map(chr, range(0x100, 0x1A7)) if unicodedata.normalize("NFKC", c) == c]
    letter = {byte: chr(byte) if 32 <= byte <= 126 else others.pop(0) for byte in range(256)}
    names = ["<blk>", "<sos/eos>", "<unk>", "\u2581"]
    for n in range(len(names), count):
        # Words and pieces of them, characters whole and in parts.
        text = [f"{'aeiou'[n % 5]}{'lmnrst'[n // 5 % 6]}{'dgk'[n // 30]}", chr(0x6211 + 91 * n)][n % 2].encode()
        text = text[:2] if n % 8 == 1 else text[2:] if n % 8 == 3 else text
        names.append(("\u2581" if n % 3 else "") + "".join(letter[byte] for byte in text))
    assert len(set(names)) == count
    return names


# Chinese characters and kana, and punctuation of these scripts.
WIDE = r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u3040-\u30ff\u3001-\u3011\uff01-\uff1f\u2018-\u201d"


def bilingual(count):
    """A vocabulary like X-ASR's: every Chinese character and every mark of punctuation has SentencePiece's mark, `<unk>` stands far behind."""
    names = ["<blk>", "<sos/eos>"] + [f"\u2581{mark}" for mark in ",.?，。？"]
    pieces = [a + b for a in "aeioutnsrhld" for b in "aeioutnsrhld"]
    while len(names) < count - 3:
        n = len(names)
        names.append(f"\u2581{chr(0x4e00 + 131 * n)}" if n % 2 else ("\u2581" if n % 3 else "") + pieces[n].capitalize())
    return names + ["<unk>", "W", "J"]


def closed_up(text):
    """As captions write it: no space between characters of scripts that have none, none before a mark that closes."""
    text = re.sub(f"(?<=[{WIDE}]) +(?=[{WIDE}])", "", text)
    return re.sub(r" +(?=[,.!?;:%)\]},。！？；：、，）】」』》〉”’])", "", text)


def listened(recognizer, frames, language=None):
    """The stream of a recogniser of sherpa-onnx that has heard the sound in blocks of 0.1 s."""
    samples, stream = sound(frames), recognizer.create_stream()
    if language:
        stream.set_option("language", language)
    for i in range(0, len(samples), 1600):
        stream.accept_waveform(16000, samples[i:i + 1600])
        while recognizer.is_ready(stream):
            recognizer.decode_stream(stream)
    stream.input_finished()
    while recognizer.is_ready(stream):
        recognizer.decode_stream(stream)
    return stream


def sherpa(recognizer, names, frames, text=False, language=None):
    """Tokens and times, in blocks of 0.1 s; with `text` also what sherpa-onnx makes of the tokens."""
    stream = listened(recognizer, frames, language)
    # Words begin with a space, but in byte-level BPE.
    told = {name: i for i, name in enumerate(names)} | {name.replace("\u2581", " ", 1): i for i, name in enumerate(names)}
    heard = {"tokens": [told[token] for token in recognizer.tokens(stream)], "times": [round(t, 4) for t in recognizer.timestamps(stream)]}
    # What is no text it writes too.
    return {**heard, "text": recognizer.get_result(stream).replace("<sos/eos>", "").strip()} if text else heard


def finish(folder, heard):
    assert len(set(heard["tokens"])) >= 6, f"{folder.name} says next to nothing: {heard}"
    (folder / "heard.json").write_text(json.dumps(heard) + "\n")
    size = sum(f.stat().st_size for f in folder.iterdir())
    print(f"{folder.name}: {len(heard['tokens'])} tokens, {len(set(heard['tokens']))} of them different, {size / 1e3:.0f} kB")


def fresh(name, names):
    folder = OUT / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "tokens.txt").write_text("".join(f"{symbol} {i}\n" for i, symbol in enumerate(names)))
    return folder
