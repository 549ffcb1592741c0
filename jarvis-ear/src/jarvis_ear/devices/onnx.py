"""Opening ONNX models the way a background listener must.

``ORT_DISABLE_TELEMETRY`` is set before onnxruntime is imported anywhere: without it the import
looks up a host of its maker and writes a database into the home folder.
"""

import importlib.util
import os
from pathlib import Path
from typing import Any

from jarvis_ear.errors import ConfigError

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime


def shipped_model(name: str) -> Path:
    """Path of a model file in the openwakeword wheel, found without importing that package.

    Importing it would load scipy and scikit-learn: 200 MB and 4 s for nothing that we use.
    """
    spec = importlib.util.find_spec("openwakeword")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError("package openwakeword is not installed; it holds the wake-word models")
    path = Path(spec.submodule_search_locations[0]) / "resources" / "models" / name
    if not path.is_file():
        raise ConfigError(
            f"openwakeword holds no {name}: version 0.4.0 is expected (later ones have no models)"
        )
    return path


def open_model(path: Path) -> Any:  # noqa: ANN401 - onnxruntime has no type for it
    """Load a model for one thread that sleeps when there is nothing to do.

    By default onnxruntime keeps a pool of threads spinning between runs: four times the work.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3  # errors only
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        # onnxruntime raises a different class for each way a file can be bad, all plain Exceptions
        raise ConfigError(
            f"{path} is not a model that onnxruntime can load, expected .onnx: {error}"
        ) from error
