"""Conversations: flattened prompts are read, ordinary text is never torn, contexts only grow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platformless.engine.errors import HistoryRewritten, TemplateRefused
from platformless.node.sessions.conversation import (
    Chat,
    Conversation,
    Turn,
    next_turn,
)
from platformless.protocol.errors import PromptFormatError
from platformless.protocol.flattened import read_prompt
from platformless.protocol.prompt import ChatMessage, Prompt
from platformless.protocol.transcript import Entry, Kind

SHORT = {"system": "System", "user": "User", "assistant": "Assistant"}
ANSWER_COMES, ANSWER_ENDS = 1, 2


@dataclass
class LetterChat:
    """Role and content letter by letter; a closed answer, and an open one at the end."""

    refusal: Exception | None = None
    continued: list[tuple[ChatMessage, ...]] = field(default_factory=list)

    def opening(self, messages: Sequence[ChatMessage]) -> tuple[int, ...]:
        letters = (ord(letter) for one in messages for letter in f"<{one.role}>{one.content}\n")
        return (*letters, ANSWER_COMES)

    def continuation(self, messages: Sequence[ChatMessage]) -> tuple[int, ...]:
        self.continued.append(tuple(messages))
        if self.refusal:
            raise self.refusal
        last = max(at for at, one in enumerate(messages) if one.role == "assistant")
        return (ANSWER_ENDS, *self.opening(messages[last + 1 :]))


def system(content: str) -> ChatMessage:
    return ChatMessage("system", content)


def user(content: str) -> ChatMessage:
    return ChatMessage("user", content)


def assistant(content: str) -> ChatMessage:
    return ChatMessage("assistant", content)


def lines(*messages: ChatMessage, end: str = "\nAssistant:") -> str:
    return "\n".join(f"{SHORT[one.role]}: {one.content}" for one in messages) + end


def tags(*messages: ChatMessage, between: str = "", end: str = "<|start|>assistant") -> str:
    channels = {"assistant": "<|channel|>final"}
    framed = (
        f"<|start|>{one.role}{channels.get(one.role, '')}<|message|>{one.content}<|end|>"
        for one in messages
    )
    return between.join([*framed, end] if end else framed)


def said(turn: Turn) -> Entry:
    return Entry(Kind.PROMPT, turn.tokens, turn.prompt.text())


def completion(text: str) -> Entry:
    return Entry(Kind.COMPLETION, tuple(map(ord, text)), text)


def talk(chat: Chat, *texts: str) -> tuple[Entry, ...]:
    """A transcript: prompts, as a client sends them, and answers in turn."""
    entries: list[Entry] = []
    for at, text in enumerate(texts):
        if at % 2:
            entries.append(completion(text))
        else:
            entries.append(said(next_turn(chat, Conversation.of(entries), text)))
    return tuple(entries)


TALK = (system("Be brief."), user("Capital of France?"), assistant("Paris."), user("Of Spain?"))
KNOWN = Conversation.of(talk(LetterChat(), "Capital of France?", "Paris."))


# Reading prompts.


@pytest.mark.parametrize(
    "text",
    [
        lines(*TALK),
        lines(*TALK, end=""),
        lines(*TALK, end="\n\nAssistant: \n"),
        "\n  " + lines(*TALK).replace("User:", "Human:").replace("\n", "\r\n"),
        tags(*TALK),
        tags(*TALK, end=""),
        tags(*TALK, between="\n", end="<|start|>assistant<|channel|>final<|message|>") + "\n",
        tags(*TALK, end="<|start|>assistant<|channel|>analysis"),
        tags(*TALK).replace("<|start|>system", "<|start|>developer"),
        tags(*TALK).replace("<|channel|>final", ""),
        tags(*TALK).replace(
            "<|start|>assistant<|channel|>final",
            "<|start|>assistant<|channel|>analysis<|message|>Easy.<|end|>"
            "<|start|>assistant<|channel|>final",
            1,
        ),
    ],
)
def test_a_flattened_prompt_is_its_messages(text: str) -> None:
    assert read_prompt(text) == TALK


@pytest.mark.parametrize(
    "text", [lines(user("hello")), tags(user("hello")), tags(user("hello"), end="")]
)
def test_a_first_question_may_be_flattened_too(text: str) -> None:
    assert read_prompt(text) == (user("hello"),)


def test_a_message_has_several_lines() -> None:
    messages = (user("def f():\n\n    pass"), assistant("A\n\nB"), user("Why User: here?"))
    assert read_prompt(lines(*messages)) == read_prompt(tags(*messages)) == messages


def test_a_line_for_the_system_counts_only_at_the_beginning() -> None:
    messages = (system("Be brief."), user("Mine:\nSystem: Linux"), assistant("So?"), user("Slow."))
    assert read_prompt(lines(*messages)) == messages


def test_a_cancelled_answer_stays_empty_in_the_middle() -> None:
    messages = (user("One?"), assistant(""), user("Two?"))
    assert read_prompt(lines(*messages)) == read_prompt(tags(*messages)) == messages


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  hello \n",
        "User: hello",
        "Assistant:",
        "System: Ubuntu\nUser: root\n\nWhy does sudo fail?",
        "The log says:\nUser: bob\nAssistant: hi\nUser: x",
        "user: bob\nassistant: alice\nuser: carol",
        "User:bob\nAssistant:alice\nUser:carol",
        "Users: 4\nAssistants: 3\nUser: x",
        lines(*TALK, end="\nAssistant: Madrid."),
        tags(*TALK, assistant("Madrid."), end=""),
        tags(*TALK, end="<|start|>assistant<|channel|>final<|message|>Madr"),
        "Explain " + tags(*TALK),
        tags(*TALK) + " and go on",
        tags(*TALK).replace("<|end|>", ""),
        "<|start|>",
        "<|start|>assistant",
    ],
)
def test_other_text_is_one_message_unchanged(text: str) -> None:
    assert read_prompt(text) == (user(text),)


LINE_PIECES = ["User: ", "Human:", "System:", "Assistant: ", "\n", " ", "é", "a: b", "User"]
TAG_PIECES = ["<|start|>user<|message|>", "<|end|>", "<|start|>assistant", "<|channel|>final"]
pieces = st.lists(st.sampled_from(LINE_PIECES + TAG_PIECES), max_size=12).map("".join)


@given(st.text() | pieces.map(lambda text: "So: " + text))
def test_text_that_begins_otherwise_is_never_torn(text: str) -> None:
    assert read_prompt(text) == (user(text),)


@given(pieces.map(lambda text: "User: " + text.replace("Assistant", "Assistent")))
def test_lines_without_an_assistant_are_never_torn(text: str) -> None:
    assert read_prompt(text) == (user(text),)


@given(pieces)
def test_the_last_word_is_always_the_users(text: str) -> None:
    messages = read_prompt(text)
    assert messages[-1].role == "user"
    assert messages == (user(text),) or all(one.content.strip() == one.content for one in messages)


content = st.text("ab:é漢 \n", min_size=1).map(str.strip).filter(bool)
exchanges = st.lists(st.tuples(content, content), min_size=1, max_size=4)


@given(st.none() | content, exchanges, content)
def test_what_is_flattened_is_read_back(
    rules: str | None, past: list[tuple[str, str]], question: str
) -> None:
    messages = [] if rules is None else [system(rules)]
    for asked, answer in past:
        messages += [user(asked), assistant(answer)]
    messages.append(user(question))
    assert read_prompt(lines(*messages)) == read_prompt(tags(*messages)) == tuple(messages)


# Reading transcripts.


def test_an_empty_transcript_is_an_empty_conversation() -> None:
    assert Conversation.of([]) == Conversation()
    assert not Conversation().answered


def test_parts_of_an_answer_are_one_message() -> None:
    entries = [
        Entry(Kind.PROMPT, (1, 2), Prompt((user("Q"),)).text()),
        Entry(Kind.COMPLETION, (3,), "Once "),
        Entry(Kind.COMPLETION, (4, 5), "upon"),
        Entry(Kind.PROMPT, (6,), Prompt((user("R"),), continues=True).text()),
        Entry(Kind.COMPLETION, (7,), "S"),
        Entry(Kind.END),
    ]
    messages = (user("Q"), assistant("Once upon"), user("R"), assistant("S"))
    assert Conversation.of(entries) == Conversation(messages, (1, 2, 3, 4, 5, 6, 7))


def test_a_prompt_that_does_not_continue_starts_a_new_context() -> None:
    entries = [
        Entry(Kind.PROMPT, (1,), Prompt((user("Q"),)).text()),
        Entry(Kind.COMPLETION, (2,), "A"),
        Entry(Kind.PROMPT, (3,), Prompt((user("P"), assistant("B"), user("R"))).text()),
        Entry(Kind.COMPLETION, (4,), "C"),
    ]
    messages = (user("P"), assistant("B"), user("R"), assistant("C"))
    assert Conversation.of(entries) == Conversation(messages, (3, 4))


def test_a_prompt_entry_must_be_readable() -> None:
    with pytest.raises(PromptFormatError):
        Conversation.of([Entry(Kind.PROMPT, (1,), "Hello")])


# Turns.


def test_the_first_message_opens() -> None:
    turn = next_turn(LetterChat(), Conversation(), "Hello")
    assert turn.prompt == Prompt((user("Hello"),))
    assert turn.tokens == turn.context == LetterChat().opening([user("Hello")])


def test_a_single_message_continues_after_an_answer() -> None:
    chat = LetterChat()
    turn = next_turn(chat, KNOWN, " Of Spain? ")
    assert turn.prompt == Prompt((user(" Of Spain? "),), continues=True)
    assert chat.continued == [(*KNOWN.messages, user(" Of Spain? "))]
    assert turn.context == KNOWN.tokens + turn.tokens
    assert turn.tokens == (ANSWER_ENDS, *chat.opening([user(" Of Spain? ")]))


@pytest.mark.parametrize(
    "text",
    [
        lines(*TALK),
        lines(*TALK[1:]),
        lines(*TALK[2:]),
        tags(*TALK, between="\n", end=""),
        tags(user(" Capital of France?\n"), *TALK[2:]),
    ],
)
def test_a_flattened_prompt_continues_what_it_tells(text: str) -> None:
    """System messages and whitespace aside, and whether or not earlier turns are still in it."""
    turn = next_turn(LetterChat(), KNOWN, text)
    assert turn.prompt == Prompt((user("Of Spain?"),), continues=True)
    assert turn.context == KNOWN.tokens + turn.tokens


def test_all_that_follows_the_last_answer_is_new() -> None:
    turn = next_turn(LetterChat(), KNOWN, lines(*TALK, user("Or Italy?")))
    assert turn.prompt == Prompt((user("Of Spain?"), user("Or Italy?")), continues=True)


@pytest.mark.parametrize(
    "messages",
    [
        (user("Capital of France?"), assistant("Lyon."), user("Of Spain?")),
        (user("Capital of Gaul?"), assistant("Paris."), user("Of Spain?")),
        (user("Hi"), assistant("Hi."), *TALK[1:]),
        (*TALK, assistant("Madrid."), user("Of Italy?")),
        (user("Of Spain?"),),
    ],
)
def test_a_flattened_prompt_that_tells_otherwise_is_a_new_context(
    messages: tuple[ChatMessage, ...],
) -> None:
    chat = LetterChat()
    turn = next_turn(chat, KNOWN, lines(*messages))
    assert turn.prompt == Prompt(messages)
    assert turn.tokens == turn.context == chat.opening(messages)
    assert chat.continued == []


def test_a_question_without_an_answer_is_left_out() -> None:
    chat = LetterChat()
    entries = talk(chat, "Capital of France?", "Paris.", "Of Spayn?")
    turn = next_turn(chat, Conversation.of(entries), "Of Spain?")
    assert turn.prompt == Prompt(TALK[1:])
    assert turn.tokens == turn.context == chat.opening(TALK[1:])


def test_the_system_message_outlives_a_cancelled_question() -> None:
    entries = talk(LetterChat(), lines(*TALK[:2]))
    turn = next_turn(LetterChat(), Conversation.of(entries), "Of Spain?")
    assert turn.prompt == Prompt((TALK[0], user("Of Spain?")))


def test_a_flattened_prompt_after_a_cancelled_question_is_taken_as_it_is() -> None:
    entries = talk(LetterChat(), "Capital of France?", "Paris.", "Of Spayn?")
    assert next_turn(LetterChat(), Conversation.of(entries), lines(*TALK)).prompt == Prompt(TALK)


@pytest.mark.parametrize("refusal", [HistoryRewritten("it changes"), TemplateRefused("no")])
@pytest.mark.parametrize("text", ["Of Spain?", lines(*TALK)])
def test_a_template_that_cannot_continue_is_given_everything_anew(
    refusal: Exception, text: str
) -> None:
    chat = LetterChat(refusal)
    turn = next_turn(chat, KNOWN, text)
    assert len(chat.continued) == 1
    assert turn.prompt == Prompt(TALK[1:])
    assert turn.tokens == turn.context == chat.opening(TALK[1:])


@given(st.lists(st.tuples(content, content, st.sampled_from(["single", "lines", "tags"]))))
def test_what_the_model_sees_is_in_the_transcript_and_only_grows(
    turns: list[tuple[str, str, str]],
) -> None:
    """However the client sends its turns, as long as it tells them truly."""
    chat = LetterChat()
    entries: list[Entry] = []
    history: list[ChatMessage] = []
    for question, answer, form in turns:
        before = Conversation.of(entries)
        history.append(user(question))
        text = {"single": question, "lines": lines(*history), "tags": tags(*history)}[form]
        turn = next_turn(chat, before, text)
        entries.append(said(turn))
        assert turn.context == Conversation.of(entries).tokens
        assert turn.context[: len(before.tokens)] == before.tokens
        assert turn.prompt == Prompt((user(question),), continues=bool(before.messages))
        entries.append(completion(answer))
        history.append(assistant(answer))
        assert Conversation.of(entries).messages == tuple(history)


# With a real template.


@pytest.fixture(scope="module")
def real() -> Iterator[Chat]:
    pytest.importorskip("llama_cpp")
    from platformless.engine.chat import ChatFormat
    from platformless.engine.model import Model
    from platformless.engine.settings import EngineSettings

    model = Model.load(EngineSettings(threads=1))
    yield ChatFormat(model.vocabulary, model.chat_template)
    model.close()


def test_smollm_continues_a_flattened_conversation(real: Chat) -> None:
    opened = next_turn(real, Conversation(), lines(*TALK[:2]))
    entries = (said(opened), completion("Paris."))
    turn = next_turn(real, Conversation.of(entries), lines(*TALK))
    assert turn.prompt == Prompt((user("Of Spain?"),), continues=True)
    assert turn.context == opened.context + entries[1].tokens + turn.tokens
    assert real.opening(TALK)[-len(turn.tokens) :] == turn.tokens


def test_smollm_opens_a_conversation_that_it_has_not_seen(real: Chat) -> None:
    turn = next_turn(real, Conversation(), tags(*TALK))
    assert turn.context == turn.tokens == real.opening(TALK)
