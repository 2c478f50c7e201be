"""Commands that are spelled for a user do in a shell what they say."""

import os
import shutil
import subprocess

import pytest
from drawing import seeded
from hypothesis import given
from hypothesis import strategies as st

from ablate.commands import command

# Any bytes that can stand in an argument.
WORDS = st.binary(min_size=1, max_size=12).filter(lambda word: 0 not in word)


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@seeded(60)
@given(st.lists(WORDS, min_size=1, max_size=20))
def test_a_command_is_read_by_a_shell_as_it_was_meant(words: list[bytes]) -> None:
    """Each word arrives whole: spaces, quotes, signs, and bytes that are no text."""
    spelled = command("run", *map(os.fsdecode, words)).removeprefix("ablate run ")
    spelled.encode()
    said = subprocess.run(["bash", "-c", f"printf '%s\\0' {spelled}"], capture_output=True)
    assert said.stdout.split(b"\0")[:-1] == words


def test_what_is_not_given_is_left_out() -> None:
    """The default folder and what is None are not spelled."""
    assert command("run", study="smoke", profile=None, results="results") == (
        "ablate run --study smoke"
    )
