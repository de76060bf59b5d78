"""Reading NVIDIA's pickles without running anything that is in them.

A pickle names functions to call. Here every name is looked up in one exact table of inert stand-ins
(`mgi.generators.pickled`): containers, numbers, arrays and tensors are built by builders that check sizes first; a
persistent PyTorch object becomes a plain record of its parameters, buffers and modules, and the source code in it is
never read; a TensorFlow network becomes a record of its state. Any other name is refused. The table has the names that
stylegan2-ada-pytorch writes, under Python 3.7 with torch 1.7 and later, and those of the older TensorFlow code.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mgi.generators.base import GeneratorError
from mgi.generators.pickled import arrays, containers, opcodes, records, tensors
from mgi.generators.pickled.budget import budget
from mgi.generators.pickled.containers import Builder, Marker
from mgi.generators.pickled.refused import Refused

_BUILDERS: dict[str, Callable[..., Any]] = {
    "builtins.set": containers.set_of,
    "builtins.frozenset": containers.frozenset_of,
    "builtins.bytes": containers.empty_bytes,
    "builtins.bytearray": containers.byte_array,
    "builtins.complex": containers.complex_of,
    "_codecs.encode": containers.encoded,
    "collections.OrderedDict": containers.ordered_dict,
    "collections.defaultdict": containers.default_dict,
    "copyreg._reconstructor": records.reconstructed,
    "torch_utils.persistence._reconstruct_persistent_obj": records.persistent,
    "torch.storage._load_from_bytes": tensors.storage,
    "torch._utils._rebuild_parameter": tensors.parameter,
    "torch._utils._rebuild_parameter_with_state": tensors.parameter,
    "torch._utils._rebuild_tensor": tensors.tensor,
    "torch._utils._rebuild_tensor_v2": tensors.tensor,
    "torch._utils._rebuild_sparse_tensor": tensors.refuse("sparse"),
    "torch._utils._rebuild_sparse_csr_tensor": tensors.refuse("sparse"),
    "torch._utils._rebuild_nested_tensor": tensors.refuse("nested"),
    "torch._utils._rebuild_qtensor": tensors.refuse("quantized"),
    "torch._utils._rebuild_meta_tensor_no_storage": tensors.refuse("meta"),
    "torch._utils._rebuild_xla_tensor": tensors.refuse("XLA"),
    "torch.Size": containers.size_of,
    "torch.device": containers.device_of,
    "numpy.dtype": arrays.DType,
    **{
        f"numpy.{core}.{name}": builder
        for core in ("core", "_core")
        for name, builder in (
            ("multiarray._reconstruct", arrays.reconstruct),
            ("multiarray.scalar", arrays.scalar),
            ("numeric._frombuffer", arrays.from_buffer),
        )
    },
}

_CLASSES: dict[str, type] = {
    "dnnlib.util.EasyDict": containers.Dict,
    "dnnlib.EasyDict": containers.Dict,
    "dnnlib.tflib.network.Network": records.Network,
    "tfutil.Network": records.Network,
    "torch.nn.parallel.data_parallel.DataParallel": records.DataParallel,
}

_MARKERS = frozenset(
    {"numpy.ndarray"}
    | {f"builtins.{name}" for name in ("object", "dict", "list", "tuple", "int", "float", "bool", "str")}
    | {f"torch.{name}" for name in ("float16", "bfloat16", "float32", "float64", "int32", "int64", "uint8", "bool")}
)

_PYTHON_2 = {"__builtin__": "builtins", "copy_reg": "copyreg"}
"""Modules that protocols 0 to 2 call by their old names."""


_DAMAGE = (pickle.UnpicklingError, EOFError, ValueError, LookupError, TypeError, AttributeError, RuntimeError)


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        full = f"{_PYTHON_2.get(module, module)}.{name}"
        if full in _BUILDERS:
            return Builder(_BUILDERS[full])
        if full in _CLASSES:
            return _CLASSES[full]
        if full in _MARKERS:
            return Marker(full)
        raise Refused(
            f"asks for {' '.join(full.split())[:80]}, which reading weights does not need, and nothing was run; it is "
            "damaged or not a plain checkpoint: export the generator's state dict and use that"
        )

    def persistent_load(self, pid: Any) -> Any:
        raise Refused("refers to data outside of itself")


def read_pickle(path: Path) -> Any:
    """The content of a pickle of any protocol: dicts, tuples, numbers, tensors, `Persistent`, `Network`.

    Raises:
        Refused: it asks for anything else.
        GeneratorError: it is damaged.
    """
    try:
        with path.open("rb") as file, budget(path.stat().st_size):
            opcodes.inspect(file)
            file.seek(0)
            # latin1: pickles of Python 2 carry array bytes as text.
            return _Unpickler(file, encoding="latin1").load()
    except Refused as error:
        raise Refused(f"{path} {error}") from None
    except (MemoryError, OverflowError, RecursionError):
        raise GeneratorError(f"{path} is a damaged pickle (it asks for more memory than there is)") from None
    except _DAMAGE as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise GeneratorError(f"{path} is a damaged pickle ({reason}); get the file again") from None
