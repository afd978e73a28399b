"""Every ingredient of a key counts; how it is written does not."""

import pytest

from cache import keys

INGREDIENTS = {
    "text": "Déjà l’été.",
    "voice": "ff_siwis",
    "language": "fr",
    "speed": 1.0,
    "identity": {"engine": "Kokoro", "weights": "6e74", "option": "x"},
    "tenant": "",
}


def key(**changes: object) -> str:
    return keys.speech_key(**{**INGREDIENTS, **changes})  # type: ignore[arg-type]


def test_the_recipe_is_fixed() -> None:
    # Another digest here means that everybody's cache is lost: raise RECIPE knowingly.
    assert key() == "69177fff6c7f0b2d19a2b8a18d8e4787035579f71c2f1e932c7ddd88ce9840b3"


@pytest.mark.parametrize(
    "change",
    [
        {"text": "Déjà l’hiver."},
        {"text": "déjà l’été."},
        {"voice": "ff_autre"},
        {"language": "en"},
        {"speed": 1.1},
        {"identity": {"engine": "Piper", "weights": "6e74", "option": "x"}},
        {"identity": {"engine": "Kokoro", "weights": "0000", "option": "x"}},
        {"identity": {"engine": "Kokoro", "weights": "6e74", "option": "y"}},
        {"identity": {"engine": "Kokoro", "weights": "6e74"}},
        {"tenant": "alice"},
    ],
)
def test_every_ingredient_changes_the_key(change: dict[str, object]) -> None:
    assert key(**change) != key()


def test_a_new_recipe_changes_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = key()
    monkeypatch.setattr(keys, "RECIPE", keys.RECIPE + 1)
    assert key() != before


@pytest.mark.parametrize(
    "same",
    [
        {"text": "De\u0301ja\u0300  l’été.\n"},
        {"text": "\u00a0Déjà\tl’été. "},
        {"speed": 1},
        {"identity": {"option": "x", "weights": "6e74", "engine": "Kokoro"}},
    ],
)
def test_how_it_is_written_does_not(same: dict[str, object]) -> None:
    assert key(**same) == key()


def test_any_text_has_a_key() -> None:
    assert keys.is_key(key(text="\ud800\0🎉"))


@pytest.mark.parametrize(
    "text", ["", "a" * 63, "A" * 64, "a" * 65, "../" + "a" * 61, "a" * 64 + "\n"]
)
def test_what_is_no_key(text: str) -> None:
    assert not keys.is_key(text)
