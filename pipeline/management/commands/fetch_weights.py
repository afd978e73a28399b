"""``manage.py fetch_weights``: lists the weights, fetches them, checks them."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import rich.progress
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _

from pipeline import weights as store
from pipeline.base import Engine
from pipeline.engines import Engines
from pipeline.errors import EngineUnavailable, InvalidEngineError
from pipeline.weights import Progress, Weights, WeightsError

INTERRUPTED = 130  # what a shell gives a program that Ctrl-C ended


class Command(BaseCommand):
    requires_system_checks = []  # checks complain of weights that are not here yet

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.description = _("List the weights (no argument), fetch them, or check those here.")
        parser.add_argument("ids", nargs="*", metavar="ID", help=_("weights to fetch"))
        parser.add_argument(
            "--profile",
            nargs="?",
            const=True,
            choices=sorted(settings.PROFILES),
            help=_("fetch what the engines of a profile need (by default those in use)"),
        )
        parser.add_argument(
            "--verify", action="store_true", help=_("read again what is here, fetch nothing")
        )
        parser.add_argument("--force", action="store_true", help=_("fetch even what is here"))

    def handle(
        self,
        *,
        ids: Sequence[str],
        profile: str | Literal[True] | None,
        verify: bool,
        force: bool,
        **options: Any,
    ) -> None:
        try:
            if not ids and profile is None and not verify:
                self._list()
                return
            engines = self._engines(profile) if profile else []
            wanted = [*ids, *(needed for engine in engines for needed in engine.needs)]
            chosen = [store.find(weights_id) for weights_id in dict.fromkeys(wanted)]
            if verify:
                self._verify(chosen or [known for known in store.catalogue() if known.present])
                return
            failures = self._fetch(chosen, force=force)
            # What an engine brings itself, or is given, is told here as well.
            others = (engine.missing() for engine in engines if not engine.needs)
            if failures := [*failures, *filter(None, others)]:
                raise CommandError("\n".join(dict.fromkeys(failures)))
        except (WeightsError, EngineUnavailable, InvalidEngineError) as exc:
            raise CommandError(str(exc)) from exc
        except KeyboardInterrupt:
            text = _("Interrupted. The same command goes on from what is complete.")
            raise CommandError(text, returncode=INTERRUPTED) from None

    def _fetch(self, chosen: Sequence[Weights], *, force: bool) -> list[str]:
        """Fetch all that can be had; why the rest cannot."""
        failures = []
        for weights in chosen:
            if weights.present and not force:
                self.stdout.write(_("%(id)s is already here.") % {"id": weights.id})
                continue
            try:
                with self._progress() as progress:
                    store.fetch(weights, progress, force=force)
            except WeightsError as exc:
                failures.append(str(exc))
                continue
            values = {"id": weights.id, "folder": weights.directory}
            self.stdout.write(_("%(id)s is in %(folder)s.") % values)
        return failures

    def _verify(self, chosen: Sequence[Weights]) -> None:
        for weights in chosen:
            store.verify(weights)
            self.stdout.write(_("%(id)s is as it should be.") % {"id": weights.id})

    def _engines(self, profile: str | Literal[True]) -> list[Engine]:
        return _engines(settings.ENGINES if profile is True else settings.PROFILES[profile])

    def _list(self) -> None:
        titles = (_("ID"), _("SIZE"), _("LICENCE"), _("SOURCES"), _("HERE"), _("PROFILES"))
        rows = [titles, *(_row(weights) for weights in store.catalogue())]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            self.stdout.write("  ".join(cells).rstrip())

    @contextmanager
    def _progress(self) -> Iterator[Progress]:
        if not self.stdout.isatty():
            yield Lines(self.stdout.write)
            return
        columns = (
            rich.progress.TextColumn("{task.description}"),
            rich.progress.BarColumn(),
            rich.progress.DownloadColumn(),
            rich.progress.TransferSpeedColumn(),
            rich.progress.TimeRemainingColumn(),
        )
        with rich.progress.Progress(*columns) as bars:
            yield Bar(bars)


class Lines:
    """Tells by whole lines: for a file, a pipe, a log."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write

    def started(self, title: str, total_bytes: int) -> None:
        values = {"title": title, "size": _megabytes(total_bytes)}
        self._write(_("%(title)s: %(size)s to download.") % values)

    def advanced(self, size_bytes: int) -> None:
        pass

    def message(self, text: str) -> None:
        self._write(text)


class Bar:
    """Tells by a bar that moves: for a terminal."""

    def __init__(self, bars: rich.progress.Progress) -> None:
        self._bars = bars
        self._task: rich.progress.TaskID | None = None

    def started(self, title: str, total_bytes: int) -> None:
        if self._task is not None:
            self._bars.remove_task(self._task)
        self._task = self._bars.add_task(title, total=total_bytes)

    def advanced(self, size_bytes: int) -> None:
        if self._task is not None:
            self._bars.advance(self._task, size_bytes)

    def message(self, text: str) -> None:
        self._bars.console.print(text, markup=False, highlight=False)


def _row(weights: Weights) -> tuple[str, str, str, str, str, str]:
    terms = f" ({weights.licence_url})" if weights.licence_url else ""
    profiles = [
        name
        for name, configuration in settings.PROFILES.items()
        if any(weights.id in engine.needs for engine in _engines(configuration))
    ]
    return (
        weights.id,
        _megabytes(weights.size_bytes),
        weights.licence + terms,
        ", ".join(source.name for source in weights.sources),
        _("yes") if weights.present else _("no"),
        ", ".join(profiles),
    )


def _engines(configuration: Mapping[str, Any]) -> list[Engine]:
    return [engine for _role, engine in Engines(configuration)]


def _megabytes(size_bytes: int) -> str:
    return _("%(size).0f MB") % {"size": size_bytes / 1e6}
