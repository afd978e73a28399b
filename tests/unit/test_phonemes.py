import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from textwrap import dedent

import pytest
from kokoro_onnx.config import DEFAULT_VOCAB

from pipeline.errors import UnsupportedLanguage
from pipeline.tts.phonemes import LANGUAGES, load, phonemize

SENTENCES = {
    "en-gb": "Hello, how are you today? I would like a cup of tea.",
    "en-us": "Hello, how are you today? I would like a cup of coffee.",
    "es": "¿Cómo estás? Muchas gracias por escuchar esta canción.",
    "fr": "Les enfants ont mangé trois pommes ; n’est-ce pas ?",
    "hi": "नमस्ते, आप कैसे हैं? आज मौसम बहुत अच्छा है।",
    "it": "Ciao, come stai oggi? Stamattina c'è bel tempo nel giardino.",
    "ja": "こんにちは。東京へ行きたいと思います！",
    "pt": "Olá, como você está? Minha irmã estuda medicina.",
    "zh": "你好，今天天气很好。请问火车站在哪里？",
}
assert sorted(SENTENCES) == list(LANGUAGES)


def say(text: str, language: str) -> str:
    return phonemize(text, language, vocabulary=DEFAULT_VOCAB)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_is_said_in_the_symbols_of_the_vocabulary(language: str) -> None:
    said = say(SENTENCES[language], language)

    assert set(said) <= set(DEFAULT_VOCAB)
    assert len(said) >= 20
    assert said[-1] == SENTENCES[language].translate(str.maketrans("।。？！", "..?!"))[-1]


@pytest.mark.parametrize(
    ("language", "text", "phonemes"),
    [
        ("fr", "Bonjour", "bɔ̃ʒˈuʁ"),
        ("fr", "les enfants", "lez ɑ̃fˈɑ̃"),  # liaison
        ("fr", "3.5", "tʁwa pwɛ̃ sˈɛ̃k"),  # one number, not two sentences
        ("en-us", "the boy", "ðə bˈY"),
        ("en-us", "water button", "wˈɔTəɹ bˈʌtᵊn"),
        ("en-gb", "water", "wˈɔːtə"),
        ("en-gb", "go home", "ɡˌQ hˈQm"),
        ("es", "mucho", "mˈuʧo"),
        ("it", "pizza, oggi", "pˈiʦːa, ˈɔʤːɪ"),
        ("pt", "Olá", "olˈa"),
        ("hi", "भारत", "bʰˈaːɾət"),
        # Kanji by what they mean where they stand, particles as they are said.
        ("ja", "今日は東京へ", "kʲoː βa toːkʲoː e"),
        ("ja", "学校と銀行と新聞", "ɡaʔkoː to ɡʲiŋkoː to ɕimbɯɴ"),
        ("ja", "ﾃｨｯｼｭ、ファイル、ウィキ", "tʲiʔɕɨ, ɸaiɾɯ, βikʲi"),
        ("ja", "食べました", "tabemaɕita"),
        ("ja", "三百円", "sambʲakɯeɴ"),
        ("ja", "９時30分", "kɯʥi saɲʥɨʔpɯɴ"),
        ("ja", "二人", "ɸɯtaɾʲi"),
        ("zh", "你好", "ni↓xau↓"),
        ("zh", "银行很行", "i↗nxa↗ŋ xə↓nɕi↗ŋ"),  # one character, two readings
        ("zh", "知识，四次，日", "ꭧɨ→ʂɨ↗, sɨ↘ʦʰɨ↘, ɻɨ↘"),
        ("zh", "嗯，二", "n↗, ɚ↘"),
        ("zh", "2026年", "ɚ↘li↗ŋɚ↘ ljou↘njɛ↗n"),
    ],
)
def test_known_words(language: str, text: str, phonemes: str) -> None:
    assert say(text, language) == phonemes


def test_numbers_are_said_as_the_chinese_do() -> None:
    assert say("13800138000", "zh") == say("一三八零零一三八零零零", "zh")
    assert say("1,234", "zh") == say("一千二百三十四", "zh")


@pytest.mark.parametrize(
    ("language", "text", "foreign"),
    [
        ("fr", "Le week-end, on joue au football", "fˈʊtbɔːl"),
        ("pt", "O software", "sˈɔftweə"),
        ("hi", "मैं computer चलाता हूँ", "kəmpjˈuːtə"),
        ("ja", "AIを使う", "ˌAˈI"),
        ("zh", "我用computer", "kəmpjˈuTəɹ"),
    ],
)
def test_a_foreign_word_is_said_and_not_marked(language: str, text: str, foreign: str) -> None:
    said = say(text, language)

    assert foreign in said
    assert not set(said) & set("()-")


@pytest.mark.parametrize("question", ["Oui?", "Oui ?", "Oui\u202f?", "Oui\xa0?\n"])
def test_blanks_before_a_mark_change_nothing(question: str) -> None:
    assert say(question, "fr") == "wˈi?"


def test_composed_and_decomposed_letters_are_the_same() -> None:
    assert say("e\u0301te\u0301", "fr") == say("été", "fr") == "etˈe"


def test_quotation_marks_and_brackets_stay() -> None:
    assert say("Il dit : « oui (non)... »", "fr") == "il dˈi: “wˈi (nˈɔ̃)…”"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("text", ["", "  \n", "… ?!", "。「」", "\u200b", "—"])
def test_nothing_to_say_is_empty(language: str, text: str) -> None:
    assert say(text, language) == ""


def test_threads_do_not_mix_their_phonemes() -> None:
    work = [(SENTENCES[language], language) for language in ("fr", "en-gb", "ja", "zh")] * 25
    alone = [say(*item) for item in work]

    with ThreadPoolExecutor(max_workers=8) as threads:
        assert list(threads.map(lambda item: say(*item), work)) == alone


def test_an_unknown_language_says_which_there_are() -> None:
    with pytest.raises(UnsupportedLanguage, match="en-gb, en-us, es"):
        load("en")


def test_nothing_is_read_before_it_is_needed_and_a_missing_package_names_itself() -> None:
    script = """
        import sys

        from django.conf import settings

        settings.configure(USE_I18N=False)
        from pipeline.errors import EngineUnavailable
        from pipeline.tts.phonemes import load

        assert not {"phonemizer", "espeakng_loader", "lindera", "pypinyin"} & set(sys.modules)
        sys.modules["lindera"] = None
        try:
            load("ja")
        except EngineUnavailable as error:
            print(error)
    """
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", dedent(script)],
        capture_output=True,
        text=True,
        check=True,
    )

    assert "pip install lindera-python-ipadic" in ran.stdout
