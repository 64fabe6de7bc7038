"""Serves graphs of ONNX through MLServer (`mlserver start FOLDER`): a folder with this file and one `model-settings.json` for each graph.

A graph is run as it is. What it carries from call to call comes with each request and goes back with each answer, so the server keeps nothing and any
number of voices can share it. Numbers written out as text take longer than a hop lasts, so the graph is told of as tensors of BYTES in base64, the
content type of that name in MLServer: the floats of a tensor, little-endian, row by row. Lists of numbers are taken and given too, tensor by tensor as
they are asked for; with `"extra": {"plain": true}` the graph is told of as that.
"""

from base64 import b64decode, b64encode

import numpy as np
import onnxruntime
from mlserver import MLModel
from mlserver.types import (
    InferenceRequest,
    InferenceResponse,
    MetadataModelResponse,
    MetadataTensor,
    Parameters,
    ResponseOutput,
    TensorData,
)

BASE64 = "base64"


def sizes(tensor):
    """A tensor's sizes; -1 for one that is left open."""
    return [n if isinstance(n, int) else -1 for n in tensor.shape]


def as_base64(parameters):
    return parameters is not None and parameters.content_type == BASE64


class Onnx(MLModel):
    """A graph of float tensors on the best provider that this machine's onnxruntime has."""

    async def load(self) -> bool:
        parameters = self.settings.parameters
        self.plain = (parameters.extra or {}).get("plain", False)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(parameters.uri, options, providers=onnxruntime.get_available_providers())
        self.shapes = {t.name: sizes(t) for t in self.session.get_inputs()}
        return True

    def told(self, tensors):
        if self.plain:
            return [MetadataTensor(name=t.name, datatype="FP32", shape=sizes(t)) for t in tensors]
        return [MetadataTensor(name=t.name, datatype="BYTES", shape=[1], parameters=Parameters(content_type=BASE64)) for t in tensors]

    async def metadata(self) -> MetadataModelResponse:
        inputs, outputs = self.told(self.session.get_inputs()), self.told(self.session.get_outputs())
        return MetadataModelResponse(name=self.name, platform="onnxruntime_onnx", inputs=inputs, outputs=outputs)

    def floats(self, given):
        if as_base64(given.parameters):
            return np.frombuffer(b64decode(given.data[0]), "<f4").reshape(self.shapes[given.name])
        return np.array(given.data, np.float32).reshape(given.shape)

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        wanted = {o.name: as_base64(o.parameters) for o in payload.outputs or []}
        wanted = wanted or {o.name: False for o in self.session.get_outputs()}
        results = self.session.run(list(wanted), {t.name: self.floats(t) for t in payload.inputs})
        outputs = [answer(name, result, packed) for (name, packed), result in zip(wanted.items(), results)]
        return InferenceResponse(model_name=self.name, id=payload.id, outputs=outputs)


def answer(name, numbers, packed):
    if packed:
        text = b64encode(numbers.astype("<f4").tobytes()).decode()
        return ResponseOutput(name=name, datatype="BYTES", shape=[1], data=[text], parameters=Parameters(content_type=BASE64))
    # Without a check of each number: there are tens of thousands.
    data = TensorData.model_construct(root=numbers.ravel().tolist())
    return ResponseOutput.model_construct(name=name, datatype="FP32", shape=list(numbers.shape), data=data, parameters=None)
