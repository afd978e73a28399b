"""Japanese words to phonemes: kanji to kana by dictionary, kana to IPA by rule.

The dictionary is IPADIC, inside the wheel of lindera. It gives how a word is pronounced, not how it
is written: the particle は is ワ, 東京 is トーキョー.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from lindera import Tokenizer, load_dictionary
from num2words import num2words

__all__ = ["reader"]

_VOWELS = "aiɯeo"
# Each row of the kana table: its consonant before a, i, u, e, o.
_ROWS = {
    "アイウエオ": ("", "", "", "", ""),
    "カキクケコ": ("k", "kʲ", "k", "k", "k"),
    "ガギグゲゴ": ("ɡ", "ɡʲ", "ɡ", "ɡ", "ɡ"),
    "サシスセソ": ("s", "ɕ", "s", "s", "s"),
    "ザジズゼゾ": ("ʣ", "ʥ", "z", "ʣ", "ʣ"),
    "タチツテト": ("t", "ʨ", "ʦ", "t", "t"),
    "ダヂヅデド": ("d", "ʥ", "z", "d", "d"),
    "ナニヌネノ": ("n", "ɲ", "n", "n", "n"),
    "ハヒフヘホ": ("h", "ç", "ɸ", "h", "h"),
    "バビブベボ": ("b", "bʲ", "b", "b", "b"),
    "パピプペポ": ("p", "pʲ", "p", "p", "p"),
    "マミムメモ": ("m", "mʲ", "m", "m", "m"),
    "ラリルレロ": ("ɾ", "ɾʲ", "ɾ", "ɾ", "ɾ"),
}
_KANA = {
    kana: consonant + vowel
    for row, consonants in _ROWS.items()
    for kana, consonant, vowel in zip(row, consonants, _VOWELS, strict=True)
}
# After a hissing consonant u is central.
_KANA |= {"ス": "sɨ", "ズ": "zɨ", "ヅ": "zɨ", "ツ": "ʦɨ"}
_KANA |= {"ヤ": "ja", "ユ": "jɯ", "ヨ": "jo", "ワ": "βa", "ヰ": "i", "ヱ": "e", "ヲ": "o"}
_KANA |= {"ァ": "a", "ィ": "i", "ゥ": "ɯ", "ェ": "e", "ォ": "o", "ャ": "ja", "ュ": "jɯ", "ョ": "jo"}
_KANA |= {"ヴ": "vɯ", "ヵ": "ka", "ヶ": "ke", "ッ": "ʔ", "ー": "ː"}
# A small kana replaces the vowel before it; a glide makes the consonant soft.
_GLIDES = {"ャ": "a", "ュ": "ɨ", "ョ": "o"}
_SMALL = {"ァ": "a", "ィ": "i", "ゥ": "ɯ", "ェ": "e", "ォ": "o", "ヮ": "a"}
_SOFT = {"k", "ɡ", "t", "d", "b", "p", "m", "ɾ", "ɸ", "v"}
_ROUND = {"ウ": "β", "ク": "kᵝ", "グ": "ɡᵝ", "イ": "j"}
_SYLLABLE = re.compile("(.)([ャュョァィゥェォヮ]?)")

# ン takes the place of what follows it in the word.
_NASALS = (
    (re.compile("N(?=[mpb])"), "m"),
    (re.compile("N(?=[kɡ])"), "ŋ"),
    (re.compile("N(?=[ɲʨʥ])"), "ɲ"),
    (re.compile("N(?=[ntdɾz])"), "n"),
    (re.compile("N"), "ɴ"),
)

_TO_KATAKANA = {code: code + 0x60 for code in range(ord("ぁ"), ord("ゖ") + 1)}
_DIGITS = re.compile(r"\d+")
# Numerals change their sound before some others and before what they count.
_NUMERALS = {
    "サンヒャク": "サンビャク",
    "ロクヒャク": "ロッピャク",
    "ハチヒャク": "ハッピャク",
    "サンセン": "サンゼン",
    "ハチセン": "ハッセン",
    "イチフン": "イップン",
    "サンフン": "サンプン",
    "ヨンフン": "ヨンプン",
    "ロクフン": "ロップン",
    "ハチフン": "ハップン",
    "ジューフン": "ジュップン",
    "ヨンジ": "ヨジ",
    "ナナジ": "シチジ",
    "キュージ": "クジ",
}
_NUMERAL = re.compile("|".join(_NUMERALS))
_PEOPLE = {"イチニン": "ヒトリ", "ニニン": "フタリ"}

# What IPADIC calls the words that end a verb: they are said in one breath with it.
_ENDINGS = {("助動詞", "*"), ("助詞", "接続助詞"), ("動詞", "接尾"), ("動詞", "非自立")}
_VERBAL = _ENDINGS | {("動詞", "自立")}
_COUNTED = {("名詞", "数"), ("名詞", "接尾")}


def reader() -> Callable[[str], str]:
    """A function from Japanese words, without punctuation, to phonemes."""
    tokenizer = Tokenizer(load_dictionary("embedded://ipadic"), mode="normal")

    def read(words: str) -> str:
        spoken: list[str] = []
        previous: tuple[str, str] = ("", "")
        for token in tokenizer.tokenize(_DIGITS.sub(_in_words, words)):
            kind: tuple[str, str] = (token.details[0], token.details[1])
            kana: str = token.details[-1] if token.details[-1] != "*" else token.surface
            counted = previous == ("名詞", "数") and kind in _COUNTED
            if counted or (previous in _VERBAL and kind in _ENDINGS):
                spoken[-1] += kana
            else:
                spoken.append(kana)
            previous = kind
        return " ".join(map(_say, spoken))

    return read


def _in_words(digits: re.Match[str]) -> str:
    return str(num2words(int(digits[0]), lang="ja"))


def _say(kana: str) -> str:
    kana = kana.translate(_TO_KATAKANA)
    kana = _NUMERAL.sub(lambda number: _NUMERALS[number[0]], _PEOPLE.get(kana, kana))
    said = _SYLLABLE.sub(_syllable, kana)
    for nasal, sound in _NASALS:
        said = nasal.sub(sound, said)
    return said


def _syllable(kana: re.Match[str]) -> str:
    large, small = kana.groups()
    if large == "ン":
        return "N" + _KANA.get(small, "")
    said = _KANA.get(large, "")
    if not small or not said:
        return said + _KANA.get(small, "")
    consonant = said[:-1]
    if small in _GLIDES:
        soft = "ʲ" if consonant in _SOFT else ""
        return consonant + soft + _GLIDES[small]
    vowel = _SMALL[small]
    if large in _ROUND and vowel != "ɯ":
        return _ROUND[large] + vowel
    soft = "ʲ" if vowel == "i" and consonant in _SOFT else ""
    return consonant + soft + vowel
