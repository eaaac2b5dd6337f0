"""The text of a prompt entry: canonical, and read back as it was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platformless.protocol.errors import PromptFormatError
from platformless.protocol.prompt import ChatMessage, Prompt

texts = st.text(st.characters(exclude_categories=["Cs"]))
messages = st.lists(st.builds(ChatMessage, st.sampled_from(["system", "user"]), texts), max_size=4)


def test_the_spelling_is_canonical() -> None:
    prompt = Prompt((ChatMessage("user", 'say "ä"'),), continues=True)
    assert prompt.text() == (
        '{"continues":true,"messages":[{"content":"say \\"ä\\"","role":"user"}]}'
    )


@given(messages, st.booleans())
def test_a_prompt_comes_back_as_it_was(said: list[ChatMessage], continues: bool) -> None:
    prompt = Prompt(tuple(said), continues)
    assert Prompt.read(prompt.text()) == prompt


@pytest.mark.parametrize("text", ["", "hello", "{}", '{"continues":1,"messages":[]}', "[" * 10_000])
def test_what_is_no_prompt_is_refused(text: str) -> None:
    with pytest.raises(PromptFormatError):
        Prompt.read(text)
