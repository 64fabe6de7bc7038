#!/usr/bin/env python3
"""export.py RUN/checkpoint.pt FOLDER: write the averaged model as one file of weights and as streaming graphs over it, one a mode, and check them.

voice.safetensors: all weights, the large matrices in eight bits (tensors.py). The product's own network reads it alone.
voice.MODE.onnx: mel [1,n,80], f0 [1,n], energy [1,n], modulation [1,M], state_i → harmonic [1,n,513], noise [1,n,513], state_i_out; any n ≥ 1. Frames
come out `lookahead_frames` (metadata) after their mel went in; f0 and energy go in with the frame that comes out.
voice.modulation.onnx: speaker [1,384] → modulation [1,M], once a voice. `speaker` is the verifier's unit vector and the timbre.
reference.onnx: mel [1,m,80] of a recording of the wanted voice → timbre [1,128].
The graphs keep no large numbers of their own: they are the bytes of voice.safetensors, widened when the graph is loaded. A pack.toml that lies in FOLDER gets the new hashes.
The check runs the files themselves: calls of uneven length against one call over everything, and against the model in PyTorch with the same numbers.
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

import tensors
from model import FALL, FFT, HOP, MELS, MODES, RATE, RISE, SPEAKER, TIMBRE, Voice, lookahead

TOLERANCE = 1e-4  # of linear magnitudes, relative to the largest


class Graph(nn.Module):
    """The model in one mode, with its state spread over arguments."""

    def __init__(self, model, mode):
        super().__init__()
        self.model, self.mode = model, mode

    def forward(self, mel, f0, energy, modulation, *state):
        harmonic, noise, new = self.model(mel, f0, energy, modulation, self.mode, list(state))
        return harmonic, noise, *new


class Modulation(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, speaker):
        return self.model.modulation(speaker)


class ReferenceGraph(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, mel):
        return self.model.reference(mel)


def of_file(name, values, place):
    """An initializer whose numbers are bytes of the file of weights."""
    tensor = onnx.TensorProto(name=name, dims=values.shape, data_type=onnx.helper.np_dtype_to_tensor_dtype(values.dtype))
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for k, v in (("location", tensors.NAME), ("offset", place[0]), ("length", place[1])):
        tensor.external_data.add(key=k, value=str(v))
    return tensor


def point(graph, held, places):
    """The graph's weights become bytes of the file, behind what widens them: a cast, and a product with the scales. Runtimes do that once, when they load it."""
    widening, matrix = [], held["bands"]
    for node in [n for n in graph.node if n.op_type == "Constant" and list(n.attribute[0].t.dims) == list(matrix.shape)]:
        graph.initializer.append(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(node.attribute[0].t), node.output[0]))
        graph.node.remove(node)
    for weight in list(graph.initializer):
        whole, name = weight.name, "bands" if list(weight.dims) == list(matrix.shape) else weight.name.removeprefix("model.")
        values = held[name]
        assert list(values.shape) == list(weight.dims), name
        graph.initializer.remove(weight)
        if values.dtype == np.float32:
            graph.initializer.append(of_file(whole, values, places[name]))
            continue
        graph.initializer.append(of_file(whole + "_kept", values, places[name]))
        scaled = values.dtype == np.int8
        widening.append(onnx.helper.make_node("Cast", [whole + "_kept"], [whole + "_codes" if scaled else whole], to=onnx.TensorProto.FLOAT))
        if scaled:
            scale = held[name + tensors.SCALE].reshape(-1, *(1,) * (values.ndim - 1))
            graph.initializer.append(of_file(whole + "_scale", scale, places[name + tensors.SCALE]))
            widening.append(onnx.helper.make_node("Mul", [whole + "_codes", whole + "_scale"], [whole]))
    for node in reversed(widening):
        graph.node.insert(0, node)


def finish(path, held, places, about):
    """Turns a graph as torch wrote it into one over the shared file."""
    whole = onnx.load(path)
    point(whole.graph, held, places)
    about = {"family": "mynah", "rate": RATE, "hop": HOP, "rise": RISE, "fall": FALL, "n_fft": FFT, "n_mels": MELS} | about
    onnx.helper.set_model_props(whole, {k: str(v) for k, v in about.items()})
    path.write_bytes(whole.SerializeToString())
    onnx.checker.check_model(path, full_check=True)


