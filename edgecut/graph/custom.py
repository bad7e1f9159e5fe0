"""Classes that a caller taught Keras."""

from __future__ import annotations

import keras

from edgecut.graph.keras_private import global_state

_LIBRARIES = ("keras", "tf_keras", "tensorflow", "tensorflow_model_optimization", "edgecut")


def has_custom_classes() -> bool:
    """Whether Keras knows layers or functions of the caller's own, whose code is in no file that a build reads."""
    scoped = global_state.get_global_attribute("custom_objects_scope_dict") or {}
    known = (*keras.saving.get_custom_objects().values(), *scoped.values())
    return any(getattr(item, "__module__", "").partition(".")[0] not in _LIBRARIES for item in known)
