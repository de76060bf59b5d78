"""MobileStyleGAN-FFHQ 1024 (Belousov 2021, arXiv:2104.04767): two OpenVINO IRs to one set of named tensors.

What a reader needs to rebuild the network from the names:

    mapping    x = z / sqrt(mean(z^2) + 1e-8), then eight times x = lrelu(weight @ x + bias); w is the last x
    modulate   x * (affine.weight @ w + affine.bias) per channel; the exported graph has no demodulation left
    conv0      lrelu(conv3x3(modulate(input)) + noise + bias), 512 channels at 4 x 4
    block i    x = inverse_haar(modulate(x; up)), then for conv1 and conv2:
               x = lrelu(pointwise(depthwise3x3(modulate(x))) + noise + bias)
    to_image   inverse_haar(conv1x1(modulate(x)) + bias): 12 channels at 512 x 512 to RGB at 1024 x 1024

lrelu has slope 0.2. All scalar gains of the graph are folded: the sqrt(2) behind each mapping activation into that
layer's weight and bias (lrelu is positively homogeneous), the modulation scales into the affine weights and biases.

inverse_haar of [4C,H,W]: the first C channels are the low band a; the other 3C, read as [C,3,H,W], are the bands b, c
and d of each channel (band index fastest). The 2x2 block of output pixels at each position is

    top left    (a+b+c+d)/2      top right    (a+b-c-d)/2
    bottom left (a-b+c-d)/2      bottom right (a-b-c+d)/2
"""

from __future__ import annotations

from pathlib import Path
from zipfile import ZipFile

import numpy as np

from mgi.weights.convert.openvino import Graph, Layer

Tensors = dict[str, np.ndarray]

_SLOPE = np.float32(0.2)
_HAAR_SIGNS = (1, -1, 1, 1, -1, -1)
"""Sign of the second tap of the six transposed convolutions of one inverse transform, in document order."""


def convert(wheel: Path) -> tuple[Tensors, dict[str, str]]:
    """All tensors of both networks of the wheel `random-face`, float32, and the metadata.

    Raises:
        ValueError: the graph is not the one this reader was written for.
    """
    with ZipFile(wheel) as archive:
        mapping, synthesis = (
            Graph(archive.read(f"random_face/data/{name}.xml"), archive.read(f"random_face/data/{name}.bin"))
            for name in ("MappingNetwork", "SynthesisNetwork")
        )
    _check_slopes(mapping)
    _check_slopes(synthesis)
    _check_haar(synthesis)
    tensors = {**_mapping(mapping), **_synthesis(synthesis)}
    return tensors, {"architecture": "mobile-stylegan", "resolution": "1024", "lrelu_slope": "0.2", "gains": "folded"}


def _mapping(graph: Graph) -> Tensors:
    tensors: Tensors = {}
    for i, matmul in enumerate(graph.of_type("MatMul")):
        add = graph.consumers(matmul, "Add")[0]
        activation = graph.consumers(add, "PReLU")[0]
        gain = graph.constant_input(graph.consumers(activation, "Multiply")[0]).reshape(())
        bias = next(layer for layer in graph.inputs(add) if layer.type == "Reshape")
        tensors[f"mapping.{i}.weight"] = _matrix(graph, matmul) * gain
        tensors[f"mapping.{i}.bias"] = graph.value(graph.inputs(bias)[0]) * gain
    return tensors


def _synthesis(graph: Graph) -> Tensors:
    convolutions = iter(graph.of_type("Convolution", "GroupConvolution"))
    ups = [split for split in graph.of_type("VariadicSplit") if graph.dynamic_input(split).type == "Multiply"]
    first = next(convolutions)
    tensors: Tensors = {"synthesis.input": _learned_input(graph, graph.dynamic_input(first))}
    tensors |= _affine(graph, graph.dynamic_input(first), "synthesis.conv0")
    tensors |= {"synthesis.conv0.weight": graph.constant_input(first), **_tail(graph, first, "synthesis.conv0")}
    for i, up in enumerate(ups):
        block = f"synthesis.blocks.{i}"
        tensors |= _affine(graph, graph.dynamic_input(up), f"{block}.up")
        for conv in (f"{block}.conv1", f"{block}.conv2"):
            depthwise, pointwise = next(convolutions), next(convolutions)
            tensors |= _affine(graph, graph.dynamic_input(depthwise), conv)
            tensors[f"{conv}.depthwise"] = graph.constant_input(depthwise)[:, 0]  # [C,1,1,3,3]: group axis first
            tensors[f"{conv}.pointwise"] = graph.constant_input(pointwise)
            tensors |= _tail(graph, pointwise, conv)
    last = next(convolutions)
    if next(convolutions, None) is not None:
        raise ValueError("the synthesis graph has more convolutions than its upsampling blocks explain")
    tensors |= _affine(graph, graph.dynamic_input(last), "synthesis.to_image")
    tensors["synthesis.to_image.weight"] = graph.constant_input(last)
    tensors["synthesis.to_image.bias"] = graph.constant_input(graph.consumers(last, "Add")[0]).reshape(-1)
    return tensors


