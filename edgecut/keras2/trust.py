"""What a Keras 2 file asks for beyond Keras's own layers: tf_keras imports, calls and reads whatever a file names."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from edgecut.graph.saved import configs_of, objects_in
from edgecut.graph.saved_functions import operator_fault
from edgecut.records.json_value import JsonObject
from edgecut.sandbox.hdf5 import check_hdf5

_TRUST = "pass --unsafe (unsafe=True) if you trust it"
# Values that a configuration holds as objects; tf_keras makes them without a look at any module.
_VALUES = frozenset({"__bytes__", "__ellipsis__", "__numpy__", "__slice__", "__tensor__", "__tuple__", "TensorShape"})
_SPECS = frozenset({"RaggedTensorSpec", "SparseTensorSpec", "TensorSpec"})
# Layers that hold an operator of TensorFlow by its definition or as a method; Keras 3 has none like them.
_OPERATORS = frozenset({"ClassMethod", "InstanceMethod", "InstanceProperty", "TensorFlowOpLayer"})


@dataclass(frozen=True)
class Known:
    """Names that a Keras 2 file may use. operators: functions of TensorFlow that have a counterpart in Keras 3."""

    classes: Collection[str]
    functions: Collection[str]
    registered: Collection[str]
    operators: Collection[str]


def carried_fault(source: str, known: Known) -> str | None:
    """What a Keras 2 file asks for that isn't made of Keras's own layers; None for nothing.

    source: .keras, .h5, or a SavedModel with its layers. The file is read as data.
    """
    faults = (_fault(entry, known) for config in configs_of(source) for entry in objects_in(config))
    return (
        next((fault for fault in faults if fault), None) or _link_fault(Path(source)) or _operator_fault(Path(source))
    )


def _fault(entry: JsonObject, known: Known) -> str | None:
    kind, config = str(entry["class_name"]), entry.get("config")
    settings = config if isinstance(config, dict) else {}
    name = settings.get("name", entry.get("name"))
    where = "its configuration" if name is None else f"layer {name!r}"
    if kind in {"TFOpLambda", "SlicingOpLambda"}:
        symbol = str(settings.get("function"))
        allowed = known.operators if kind == "TFOpLambda" else {"__operators__.getitem"}
        if symbol.removeprefix("compat.v1.") not in allowed:
            return f"{where}: the function tf.{symbol} has no counterpart in Keras 3"
    elif kind in _OPERATORS:
        return f"{where}: the class {kind} has no counterpart in Keras 3"
    elif kind in {"Lambda", "__lambda__"} or any(
        key.endswith("_type") and settings[key] == "lambda" for key in settings
    ):
        return f"{where} runs code that comes with the file; {_TRUST}"
    elif kind not in _VALUES and _is_foreign(entry, known):
        name = config if kind == "function" else entry.get("spec_name", kind)
        return (
            f"{where} wants {name!r} of the module {entry['module']!r}, which is none of Keras's own layers; "
            f"register it, or {_TRUST}"
        )
    if isinstance(settings.get("vocabulary"), str):
        return f"{where} reads the file {settings['vocabulary']!r}; {_TRUST}"
    return None


def _is_foreign(entry: JsonObject, known: Known) -> bool:
    """Whether tf_keras would look for an object outside of what it offers, or import a module for it.

    Without a module it knows its own layers and the registered ones alone.
    """
    module, kind, registered = (str(entry.get(key) or "") for key in ("module", "class_name", "registered_name"))
    if not module:
        return False
    root = module.partition(".")[0]
    if kind == "function":
        name, names, roots = str(entry.get("config")), known.functions, {"builtins", "keras", "tf_keras"}
    elif kind == "__typespec__":
        name, names, roots = str(entry.get("spec_name")), _SPECS, {"tensorflow"}
    else:
        name, names, roots = kind, known.classes, {"keras", "tf_keras"}
    if (name if kind == "function" else registered) in known.registered:
        return False
    # tf_keras takes the registered name where the module has nothing of the class's.
    return root not in roots or name not in names or registered not in {"", kind, name}


def _operator_fault(path: Path) -> str | None:
    fault = operator_fault(path) if path.is_dir() else None
    return None if fault is None else f"{fault}; {_TRUST}"


def _link_fault(path: Path) -> str | None:
    """The sentence for weights that lie in another file, which HDF5 would open."""
    links = () if path.is_dir() else check_hdf5(path)
    return f"{links[0]}; save the model again where they are" if links else None
