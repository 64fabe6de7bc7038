#!/usr/bin/env python3
"""export.py RUN/checkpoint.pt FOLDER: write the averaged model as streaming graphs, one a mode, over one file of weights, and check them.

voice.MODE.onnx: mel [1,n,80], f0 [1,n], energy [1,n], speaker [1,384], state_i → harmonic [1,n,513], noise [1,n,513], state_i_out; any n ≥ 1. Frames
come out `lookahead_frames` (metadata) after their mel went in; f0 and energy go in with the frame that comes out.
reference.onnx: mel [1,m,80] of a recording of the wanted voice → timbre [1,128]. `speaker` is the verifier's unit vector and that timbre.
voice.weights: what the graphs share. Large weights are kept in half precision and widened when loaded, or with --bits 8 in eight bits a number. A pack.toml that lies in
FOLDER gets the new hashes.
The check runs the files themselves, in calls of uneven length, against one call over everything.
"""

import argparse
import hashlib
import pathlib
import re
import sys

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn

from model import FALL, FFT, HOP, MELS, MODES, RATE, RISE, SPEAKER, TIMBRE, Voice, lookahead

TOLERANCE = 1e-4  # of linear magnitudes, relative to the largest
WEIGHTS = "voice.weights"
BLOCK = 32  # weights that share one scale, with --bits 8


class Graph(nn.Module):
    """The model in one mode, with its state spread over arguments and without its phoneme layer."""

    def __init__(self, model, mode):
        super().__init__()
        self.model, self.mode = model, mode

    def forward(self, mel, f0, energy, speaker, *state):
        harmonic, noise, new = self.model(mel, f0, energy, speaker, self.mode, list(state))
        return harmonic, noise, *new


class Weights:
    """The shared file: each tensor once, at a multiple of 64 bytes."""

    def __init__(self):
        self.bytes, self.places = bytearray(), {}

    def keep(self, tensor):
        """Moves an initializer's numbers into the file."""
        raw = onnx.numpy_helper.to_array(tensor).tobytes()
        key = hashlib.sha256(raw).digest()
        if key not in self.places:
            self.bytes.extend(b"\0" * (-len(self.bytes) % 64))
            self.places[key] = len(self.bytes)
            self.bytes.extend(raw)
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for k, v in (("location", WEIGHTS), ("offset", self.places[key]), ("length", len(raw))):
            tensor.external_data.add(key=k, value=str(v))


def eight_bits(weight):
    """[in, out] → codes [out, blocks, BLOCK] around 128 and scales [out * blocks], as MatMulNBits wants them."""
    blocks = weight.T.reshape(weight.shape[1], -1, BLOCK)
    scale = np.abs(blocks).max(-1, keepdims=True) / 127 + 1e-12
    return np.clip(np.round(blocks / scale) + 128, 0, 255).astype(np.uint8), scale.squeeze(-1).astype(np.float32)


def quantise(graph):
    """Products with constant matrices become MatMulNBits: eight-bit weights, each row of activations for itself, so any split gives the same."""
    held = {i.name: i for i in graph.initializer}
    for at, node in enumerate(graph.node):
        weight = held.get(node.input[1]) if node.op_type == "MatMul" else None
        if weight is None or min(weight.dims) < 128 or weight.dims[0] % BLOCK or weight.dims[1] == FFT // 2 + 1:
            continue
        codes, scales = eight_bits(onnx.numpy_helper.to_array(weight))
        for name, values in ((weight.name + "_codes", codes), (weight.name + "_scales", scales)):
            graph.initializer.append(onnx.numpy_helper.from_array(values, name))
        new = onnx.helper.make_node(
            "MatMulNBits", [node.input[0], weight.name + "_codes", weight.name + "_scales"], list(node.output), domain="com.microsoft",
            K=weight.dims[0], N=weight.dims[1], bits=8, block_size=BLOCK, accuracy_level=4,
        )  # fmt: skip
        graph.node[at].CopyFrom(new)
        graph.initializer.remove(weight)


def halve(graph):
    """Large weights as f16 behind a Cast: half the file, the same arithmetic in f32."""
    casts = []
    for weight in graph.initializer:
        values = onnx.numpy_helper.to_array(weight)
        if values.dtype != np.float32 or values.size < 1024 or weight.name.endswith("_scales"):
            continue
        name = weight.name
        weight.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), name + "_f16"))
        casts.append(onnx.helper.make_node("Cast", [name + "_f16"], [name], to=onnx.TensorProto.FLOAT))
    for cast in reversed(casts):
        graph.node.insert(0, cast)


def named(graph):
    """Large constants inside the graph become initializers, so that they can be shrunk and shared too."""
    for node in [n for n in graph.node if n.op_type == "Constant" and n.attribute[0].name == "value"]:
        tensor = node.attribute[0].t
        if np.prod(tensor.dims) >= 1024:
            kept = graph.initializer.add()
            kept.CopyFrom(tensor)
            kept.name = node.output[0]
            graph.node.remove(node)


def finish(path, weights, bits, about):
    """Shrinks a graph as torch exported it and moves its large weights into the shared file."""
    whole = onnx.load(path)
    named(whole.graph)
    if bits == 8:
        quantise(whole.graph)
        whole.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
    halve(whole.graph)
    about = {"family": "mynah", "rate": RATE, "hop": HOP, "rise": RISE, "fall": FALL, "n_fft": FFT, "n_mels": MELS} | about
    onnx.helper.set_model_props(whole, {k: str(v) for k, v in about.items()})
    onnx.checker.check_model(whole, full_check=bits == 16)
    for weight in whole.graph.initializer:
        if np.prod(weight.dims) >= 1024:
            weights.keep(weight)
    path.write_bytes(whole.SerializeToString())


