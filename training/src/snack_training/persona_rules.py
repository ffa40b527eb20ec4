"""
Rules for a reply as Mama. Each reply counts only for the first rule that it breaks, so that one fault fails only one
gate. For example, an empty reply does not also count as out of character.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from importlib.resources import files

from .measurements import PersonaReply
from .persona_prompts import KINDS

MAX_CHARS = {"ja": 200, "en": 500}
MAX_SENTENCES = 6
# Number of repeated characters from which a reply leaks the instructions. Shorter parts are ordinary phrases.
LEAK_CHARS = 14
_EXAMPLES = "お手本"
_ENDS = tuple("。！？!?.…」』）)♪〜～ー")
_SENTENCE = re.compile(r"[^。！？!?\n]+[。！？!?\n]?")
_MAMAS_WORDS = re.compile(
    r"わ[ねよ。、！？…]|わ$|かしら|のよ|なの|のね|ちょうだい|なさい|あら|まあ|ねえ|よ[。！？ね、…]|ね[。！？、…]|ましょう|ふふ|こと[。！]|もの[。！ね]"
)
_OUT_OF_CHARACTER = re.compile(
    r"アシスタント|言語モデル|ChatGPT|OpenAI|お手伝いできること|ご質問|language model|As an AI"
    r"|^\s*(?:[-*•・●]|#+|\d+[.)．])\s|\*\*|```",
    re.IGNORECASE | re.MULTILINE,
)
_EMOJI = re.compile("[\U0001f000-\U0001faff\u2600-\u27bf\u2b50\u2b55]")


def broken_rule(reply: PersonaReply) -> str | None:
    """Returns the name of the first rule that a reply breaks, or None."""
    return next((name for name, holds in RULES.items() if not holds(reply)), None)


def count_broken(replies: Sequence[PersonaReply]) -> Counter[str]:
    """Returns the number of replies by the first rule that they break."""
    return Counter(name for name in map(broken_rule, replies) if name)


def _is_not_empty(reply: PersonaReply) -> bool:
    return bool(reply.text.strip())


def _has_the_language(reply: PersonaReply) -> bool:
    letters = [character for character in reply.text if unicodedata.category(character).startswith("L")]
    japanese = sum(bool(re.match(r"[\u3040-\u30ff\u3400-\u9fff々]", character)) for character in letters)
    share = japanese / len(letters) if letters else 0
    return share >= 0.7 if reply.language == "ja" else share <= 0.3 and bool(letters)


def _is_whole(reply: PersonaReply) -> bool:
    return reply.finish_reason == "stop" and reply.text.strip().endswith(_ENDS)


def _keeps_the_instructions(reply: PersonaReply) -> bool:
    text = _compact(reply.text)
    parts = (text[start : start + LEAK_CHARS] for start in range(len(text) - LEAK_CHARS + 1))
    return not any(part in _instructions() for part in parts)


def _does_what_the_prompt_needs(reply: PersonaReply) -> bool:
    expected = KINDS[reply.kind]
    if any(word in reply.text for word in expected.none_of):
        return False
    return not expected.any_of or any(word in reply.text for word in expected.any_of)


def _is_short(reply: PersonaReply) -> bool:
    return len(reply.text) <= MAX_CHARS[reply.language] and len(_SENTENCE.findall(reply.text)) <= MAX_SENTENCES


def _is_in_character(reply: PersonaReply) -> bool:
    if _OUT_OF_CHARACTER.search(reply.text) or _EMOJI.search(reply.text):
        return False
    return reply.language == "en" or bool(_MAMAS_WORDS.search(reply.text))


RULES: dict[str, Callable[[PersonaReply], bool]] = {
    "no-empty-reply": _is_not_empty,
    "language": _has_the_language,
    "whole-sentences": _is_whole,
    "no-leak": _keeps_the_instructions,
    "refusals": _does_what_the_prompt_needs,
    "length": _is_short,
    "in-character": _is_in_character,
}
"""Rules by the name of their gate, the most basic rule first."""


@cache
def _instructions() -> str:
    """Returns the persona without its example replies, because Mama may repeat these replies."""
    text = files("snack_worker").joinpath("persona.txt").read_text(encoding="utf-8")
    return _compact(text.partition(f"\n{_EXAMPLES}\n")[0])


def _compact(text: str) -> str:
    return re.sub(r"\s+", "", unicodedata.normalize("NFKC", text))
