"""Weights that nobody publishes in the format they are run in: fetched, then converted here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.weights.bloom import Type, convert
from pipeline.weights.sources import Contents, Progress, Source


@dataclass(frozen=True)
class Converted(Source):
    """One GGUF file, made from the files of another source; ``size_bytes`` is approximate.

    What it was made from is checked as that source does, and what was made is tried out.
    """

    name: str
    source: Source
    file: str
    type: Type
    size_bytes: int

    @property
    def files_bytes(self) -> int:
        return self.size_bytes

    def describes(self, files: Mapping[str, Contents]) -> bool:
        return files.keys() == {self.file}

    def download_bytes(self, downloads: Path) -> int:
        return self.source.download_bytes(downloads)

    def download(self, downloads: Path, progress: Progress) -> None:
        self.source.download(downloads, progress)

    def place(self, downloads: Path, directory: Path) -> dict[str, Contents]:
        return {self.file: convert(downloads, directory / self.file, self.type)}
