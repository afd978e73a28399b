"""Settings of a service whose weights are not here and cannot be fetched."""

from tests.settings import *  # noqa: F403
from tests.settings import ENGINES

ENGINES = {**ENGINES, "stt": {"BACKEND": "tests.api.engines.Unfetched"}}
PROFILES = {"embedded": {"stt": {"OPTIONS": {"weights": "no-such-weights"}}}}
