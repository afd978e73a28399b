"""Kokoro's graph in two halves: how a sentence is to be said, which takes little, and its sound.

Apart, the sound can be made window by window, see ``windows``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipeline import deadline

if TYPE_CHECKING:
    import onnxruntime

BETWEEN = ("/encoder/MatMul_1_output_0", "/encoder/Reshape_output_0", "/encoder/Reshape_1_output_0")
"""What goes from one half to the other: text, pitch and energy."""

PER_FRAME = 2  # values of pitch, and of energy


@dataclass(frozen=True, slots=True)
class Manner:
    """How a sentence is to be said, frame by frame."""

    text: NDArray[np.float32]  # (1, channels, frames)
    pitch: NDArray[np.float32]  # (1, PER_FRAME × frames)
    energies: NDArray[np.float32]  # likewise
    style: NDArray[np.float32]  # (1, 256), of the voice

    @property
    def energy(self) -> NDArray[np.float32]:
        """Of each frame."""
        energy: NDArray[np.float32] = self.energies.reshape(-1, PER_FRAME).mean(axis=1)
        return energy

    def of(self, frames: NDArray[np.intp]) -> Manner:
        """That of the frames of these numbers alone."""
        values = (PER_FRAME * frames[:, None] + np.arange(PER_FRAME)).ravel()
        return Manner(
            self.text[..., frames], self.pitch[..., values], self.energies[..., values], self.style
        )


class Halves:
    """Of the graph in the file ``path``. To those who run it whole, it is a session."""

    def __init__(self, path: Path, options: onnxruntime.SessionOptions) -> None:
        import onnx
        import onnxruntime
        from onnx.utils import Extractor

        whole = Extractor(onnx.load(path))
        self._model_path = str(path)

        # From a file: a session keeps the bytes that it is made of.
        with TemporaryDirectory() as folder:

            def half(inputs: Sequence[str], outputs: Sequence[str]) -> Any:
                file = Path(folder, "half.onnx")
                onnx.save(whole.extract_model([*inputs], [*outputs]), file)
                return onnxruntime.InferenceSession(
                    str(file), options, providers=["CPUExecutionProvider"]
                )

            self._encoder = half(("tokens", "style", "speed"), BETWEEN)
            self._decoder = half((*BETWEEN, "style"), ("audio",))

    def encode(self, inputs: Mapping[str, Any]) -> Manner:
        """``inputs``: ``tokens`` (1, length), ``style`` (1, 256) of the voice, ``speed`` (1)."""
        text, pitch, energies = _run(self._encoder, BETWEEN, inputs)
        return Manner(text, pitch, energies, inputs["style"])

    def decode(self, manner: Manner) -> NDArray[np.float32]:
        """Samples, as many for each frame."""
        between = (manner.text, manner.pitch, manner.energies)
        inputs = {**dict(zip(BETWEEN, between, strict=True)), "style": manner.style}
        samples: NDArray[np.float32] = _run(self._decoder, ("audio",), inputs)[0]
        return samples.ravel()

    def run(self, _outputs: None, inputs: Mapping[str, Any]) -> list[NDArray[np.float32]]:
        return [self.decode(self.encode(inputs))]

    def get_inputs(self) -> Any:
        return self._encoder.get_inputs()

    def get_outputs(self) -> Any:
        return self._decoder.get_outputs()

    def get_modelmeta(self) -> Any:
        return self._encoder.get_modelmeta()


def _run(session: Any, outputs: Sequence[str], inputs: Mapping[str, Any]) -> Any:
    """It stops in the midst of its work when nobody waits for it any more."""
    import onnxruntime

    options = onnxruntime.RunOptions()
    with deadline.interrupting(lambda: setattr(options, "terminate", True)):
        try:
            return session.run([*outputs], dict(inputs), options)
        except Exception:
            deadline.check()
            raise
