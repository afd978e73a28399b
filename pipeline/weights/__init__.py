"""The weights engines read: what there is, where they lie, how they are fetched and checked."""

from pipeline.weights.manifest import Weights, catalogue, find, is_path, path
from pipeline.weights.sources import Progress, WeightsError
from pipeline.weights.store import fetch, verify

__all__ = [
    "Progress",
    "Weights",
    "WeightsError",
    "catalogue",
    "fetch",
    "find",
    "is_path",
    "path",
    "verify",
]
