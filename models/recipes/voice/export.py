#!/usr/bin/env python3
"""export.py RUN/checkpoint.pt voice.onnx: write the averaged model as a streaming graph, and check it.

Graph: mel [1,n,80], f0 [1,n], energy [1,n], speaker [1,256], state_i → harmonic [1,n,513], noise [1,n,513], f0_delayed [1,n], state_i_out; any n ≥ 1.
Weights are stored in half precision and widened when loaded; the check runs the file itself, in calls of uneven length, against one call over everything.
"""

import argparse
import hashlib
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn

from model import FFT, HOP, LOOKAHEAD, MELS, RATE, WINDOW, Voice

TOLERANCE = 1e-4  # of linear magnitudes, relative to the largest


class Graph(nn.Module):
    """The model with its state spread over arguments and without its phoneme layer."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, mel, f0, energy, speaker, *state):
        harmonic, noise, pitch, new, *_ = self.model(mel, f0, energy, speaker, list(state))
        return harmonic, noise, pitch, *new


def halve(path):
    """Large weights as f16 behind a Cast: half the file, the same arithmetic in f32."""
    graph = onnx.load(path)
    casts = []
    for weight in graph.graph.initializer:
        values = onnx.numpy_helper.to_array(weight)
        if values.dtype != np.float32 or values.size < 1024:
            continue
        name = weight.name
        weight.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), name + "_f16"))
        casts.append(onnx.helper.make_node("Cast", [name + "_f16"], [name], to=onnx.TensorProto.FLOAT))
    for cast in reversed(casts):
        graph.graph.node.insert(0, cast)
    about = {"family": "mynah", "lookahead_frames": LOOKAHEAD, "rate": RATE, "sample_rate": RATE, "hop": HOP, "window": WINDOW, "n_fft": FFT, "n_mels": MELS}
    onnx.helper.set_model_props(graph, {k: str(v) for k, v in about.items()})
    onnx.checker.check_model(graph, full_check=True)
    onnx.save(graph, path)


def worst_difference(path, hops=200):
    """Largest difference between calls of uneven length and one call, relative to the largest magnitude."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    r = np.random.default_rng(1)
    f0 = np.where(r.random((1, hops)) < 0.7, r.uniform(80, 300, (1, hops)), 0)
    frames = {"mel": r.standard_normal((1, hops, MELS)) * 2 - 6, "f0": f0, "energy": r.standard_normal((1, hops))}
    frames = {k: v.astype(np.float32) for k, v in frames.items()}
    speaker = np.abs(r.standard_normal((1, 256))).astype(np.float32)
    speaker /= np.linalg.norm(speaker)
    zero = {i.name: np.zeros(i.shape, np.float32) for i in session.get_inputs() if i.name.startswith("state_")}

    def run(lengths):
        state, parts, at = dict(zero), [], 0
        for n in lengths:
            made = session.run(None, {**{k: v[:, at : at + n] for k, v in frames.items()}, "speaker": speaker, **state})
            parts.append(made[:3])
            state, at = dict(zip(state, made[3:])), at + n
        return [np.concatenate([p[i] for p in parts], 1) for i in range(3)]

    lengths = [1, 2, 5, 1, 40]
    lengths += [2] * ((hops - sum(lengths)) // 2) + [1] * ((hops - sum(lengths)) % 2)
    return max(float(np.abs(a - b).max() / max(1e-9, np.abs(a).max())) for a, b in zip(run([hops]), run(lengths)))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("checkpoint", type=pathlib.Path)
    p.add_argument("graph", type=pathlib.Path)
    p.add_argument("--last", action="store_true", help="the last weights instead of their average")
    p.add_argument("--weights", type=pathlib.Path, help="write all weights here too, in half precision (.npz): training can start from them")
    o = p.parse_args()
    torch.set_num_threads(1)
    held = torch.load(o.checkpoint, map_location="cpu", weights_only=False)
    model = Voice().eval()
    model.load_state_dict(held["model" if o.last else "average"])
    if o.weights:
        np.savez_compressed(o.weights, **{name: value.numpy().astype(np.float16) for name, value in model.state_dict().items()})
    n, state = 4, model.state()
    names = [f"state_{i}" for i in range(len(state))]
    example = (torch.randn(1, n, MELS), torch.full((1, n), 150.0), torch.zeros(1, n), torch.randn(1, 256), *state)
    free = {k: {1: "n"} for k in ("mel", "f0", "energy", "harmonic", "noise", "f0_delayed")}
    torch.onnx.export(
        Graph(model), example, str(o.graph), input_names=["mel", "f0", "energy", "speaker", *names],
        output_names=["harmonic", "noise", "f0_delayed", *[s + "_out" for s in names]], dynamic_axes=free, opset_version=17, dynamo=False,
    )  # fmt: skip
    halve(o.graph)
    worst = worst_difference(o.graph)
    print(f"{o.graph}: {o.graph.stat().st_size} bytes, sha256 {hashlib.sha256(o.graph.read_bytes()).hexdigest()}, step {held['step']}, streaming against whole {worst:.1e}")
    if worst > TOLERANCE:
        sys.exit(f"Streaming differs from whole by {worst:.1e} (allowed {TOLERANCE:.0e}): a cache of the graph is wrong.")


if __name__ == "__main__":
    main()