def _tail(graph: Graph, convolution: Layer, name: str) -> Tensors:
    """The two additions behind a convolution: the fixed noise [1,1,H,W] (strength folded in), then the bias [C]."""
    noise = graph.consumers(convolution, "Add")[0]
    bias = graph.consumers(noise, "Add")[0]
    return {f"{name}.noise": graph.constant_input(noise), f"{name}.bias": graph.constant_input(bias).reshape(-1)}


def _affine(graph: Graph, modulation: Layer, name: str) -> Tensors:
    """The affine layer whose output scales the channels at `modulation`, with the scalar behind it folded in."""
    style = next(layer for layer in graph.inputs(modulation) if _leads_to_style(graph, layer))
    scale: np.ndarray = np.ones((), np.float32)
    if style.type == "Multiply":
        scale = graph.constant_input(style).reshape(())
        style = graph.dynamic_input(style)
    add = graph.inputs(style)[0]
    weight = _matrix(graph, graph.dynamic_input(add)) * scale
    return {f"{name}.affine.weight": weight, f"{name}.affine.bias": graph.constant_input(add).reshape(-1) * scale}


def _leads_to_style(graph: Graph, layer: Layer) -> bool:
    """True for Reshape(Add(MatMul(w))), with or without a scalar after it."""
    if layer.type == "Multiply" and any(origin.type == "Const" for origin in graph.inputs(layer)):
        layer = graph.dynamic_input(layer)
    return layer.type == "Reshape" and graph.inputs(layer)[0].type == "Add"


def _matrix(graph: Graph, matmul: Layer) -> np.ndarray:
    """The matrix of a MatMul as [out, in]."""
    if matmul.type != "MatMul" or matmul.attributes.get("transpose_a") != "false":
        raise ValueError(f"expected a plain MatMul at layer {matmul.id}, found {matmul.type} {matmul.attributes}")
    matrix = graph.constant_input(matmul)
    return matrix if matmul.attributes.get("transpose_b") == "true" else np.ascontiguousarray(matrix.T)


def _learned_input(graph: Graph, modulation: Layer) -> np.ndarray:
    """The constant [1,512,4,4] at the root of the synthesis, found through the batch expansion in front of it."""
    layer = next(layer for layer in graph.inputs(modulation) if layer.type == "Tile")
    while layer.type != "Const":
        layer = graph.inputs(layer)[0]
    return graph.value(layer)


def _check_slopes(graph: Graph) -> None:
    for activation in graph.of_type("PReLU"):
        if not np.array_equal(graph.constant_input(activation).reshape(-1), [_SLOPE]):
            raise ValueError(f"expected a leaky ReLU of slope 0.2 at layer {activation.id}")


def _check_haar(graph: Graph) -> None:
    """Every transposed convolution is one step of the inverse transform of the module's docstring."""
    steps = graph.of_type("GroupConvolutionBackpropData")
    if len(steps) % len(_HAAR_SIGNS):
        raise ValueError(f"expected six transposed convolutions per inverse wavelet transform, found {len(steps)}")
    for i, step in enumerate(steps):
        taps = graph.constant_input(step).reshape(-1, 2)
        expected = np.sqrt(0.5) * np.array([1, _HAAR_SIGNS[i % len(_HAAR_SIGNS)]])
        if np.abs(taps - expected).max() > 1e-6:
            raise ValueError(f"layer {step.id} is not a step of the Haar transform: taps {taps[0]}")
