"""Reading an OpenVINO IR (an `.xml` graph with a `.bin` of constants) without OpenVINO.

Only what a converter needs: layers by id, their connections, and constants as numpy arrays. Nothing is executed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import defusedxml.ElementTree as ElementTree
import numpy as np

_DTYPES = {"f32": "<f4", "f16": "<f2", "i64": "<i8", "i32": "<i4"}


@dataclass
class Layer:
    """One operation; `inputs` are the ids that feed its ports, in port order."""

    id: str
    type: str
    attributes: dict[str, str]
    inputs: list[str] = field(default_factory=list)


class Graph:
    """The layers of one IR in document order, which is a topological order."""

    def __init__(self, xml: bytes, constants: bytes) -> None:
        """Read the document.

        Args:
            xml: the text of the `.xml` file. Entities and DTDs are refused by defusedxml.
            constants: the content of the `.bin` file.

        Raises:
            ValueError: the document is not an IR of version 10 or later.
        """
        root: Any = ElementTree.fromstring(xml)
        if root.tag != "net" or int(root.get("version", "0")) < 10:
            raise ValueError(f"expected an OpenVINO IR of version 10 or later, found <{root.tag} {root.attrib}>")
        self._constants = constants
        self.layers: dict[str, Layer] = {}
        for element in root.iterfind("./layers/layer"):
            data = element.find("data")
            attributes = {} if data is None else dict(data.attrib)
            self.layers[element.get("id")] = Layer(element.get("id"), element.get("type"), attributes)
        edges = [(e.get("to-layer"), int(e.get("to-port")), e.get("from-layer")) for e in root.iterfind("./edges/edge")]
        self._consumers: dict[str, list[str]] = {}
        for target, _, origin in sorted(edges, key=lambda edge: edge[:2]):
            self.layers[target].inputs.append(origin)
            self._consumers.setdefault(origin, []).append(target)

    def of_type(self, *types: str) -> list[Layer]:
        """All layers of these types, in document order."""
        return [layer for layer in self.layers.values() if layer.type in types]

    def inputs(self, layer: Layer) -> list[Layer]:
        """The layers that feed `layer`, in port order."""
        return [self.layers[i] for i in layer.inputs]

    def consumers(self, layer: Layer, kind: str) -> list[Layer]:
        """The layers of type `kind` that `layer` feeds."""
        return [self.layers[i] for i in self._consumers.get(layer.id, []) if self.layers[i].type == kind]

    def value(self, layer: Layer) -> np.ndarray:
        """The array of a `Const` layer, a copy in native byte order. Raises ValueError for anything else."""
        if layer.type != "Const":
            raise ValueError(f"expected a constant at layer {layer.id}, found {layer.type}")
        dtype = np.dtype(_DTYPES[layer.attributes["element_type"]])
        start, size = int(layer.attributes["offset"]), int(layer.attributes["size"])
        if start + size > len(self._constants):
            raise ValueError(f"constant {layer.id} ends at byte {start + size} of a {len(self._constants)}-byte file")
        shape = [int(n) for n in layer.attributes.get("shape", "").split(",") if n.strip()]
        array = np.frombuffer(self._constants[start : start + size], dtype=dtype).reshape(shape)
        return array.astype(dtype.newbyteorder("="))

    def constant_input(self, layer: Layer) -> np.ndarray:
        """The one constant among the inputs of `layer`."""
        constants = [origin for origin in self.inputs(layer) if origin.type == "Const"]
        if len(constants) != 1:
            raise ValueError(f"expected one constant input of {layer.type} {layer.id}, found {len(constants)}")
        return self.value(constants[0])

    def dynamic_input(self, layer: Layer) -> Layer:
        """The one input of `layer` that is not a constant."""
        dynamic = [origin for origin in self.inputs(layer) if origin.type != "Const"]
        if len(dynamic) != 1:
            raise ValueError(f"expected one non-constant input of {layer.type} {layer.id}, found {len(dynamic)}")
        return dynamic[0]