def export(model, folder, bits):
    folder.mkdir(parents=True, exist_ok=True)
    weights = Weights()
    for mode in MODES:
        n, state, path = 4, model.state(mode), folder / f"voice.{mode}.onnx"
        names = [f"state_{i}" for i in range(len(state))]
        example = (torch.randn(1, n, MELS), torch.full((1, n), 150.0), torch.zeros(1, n), torch.randn(1, SPEAKER + TIMBRE), *state)
        free = {k: {1: "n"} for k in ("mel", "f0", "energy", "harmonic", "noise")}
        torch.onnx.export(
            Graph(model, mode), example, str(path), input_names=["mel", "f0", "energy", "speaker", *names],
            output_names=["harmonic", "noise", *[s + "_out" for s in names]], dynamic_axes=free, opset_version=17, dynamo=False,
        )  # fmt: skip
        finish(path, weights, bits, {"mode": mode, "lookahead_frames": lookahead(mode)})
    path = folder / "reference.onnx"
    torch.onnx.export(
        model.reference, (torch.randn(1, 50, MELS),), str(path), input_names=["mel"], output_names=["timbre"],
        dynamic_axes={"mel": {1: "m"}}, opset_version=17, dynamo=False,
    )  # fmt: skip
    finish(path, weights, 16, {"timbre": TIMBRE})
    (folder / WEIGHTS).write_bytes(weights.bytes)


def sign(folder):
    """Writes the files' hashes into the folder's pack.toml, where there is one."""
    page = folder / "pack.toml"
    if page.exists():
        text = page.read_text(encoding="utf-8")
        for path in folder.iterdir():
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            text = re.sub(rf'(name = "{re.escape(path.name)}"\nsha256 = ")[0-9a-f]*"', rf'\g<1>{digest}"', text)
        page.write_text(text, encoding="utf-8")


def worst_difference(path, hops=200):
    """Largest difference between calls of uneven length and one call, relative to the largest magnitude."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    r = np.random.default_rng(1)
    f0 = np.where(r.random((1, hops)) < 0.7, r.uniform(80, 300, (1, hops)), 0)
    frames = {"mel": r.standard_normal((1, hops, MELS)) * 2 - 6, "f0": f0, "energy": r.standard_normal((1, hops))}
    frames = {k: v.astype(np.float32) for k, v in frames.items()}
    speaker = np.abs(r.standard_normal((1, SPEAKER + TIMBRE))).astype(np.float32)
    speaker[:, :SPEAKER] /= np.linalg.norm(speaker[:, :SPEAKER])
    zero = {i.name: np.zeros(i.shape, np.float32) for i in session.get_inputs() if i.name.startswith("state_")}

    def run(lengths):
        state, parts, at = dict(zero), [], 0
        for n in lengths:
            made = session.run(None, {**{k: v[:, at : at + n] for k, v in frames.items()}, "speaker": speaker, **state})
            parts.append(made[:2])
            state, at = dict(zip(state, made[2:])), at + n
        return [np.concatenate([p[i] for p in parts], 1) for i in range(2)]

    lengths = [1, 2, 5, 1, 40]
    lengths += [2] * ((hops - sum(lengths)) // 2) + [1] * ((hops - sum(lengths)) % 2)
    return max(float(np.abs(a - b).max() / max(1e-9, np.abs(a).max())) for a, b in zip(run([hops]), run(lengths)))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("checkpoint", type=pathlib.Path, help="a run's checkpoint.pt, or an .npz of weights")
    p.add_argument("folder", type=pathlib.Path)
    p.add_argument("--bits", type=int, choices=(8, 16), default=16, help="bits of a large weight")
    p.add_argument("--last", action="store_true", help="the last weights instead of their average")
    p.add_argument("--weights", type=pathlib.Path, help="write all weights here too, in half precision (.npz): training can start from them")
    o = p.parse_args()
    torch.set_num_threads(1)
    model, step = Voice().eval(), "?"
    if o.checkpoint.suffix == ".npz":
        from model import start_from

        start_from(model, o.checkpoint)
    else:
        held = torch.load(o.checkpoint, map_location="cpu", weights_only=False)
        model.load_state_dict(held["model" if o.last else "average"])
        step = held["step"]
    if o.weights:
        np.savez_compressed(o.weights, **{name: value.numpy().astype(np.float16) for name, value in model.state_dict().items()})
    export(model, o.folder, o.bits)
    sign(o.folder)
    for path in sorted(p for p in o.folder.iterdir() if p.suffix in (".onnx", ".weights")):
        print(f'{path.name}: {path.stat().st_size} bytes, sha256 = "{hashlib.sha256(path.read_bytes()).hexdigest()}"')
    for mode in MODES:
        worst = worst_difference(o.folder / f"voice.{mode}.onnx")
        print(f"{mode}: step {step}, streaming against whole {worst:.1e}")
        if worst > TOLERANCE:
            sys.exit(f"Streaming differs from whole by {worst:.1e} (allowed {TOLERANCE:.0e}): a cache of the {mode} graph is wrong.")


if __name__ == "__main__":
    main()
