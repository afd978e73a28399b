"""Engines on other machines: each a deployment of Ray Serve, asked as if it were here.

::

    Django (any number of processes)                 Ray (any number of nodes)
    pipeline.ray.SpeechToText  ── Serve's handle ──▶  Replica: FasterWhisper
    pipeline.ray.LanguageModel ── Serve's handle ──▶  Replica: LlamaCpp
    pipeline.ray.TextToSpeech  ── Serve's handle ──▶  Replica: Kokoro

A replica is built from the very entry of ``ENGINES`` that a single machine would use, so the
engines are the same, and so is what they answer. ``deploy`` puts them on the cluster, ``Distant``
asks them; deadlines, cancellation and the errors of ``pipeline.errors`` travel along.
"""

from __future__ import annotations

from pipeline.ray.engines import LanguageModel, SpeechToText, TextToSpeech

__all__ = ["LanguageModel", "SpeechToText", "TextToSpeech"]
