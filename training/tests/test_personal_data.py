import pytest

from snack_training.personal_data import personal_data_in


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("mama@example.co.jp に送ってね", "e-mail address"),
        ("ＭＡＭＡ＠ｅｘａｍｐｌｅ．ｃｏｍ", "e-mail address"),
        ("https://example.com を見て", "web address"),
        ("090-1234-5678", "phone number"),
        ("０３（1234）5678", "phone number"),
        ("電話は09012345678です", "phone number"),
        ("+81 90 1234 5678", "phone number"),
        ("カードは4111 1111 1111 1111", "card number"),
        ("４１１１１１１１１１１１１１１１", "card number"),
        ("マイナンバーは1234 5678 9018", "My Number"),
        ("〒160の近く", "postal code"),
        ("160-0022に住んでる", "postal code"),
        ("新宿三丁目", "street address"),
        ("新宿区1-2-3", "street address"),
        ("12番3号", "street address"),
    ],
)
def test_personal_data_is_found_in_half_width_and_full_width_characters(text: str, kind: str) -> None:
    assert personal_data_in(text) == kind


@pytest.mark.parametrize(
    "text",
    [
        "三百円しかないけど飲める？",
        "119番か110番に電話して",
        "二十年やってきたのよ",
        "2026年7月10日、20時30分",
        "4111 1111 1111 1112",
        "123456789012",
        "1,000円、100%",
    ],
)
def test_ordinary_numbers_are_not_personal_data(text: str) -> None:
    assert personal_data_in(text) is None
