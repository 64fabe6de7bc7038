#!/usr/bin/env python3
"""precisions.py: smaller precisions beside graphs of the contracts, and a slow one.

Writes tests/data/contracts-precisions/ from what moonshine.py and whisper_layouts.py wrote: `moonshine` (of contracts-moonshine/four-1) and `whisper` (of
whisper/2/sherpa) hold the graphs with matrix products in 8 bits, as onnxruntime.quantization makes them, under the names that sherpa-onnx gives them; `merged`
has an encoder of 8 bits only, under the name that optimum gives it. Graphs of this size gain nothing by it. `slow` holds `encode.onnx` of four-1 with a product of
two matrices of 1024 x 1024 whose result counts nothing: it says the same, but takes so much longer that the file it was made of is the quicker one anywhere.
pip: numpy==2.4.6 onnx onnxruntime==1.31.1
"""
import logging
import pathlib
import shutil

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

DATA = pathlib.Path(__file__).resolve().parents[3] / "tests" / "data"
OUT = DATA / "contracts-precisions"
WIDE = 1024


def widened(model):
    """With weights of products in 32 bits where they are kept in 16, since only those are quantised: their casts are gone."""
    graph, weights = model.graph, {w.name: w for w in model.graph.initializer}
    takes = {name: node.op_type for node in graph.node for name in node.input}
    casts = [node for node in graph.node if node.op_type == "Cast" and node.input[0] in weights and takes[node.output[0]] == "MatMul"]
    for cast in casts:
        graph.initializer.append(numpy_helper.from_array(numpy_helper.to_array(weights[cast.input[0]]).astype(np.float32), cast.output[0]))
        graph.node.remove(cast)
    used = {name for node in graph.node for name in node.input}
    for name in sorted(weights.keys() - used):
        graph.initializer.remove(weights[name])
    return model


def eight(source, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    quantize_dynamic(widened(onnx.load(source)), target, op_types_to_quantize=["MatMul"], weight_type=QuantType.QUInt8)
    kinds = [node.op_type for node in onnx.load(target).graph.node]
    print(f"{target.relative_to(OUT)}: {kinds.count('MatMulInteger')} of {kinds.count('MatMulInteger') + kinds.count('MatMul')} products in 8 bits, {target.stat().st_size} bytes")


def slow(source, target):
    """The same with work on its way: `out + 0 · max(A · A)`, where A depends on the input, so that nothing can be computed beforehand."""
    model = onnx.load(source)
    graph = model.graph
    out, last = graph.output[0].name, graph.node[-1]
    assert list(last.output) == [out]
    last.output[0] = "told"
    graph.initializer.extend([
        numpy_helper.from_array(np.array([WIDE, WIDE], np.int64), "wide"),
        numpy_helper.from_array(np.float32(0), "nothing"),
    ])
    graph.node.extend([
        helper.make_node("ReduceMean", [graph.input[0].name], ["mean"], keepdims=0),
        helper.make_node("Expand", ["mean", "wide"], ["square"]),
        helper.make_node("MatMul", ["square", "square"], ["product"]),
        helper.make_node("ReduceMax", ["product"], ["most"], keepdims=0),
        helper.make_node("Mul", ["most", "nothing"], ["no_more"]),
        helper.make_node("Add", ["told", "no_more"], [out]),
    ])
    onnx.checker.check_model(model)
    target.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, target)


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    shutil.rmtree(OUT, ignore_errors=True)
    four, merged, whisper = (DATA / name for name in ("contracts-moonshine/four-1", "contracts-moonshine/merged-1", "whisper/2/sherpa"))
    for part in ("encode", "uncached_decode", "cached_decode"):
        eight(four / f"{part}.onnx", OUT / "moonshine" / f"{part}.int8.onnx")
    eight(merged / "encoder_model.onnx", OUT / "merged" / "encoder_model_quantized.onnx")
    for part in ("encoder", "decoder"):
        eight(whisper / f"random-{part}.onnx", OUT / "whisper" / f"random-{part}.int8.onnx")
    slow(four / "encode.onnx", OUT / "slow" / "encode.onnx")
