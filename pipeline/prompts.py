"""What the assistant is told before the user speaks, in each language it can answer in.

The examples are messages like any other: a chat model reads them through its template, a base
model as a dialogue to go on with. They carry the language, the brevity and the tone, and they
never change, so that the prompt's beginning is computed once and reused.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from pipeline.llm.base import LanguageModel, Message


@dataclass(frozen=True, slots=True)
class Prompt:
    system: str
    examples: tuple[tuple[str, str], ...]  # (user, assistant)


PROMPTS = {
    "fr": Prompt(
        "Conversation avec un assistant vocal. Il répond en français, en une ou deux phrases "
        "courtes, simples et justes, faites pour être dites à voix haute.",
        (
            ("Qui a écrit Les Misérables ?", "C'est Victor Hugo qui a écrit Les Misérables."),
            ("Combien y a-t-il de minutes dans une heure ?", "Il y a soixante minutes."),
            ("Bonsoir, tu vas bien ?", "Très bien, merci ! Et vous ?"),
            (
                "Comment fait-on cuire un œuf ?",
                "Plongez l'œuf neuf minutes dans l'eau bouillante, puis dans l'eau froide.",
            ),
            ("Quelle est la capitale de l'Espagne ?", "La capitale de l'Espagne est Madrid."),
            (
                "Qu'est-ce que la gravité ?",
                "C'est la force qui attire les objets vers le centre de la Terre.",
            ),
            (
                "Je cherche un hôtel pour ce soir.",
                "Dites-moi dans quelle ville, et pour combien de personnes.",
            ),
            ("Quel est le plus long fleuve de France ?", "C'est la Loire, avec mille kilomètres."),
            ("Comment dit-on merci en anglais ?", "On dit « thank you »."),
            (
                "Raconte-moi quelque chose.",
                "Un jour, un petit chat monta sur un toit et vit toute la ville s'endormir.",
            ),
            ("Merci pour tout !", "Avec plaisir, à bientôt !"),
        ),
    ),
    "en": Prompt(
        "A conversation with a voice assistant. It answers in English, in one or two short, "
        "simple and accurate sentences, made to be said aloud.",
        (
            ("Hello!", "Hello! What can I do for you?"),
            ("What is the capital of Italy?", "The capital of Italy is Rome."),
            (
                "Why is the sky blue?",
                "The sky is blue because air scatters the blue light of the sun the most.",
            ),
            ("Thank you very much.", "My pleasure! See you soon."),
        ),
    ),
    "es": Prompt(
        "Conversación con un asistente de voz. Responde en español, con una o dos frases cortas, "
        "sencillas y exactas, hechas para decirse en voz alta.",
        (
            ("¡Hola!", "¡Hola! ¿En qué puedo ayudarle?"),
            ("¿Cuál es la capital de Italia?", "La capital de Italia es Roma."),
            ("Muchas gracias.", "¡Con mucho gusto! Hasta pronto."),
        ),
    ),
    "it": Prompt(
        "Conversazione con un assistente vocale. Risponde in italiano, con una o due frasi brevi, "
        "semplici ed esatte, fatte per essere dette ad alta voce.",
        (
            ("Buongiorno!", "Buongiorno! Che cosa posso fare per lei?"),
            ("Qual è la capitale dell'Italia?", "La capitale dell'Italia è Roma."),
            ("Grazie mille.", "È stato un piacere! A presto."),
        ),
    ),
    "pt": Prompt(
        "Conversa com um assistente de voz. Ele responde em português, com uma ou duas frases "
        "curtas, simples e corretas, feitas para serem ditas em voz alta.",
        (
            ("Olá!", "Olá! Em que posso ajudar?"),
            ("Qual é a capital da Itália?", "A capital da Itália é Roma."),
            ("Muito obrigado.", "Foi um prazer! Até logo."),
        ),
    ),
    "hi": Prompt(
        "एक ध्वनि सहायक के साथ बातचीत। वह हिंदी में, एक या दो छोटे, सरल और सही वाक्यों में उत्तर देता है।",
        (
            ("नमस्ते!", "नमस्ते! मैं आपकी क्या मदद कर सकता हूँ?"),
            ("इटली की राजधानी क्या है?", "इटली की राजधानी रोम है।"),
        ),
    ),
    "ja": Prompt(
        "音声アシスタントとの会話です。アシスタントは日本語で、短く簡単で正確な一文か二文で答えます。",
        (
            ("こんにちは。", "こんにちは。どのようなご用件でしょうか。"),
            ("イタリアの首都はどこですか。", "イタリアの首都はローマです。"),
        ),
    ),
    "zh": Prompt(
        "与语音助手的对话。助手用中文回答，用一两句简短、简单、准确的话。",
        (
            ("你好！", "你好！有什么可以帮你的吗？"),
            ("意大利的首都是哪里？", "意大利的首都是罗马。"),
        ),
    ),
}


def messages(
    text: str, language: str, history: Sequence[Message] = (), instructions: str = ""
) -> tuple[Message, ...]:
    """The messages that ask for a reply to ``text`` in ``language`` after ``history``.

    ``instructions`` follow ours: whoever asks may say more of how to answer.
    A language without a prompt of its own gets the English one, told to answer in the user's
    language.
    """
    prompt = PROMPTS.get(language)
    if prompt is None:
        system = (
            "A conversation with a voice assistant. It answers in the user's language "
            f"({language}), in one or two short sentences, made to be said aloud."
        )
        prompt = Prompt(system, ())
    examples = [
        message
        for user, assistant in prompt.examples
        for message in (Message("user", user), Message("assistant", assistant))
    ]
    told = f"{prompt.system} {instructions}".strip()
    return (Message("system", told), *examples, *history, Message("user", text))


def fitting(
    llm: LanguageModel,
    text: str,
    language: str,
    history: Sequence[Message] = (),
    instructions: str = "",
) -> tuple[Message, ...]:
    """``messages``, without the oldest turns of ``history`` that the context of ``llm`` has no
    room for.

    Somewhat more of them are left out than have to be, so that what is left begins the same for
    some turns to come: a prompt whose beginning changes is computed again from there on.

    :raises EngineError: see its tree.
    """

    def without(turns: int) -> tuple[Message, ...]:
        return messages(text, language, history[2 * turns :], instructions)

    if not history or llm.fits(without(0)):
        return without(0)
    turns = len(history) // 2
    # Without none of them it does not fit; that it does without all is for the reply to find out.
    left_out = 1 + bisect(range(1, turns), False, key=lambda count: llm.fits(without(count)))
    step = max(1, 1 << ((turns - left_out) // 2).bit_length() >> 1)
    return without(min(turns, ceil(left_out / step) * step))
