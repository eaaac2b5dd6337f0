"""Errors of the engine.

EngineError                     ENG-000
├── ModelError                  ENG-100
│   ├── ModelNotFound           ENG-101   no such file
│   ├── ModelUnreadable         ENG-102   the file cannot be read, or llama.cpp refuses it
│   ├── NotGguf                 ENG-103   the file is no GGUF file, or its header is damaged
│   ├── ContextNotCreated       ENG-104   llama.cpp could not set up its buffers
│   ├── NoChatTemplate          ENG-105   the file carries no usable chat template
│   └── EngineNotInstalled      ENG-106   the `engine` extra is missing
├── RequestError                ENG-200   this request cannot be served; others can
│   ├── TokenLimitExceeded      ENG-201   the prompt does not fit the context
│   ├── SamplerNotUsable        ENG-202   a sampling parameter has no meaning
│   ├── PromptNotUsable         ENG-203   no tokens, or tokens outside the vocabulary
│   ├── TemplateRefused         ENG-204   the chat template rejects these messages
│   ├── HistoryRewritten        ENG-205   the template changes what was said before
│   └── QueueFull               ENG-206   too many requests wait already
├── EngineStopped               ENG-300
│   ├── EngineClosed            ENG-301   the engine was closed
│   └── DecodingFailed          ENG-302   llama.cpp failed in the middle of a generation
├── ReplayRefused               ENG-400   a transcript that this model cannot replay
│   ├── ContextTooLong          ENG-401   it has more context than the model
│   ├── ForeignTokens           ENG-402   it has tokens that the model has not
│   └── NothingBefore           ENG-403   an answer to nothing, or nothing was answered
└── trace.errors                ENG-500…  a trace that cannot be made, or not repeated
"""

from __future__ import annotations

from ..errors import PlatformlessError


class EngineError(PlatformlessError):
    """Something that has to do with running the model failed."""

    code = "ENG-000"


class ModelError(EngineError):
    """The model cannot be used."""

    code = "ENG-100"


class ModelNotFound(ModelError):
    code = "ENG-101"
    advice = "check the path of the model file"


class ModelUnreadable(ModelError):
    code = "ENG-102"
    advice = "check permissions and that the download is complete"


class NotGguf(ModelError):
    code = "ENG-103"
    advice = "the engine reads GGUF files, version 2 or 3"


class ContextNotCreated(ModelError):
    code = "ENG-104"
    advice = "use fewer sequences, a shorter context or fewer GPU layers"


class NoChatTemplate(ModelError):
    code = "ENG-105"
    advice = "use a chat model, or give a template"


class EngineNotInstalled(ModelError):
    code = "ENG-106"
    advice = "install the `engine` extra"


class RequestError(EngineError):
    """A request that cannot be served."""

    code = "ENG-200"
    outcome = "invalid"


class TokenLimitExceeded(RequestError):
    """`prompt_tokens` and `context_size` are both in tokens."""

    code = "ENG-201"
    advice = "shorten the conversation"

    def __init__(self, prompt_tokens: int, context_size: int) -> None:
        super().__init__(
            "the prompt does not fit the context",
            expected=f"fewer than {context_size} tokens",
            got=f"{prompt_tokens} tokens",
        )
        self.prompt_tokens = prompt_tokens
        self.context_size = context_size


class SamplerNotUsable(RequestError):
    code = "ENG-202"


class PromptNotUsable(RequestError):
    code = "ENG-203"


class TemplateRefused(RequestError):
    code = "ENG-204"


class HistoryRewritten(RequestError):
    code = "ENG-205"
    advice = "start the conversation's tokens anew from all its messages"


class QueueFull(RequestError):
    code = "ENG-206"
    advice = "try again later"


class EngineStopped(EngineError):
    """A generation ended because the engine could not go on."""

    code = "ENG-300"


class EngineClosed(EngineStopped):
    code = "ENG-301"


class DecodingFailed(EngineStopped):
    code = "ENG-302"


class ReplayRefused(EngineError):
    """A transcript that cannot be replayed with this model."""

    code = "ENG-400"
    outcome = "invalid"


class ContextTooLong(ReplayRefused):
    code = "ENG-401"
    advice = "no host can have run this model with so much context: look at the transcript"


class ForeignTokens(ReplayRefused):
    code = "ENG-402"
    advice = "the transcript is of a model with another vocabulary, or damaged"


class NothingBefore(ReplayRefused):
    code = "ENG-403"