def export(model, folder):
    """Writes all files from the numbers that voice.safetensors can hold; gives the model with these numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    held = tensors.tensors(model)
    places = tensors.write(folder / tensors.NAME, held)
    same = Voice().eval()
    same.load_state_dict(tensors.widened(held))

    def write(name, network, inputs, names, outputs, free, about):
        # Unfolded, so that weights keep their names; runtimes fold when they load.
        torch.onnx.export(
            network, inputs, str(folder / name), input_names=names, output_names=outputs, dynamic_axes=free, opset_version=17, dynamo=False, do_constant_folding=False,
        )  # fmt: skip
        finish(folder / name, held, places, about)

    with torch.no_grad():
        modulation = same.modulation(torch.randn(1, SPEAKER + TIMBRE))
    for mode in MODES:
        n, state = 4, same.state(mode)
        names = [f"state_{i}" for i in range(len(state))]
        example = (torch.randn(1, n, MELS), torch.full((1, n), 150.0), torch.zeros(1, n), modulation, *state)
        free = {k: {1: "n"} for k in ("mel", "f0", "energy", "harmonic", "noise")}
        about = {"mode": mode, "lookahead_frames": lookahead(mode)}
        write(f"voice.{mode}.onnx", Graph(same, mode), example, ["mel", "f0", "energy", "modulation", *names], ["harmonic", "noise", *[s + "_out" for s in names]], free, about)
    write("voice.modulation.onnx", Modulation(same), (torch.randn(1, SPEAKER + TIMBRE),), ["speaker"], ["modulation"], {}, {"modulation": modulation.shape[1]})
    write("reference.onnx", ReferenceGraph(same), (torch.randn(1, 50, MELS),), ["mel"], ["timbre"], {"mel": {1: "m"}}, {"timbre": TIMBRE})
    return same


def sign(folder):
    """Writes the files' hashes into the folder's pack.toml, where there is one."""
    page = folder / "pack.toml"
    if page.exists():
        text = page.read_text(encoding="utf-8")
        for path in folder.iterdir():
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            text = re.sub(rf'(name = "{re.escape(path.name)}"\nsha256 = ")[0-9a-f]*"', rf'\g<1>{digest}"', text)
        page.write_text(text, encoding="utf-8")


def opened(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def worst_differences(model, folder, mode, hops=200):
    """Largest differences from one call, relative to the largest magnitude: of calls of uneven length, and of the model in PyTorch."""
    session = opened(folder / f"voice.{mode}.onnx")
    r = np.random.default_rng(1)
    f0 = np.where(r.random((1, hops)) < 0.7, r.uniform(80, 300, (1, hops)), 0)
    frames = {"mel": r.standard_normal((1, hops, MELS)) * 2 - 6, "f0": f0, "energy": r.standard_normal((1, hops))}
    frames = {k: v.astype(np.float32) for k, v in frames.items()}
    speaker = np.abs(r.standard_normal((1, SPEAKER + TIMBRE))).astype(np.float32)
    speaker[:, :SPEAKER] /= np.linalg.norm(speaker[:, :SPEAKER])
    (modulation,) = opened(folder / "voice.modulation.onnx").run(None, {"speaker": speaker})
    zero = {i.name: np.zeros(i.shape, np.float32) for i in session.get_inputs() if i.name.startswith("state_")}

    def run(lengths):
        state, parts, at = dict(zero), [], 0
        for n in lengths:
            made = session.run(None, {**{k: v[:, at : at + n] for k, v in frames.items()}, "modulation": modulation, **state})
            parts.append(made[:2])
            state, at = dict(zip(state, made[2:])), at + n
        return [np.concatenate([p[i] for p in parts], 1) for i in range(2)]

    lengths = [1, 2, 5, 1, 40]
    lengths += [2] * ((hops - sum(lengths)) // 2) + [1] * ((hops - sum(lengths)) % 2)
    whole = run([hops])
    with torch.no_grad():
        told = model.modulation(torch.tensor(speaker))
        torches = [x.numpy() for x in model(*[torch.tensor(x) for x in frames.values()], told, mode, model.state(mode))[:2]]
    worst = lambda other: max(float(np.abs(a - b).max() / max(1e-9, np.abs(a).max())) for a, b in zip(whole, other))
    return worst(run(lengths)), worst(torches)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("checkpoint", type=pathlib.Path, help="a run's checkpoint.pt, or an .npz of weights")
    p.add_argument("folder", type=pathlib.Path)
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
    same = export(model, o.folder)
    sign(o.folder)
    for path in sorted(p for p in o.folder.iterdir() if p.suffix in (".onnx", ".safetensors")):
        print(f'{path.name}: {path.stat().st_size} bytes, sha256 = "{hashlib.sha256(path.read_bytes()).hexdigest()}"')
    for mode in MODES:
        streaming, torches = worst_differences(same, o.folder, mode)
        print(f"{mode}: step {step}, streaming against whole {streaming:.1e}, PyTorch against the graph {torches:.1e}")
        if max(streaming, torches) > TOLERANCE:
            sys.exit(f"The {mode} graph differs by {max(streaming, torches):.1e} (allowed {TOLERANCE:.0e}): a cache or a weight of it is wrong.")


if __name__ == "__main__":
    main()
