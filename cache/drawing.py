"""Small drawings for the admin, as SVG inside the page: no script, no library, no second request.

Colours and sizes come from ``cache/admin.css``, light and dark.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

BARS = 64
HEIGHT = 32
STEP = 3  # from bar to bar


def peaks(samples: npt.NDArray[np.float32], bars: int = BARS) -> bytes:
    """The outline of ``samples``, a byte a bar: 255 is the loudest of them, 0 is silence."""
    parts = np.array_split(np.abs(samples), bars)
    loudest = np.array([part.max(initial=0.0) for part in parts])
    top = max(float(loudest.max()), 1e-3)  # silence stays silence
    return bytes(np.rint(255 * loudest / top).astype(np.uint8))


def waveform(outline: bytes) -> SafeString:
    """``outline``, as ``peaks`` made it."""
    middle = HEIGHT / 2
    bars = []
    for place, peak in enumerate(outline):
        half = 1 + (middle - 2) * peak / 255
        bars.append(f"M{STEP * place + 1.5:g} {middle - half:.3g}v{2 * half:.3g}")
    return _drawing("waveform", STEP * len(outline), "".join(bars))


def sparkline(counts: Sequence[int]) -> SafeString:
    """A bar a count; the first bar is the oldest."""
    top = max([*counts, 1])
    bars = []
    for place, count in enumerate(counts):
        height = max(2.0, (HEIGHT - 2) * count / top) if count else 0.5
        bars.append(f"M{STEP * place + 1.5:g} {HEIGHT}v-{height:.3g}")
    return _drawing("sparkline", STEP * len(counts), "".join(bars))


def _drawing(name: str, width: int, path: str) -> SafeString:
    return format_html(
        '<svg class="{}" viewBox="0 0 {} {}" preserveAspectRatio="none" aria-hidden="true">'
        '<path d="{}"/></svg>',
        *(name, width, HEIGHT, path),
    )


def player(url: str, outline: SafeString) -> SafeString:
    """Plays ``url``. ``cache/player.js`` makes it a button, and ``outline`` show the position."""
    return format_html(
        '<div class="player" data-play="{}" data-pause="{}">'
        '<audio controls preload="none" src="{}"></audio>{}</div>',
        *(_("Listen"), _("Pause"), url, outline),
    )
