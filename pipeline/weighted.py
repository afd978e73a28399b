"""Engines that read weights: where they lie and what identifies them."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _

from pipeline import weights as store
from pipeline.base import Engine
from pipeline.errors import EngineUnavailable, PipelineError


class Weighted(Engine):
    """Adds the option ``weights``: an id of the manifest, or a path of the user's own."""

    main = ""
    """The file that identifies the weights when ``weights`` names a folder of the user's."""

    def __init__(self, *, weights: str, **options: Any) -> None:
        super().__init__(**options)
        self.weights = weights

    @property
    def path(self) -> Path:
        """The main file.

        :raises EngineUnavailable: it is not here; the message says how to bring it.
        """
        if not store.is_path(self.weights):
            entry = store.find(self.weights)
            return store.path(self.weights) / entry.main
        own = Path(self.weights).expanduser()
        path = own / self.main if own.is_dir() else own
        if not path.is_file():
            raise EngineUnavailable(_("There is no file %(path)s.") % {"path": path})
        return path

    @property
    def identity(self) -> Mapping[str, str]:
        return {**super().identity, "weights": self.weights, "sha256": self._sha256}

    @property
    def needs(self) -> Collection[str]:
        return () if store.is_path(self.weights) else (self.weights,)

    def missing(self) -> str | None:
        if missing := super().missing():
            return missing
        try:
            _path = self.path
        except (PipelineError, store.WeightsError) as exc:
            return str(exc)
        return None

    @cached_property
    def _sha256(self) -> str:
        if not store.is_path(self.weights):
            return store.find(self.weights).fingerprint
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
