"""Texts of others only colour a terminal."""

import pytest

from gaitway.cli.output import harmless


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, wide: ü 走", "plain, wide: ü 走"),
        ("\x1b[31mred\x1b[0m", "\x1b[31mred\x1b[0m"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\x1b[2J\x1b[H", "\\x1b[2J\\x1b[H"),
        ("\x9b2J", "\\x9b2J"),
        ("a\x08b\x00", "a\\x08b\\x00"),
        ("10 %\r20 %\r100 %", "100 %"),
        ("dos\r\nline\tend", "dos\nline\tend"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
    ],
)
def test_what_would_do_more_is_shown(text: str, shown: str) -> None:
    assert harmless(text) == shown
