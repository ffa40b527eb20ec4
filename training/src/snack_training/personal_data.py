"""
Patterns of personal data in Japanese and English text. The patterns find data with a fixed format, such as a phone
number. They do not find names.
"""

import re
import unicodedata
from collections.abc import Callable

# Digits with optional separators between them. The patterns below are applied to text in Unicode's form NFKC, so
# full-width digits and hyphens are covered.
_SEPARATOR = r"[-‐‑–—−ー. ()]?"
# The digits must not be a part of a longer number.
_BEGIN, _END = r"(?<!\d)(?<!\d[- .])", rf"(?!{_SEPARATOR}\d)"


def _is_card(match: re.Match[str]) -> bool:
    """Whether the digits have a valid Luhn check digit, as every payment card number has."""
    digits = [int(character) for character in match.group() if character.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _is_my_number(match: re.Match[str]) -> bool:
    """
    Whether the final digit of 12 digits is the check digit of a Japanese My Number (Ordinance 85 of 2014, article 5).
    """
    *digits, check = [int(character) for character in match.group() if character.isdigit()]
    weights = [*range(2, 8), *range(2, 7)]
    remainder = sum(weight * digit for weight, digit in zip(weights, reversed(digits), strict=True)) % 11
    return check == (0 if remainder <= 1 else 11 - remainder)


def _always(_match: re.Match[str]) -> bool:
    return True


_PHONE = rf"(?<!\d)(?:\+81{_SEPARATOR}|0)\d{{1,4}}{_SEPARATOR}\d{{1,4}}{_SEPARATOR}\d{{3,4}}(?!\d)"
_ADDRESS = r"[\d一二三四五六七八九十]+(?:丁目|番地)|\d+番\d+号|(?<!\d)\d{1,4}-\d{1,4}-\d{1,4}(?!\d)"

_PATTERNS: tuple[tuple[str, str, Callable[[re.Match[str]], bool]], ...] = (
    ("e-mail address", r"[\w.+-]+@[\w-]+(\.[\w-]+)+", _always),
    ("web address", r"https?://|\bwww\.", _always),
    ("card number", rf"{_BEGIN}\d(?:{_SEPARATOR}\d){{12,18}}{_END}", _is_card),
    ("My Number", rf"{_BEGIN}\d(?:{_SEPARATOR}\d){{11}}{_END}", _is_my_number),
    ("phone number", _PHONE, _always),
    ("postal code", r"〒|(?<!\d)\d{3}[-‐‑–—−ー]\d{4}(?!\d)", _always),
    ("street address", _ADDRESS, _always),
)


def personal_data_in(text: str) -> str | None:
    """Returns the kind of the first personal data in a text, such as `phone number`, or None."""
    normal = unicodedata.normalize("NFKC", text)
    for kind, pattern, confirm in _PATTERNS:
        if any(confirm(match) for match in re.finditer(pattern, normal)):
            return kind
    return None
