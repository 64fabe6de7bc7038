"""Serves graphs of ONNX through Triton as PyPI has it (`pip install nvidia-pytriton onnxruntime`): `python triton_onnx.py PORT NAME=GRAPH ...`.

Triton's own container runs the graphs without this: see docs/remote.md. What a graph carries from call to call comes with each request and goes back
with each answer, so the server keeps nothing.
"""

import os
import sys
import sysconfig

import numpy as np
import onnxruntime
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig


def tensors(side):
    return [Tensor(name=t.name, dtype=np.float32, shape=tuple(n if isinstance(n, int) else -1 for n in t.shape)) for t in side]


def bind(triton, name, path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=onnxruntime.get_available_providers())
    outputs = [t.name for t in session.get_outputs()]

    def infer(requests):
        return [dict(zip(outputs, session.run(outputs, dict(request.items())))) for request in requests]

    triton.bind(
        model_name=name,
        infer_func=infer,
        inputs=tensors(session.get_inputs()),
        outputs=tensors(session.get_outputs()),
        config=ModelConfig(batching=False),
    )


def main():
    port, graphs = int(sys.argv[1]), [argument.split("=", 1) for argument in sys.argv[2:]]
    config = TritonConfig(http_port=port, allow_grpc=False, allow_metrics=False)
    # Triton starts interpreters of its own, which have to be of this Python's library and not of another one that the system has.
    os.environ["LD_LIBRARY_PATH"] = os.pathsep.join(filter(None, [sysconfig.get_config_var("LIBDIR"), os.environ.get("LD_LIBRARY_PATH")]))
    with Triton(config=config) as triton:
        for name, path in graphs:
            bind(triton, name, path)
        triton.serve()


if __name__ == "__main__":
    main()
