"""Weights of the Hugging Face hub.

Where the manifest states no sha256 for a file, the hash is the one in the hub's own metadata of
the file: the sha256 of a large file, the git blob id of a small one. That proves the transfer;
it cannot prove that the file never changed on the hub.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.utils.translation import gettext as _

from pipeline.weights.sources import (
    Contents,
    Progress,
    Source,
    SourceError,
    WrongContentsError,
    check,
    growth,
    measure,
    sync,
)

SHA256_DIGITS = 64


@dataclass(frozen=True)
class HubFile:
    """``sha256`` is empty when only the hub can tell it; the size is then approximate."""

    name: str
    size_bytes: int
    sha256: str = ""


@dataclass(frozen=True)
class Hub(Source):
    """Files of one repository of the hub, at one revision (a commit, a tag or a branch).

    ``folder``: where the repository keeps them; they are placed without it.
    """

    name: str
    repo: str
    revision: str
    files: tuple[HubFile, ...]
    folder: str = ""

    @property
    def files_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)

    def describes(self, files: Mapping[str, Contents]) -> bool:
        return files.keys() == {file.name for file in self.files} and all(
            files[file.name] == (file.size_bytes, file.sha256) for file in self.files if file.sha256
        )

    def download_bytes(self, downloads: Path) -> int:
        return sum(f.size_bytes for f in self.files if not self._downloaded(f, downloads).is_file())

    def download(self, downloads: Path, progress: Progress) -> None:
        absent = [file for file in self.files if not self._downloaded(file, downloads).is_file()]
        if not absent:
            return  # brought by an earlier try, or placed by hand
        if settings.VOICEBOT_OFFLINE:
            text = _(
                "%(repo)s is on the Hugging Face hub, and VOICEBOT_OFFLINE=1 forbids asking it. "
                "Set VOICEBOT_OFFLINE=0 to allow it, or place %(files)s in %(folder)s by hand and "
                "try again."
            )
            names = ", ".join(file.name for file in absent)
            folder = self._downloaded(absent[0], downloads).parent
            raise SourceError(text % {"repo": self.repo, "files": names, "folder": folder})
        # Imported here: it takes a second, and reads HF_ENDPOINT and the like when it is.
        from huggingface_hub.utils.tqdm import disable_progress_bars

        disable_progress_bars()
        with growth(downloads, self.download_bytes(downloads), progress):
            for file in absent:
                try:
                    hub_hash = self._download(file, downloads)
                except Exception as exc:
                    text = _("%(file)s of %(repo)s cannot be had from the hub: %(reason)s")
                    values = {"file": file.name, "repo": self.repo, "reason": exc}
                    raise SourceError(text % values) from exc
                if not file.sha256:
                    _check_against_hub(self._downloaded(file, downloads), hub_hash)

    def _downloaded(self, file: HubFile, downloads: Path) -> Path:
        return downloads / self.folder / file.name

    def _download(self, file: HubFile, downloads: Path) -> str:
        """Bring one file; give the hash that the hub states for it."""
        from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url

        token = settings.HF_TOKEN or None
        name = f"{self.folder}/{file.name}".lstrip("/")
        url = hf_hub_url(self.repo, name, revision=self.revision)
        stated = get_hf_file_metadata(url, token=token)
        # By its commit: a branch may move on between the two requests.
        revision = stated.commit_hash
        hf_hub_download(self.repo, name, revision=revision, local_dir=downloads, token=token)
        return stated.etag or ""

    def place(self, downloads: Path, directory: Path) -> dict[str, Contents]:
        placed = {}
        for file in self.files:
            placed[file.name] = got = measure(self._downloaded(file, downloads))
            if file.sha256:
                check(file.name, Contents(file.size_bytes, file.sha256), got)
        for file in self.files:
            with self._downloaded(file, downloads).open("rb") as written:
                sync(written)
            self._downloaded(file, downloads).replace(directory / file.name)
        return placed


def _check_against_hub(path: Path, stated: str) -> None:
    """``stated``: a sha256, or the id of a git blob, as ``git hash-object`` computes it."""
    if len(stated) == SHA256_DIGITS:
        got = measure(path).sha256
    else:
        data = path.read_bytes()
        got = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
    if got != stated:
        text = _("%(file)s is not what the hub says: expected %(expected)s, got %(got)s.")
        raise WrongContentsError(text % {"file": path.name, "expected": stated, "got": got})
