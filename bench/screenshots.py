"""Pictures of the page and of the admin, for the documentation.

``make screenshots`` opens a server as users run it in Chromium, talks to it and writes
``docs/pictures/*.png``. What listens and speaks is real; the replies are written in advance, as
those of the small default model are not worth a picture.
"""

from __future__ import annotations

import bench.setup  # noqa: F401 - first: it sets Django up

# isort: split
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from playwright.sync_api import Browser, Page, expect, sync_playwright

from pipeline.audio import Audio, to_wav
from pipeline.base import Deadline
from pipeline.engines import engines
from pipeline.llm.base import LanguageModel, Message, Sampling
from tests.e2e.conftest import serving

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs" / "pictures"

QUESTION: Final = "Pourquoi le ciel est-il bleu ?"
REPLIES: Final = {
    "ciel": "L'air disperse la lumière bleue du soleil bien plus que la rouge. "
    "Elle nous arrive donc de partout à la fois.",
    "lune": "À trois cent quatre-vingt-quatre mille kilomètres, en moyenne.",
}
