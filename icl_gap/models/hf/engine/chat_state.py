"""State of one response to a chat while it is decoded: to its end, with its reasoning set apart."""

from __future__ import annotations

import re
from collections.abc import Sequence

from icl_gap.models.chat_template import ChatTemplate
from icl_gap.models.hf.tokenizer import TextTokenizer
from icl_gap.models.reasoning import split_reasoning
from icl_gap.schema import Completion, FinishReason


class ChatState:
    """The tokens of one response so far.

    It ends with EOS or at its bound of tokens: which part of it is the answer, and whether the
    whole of it is right, is known only then.

    Args:
        tokenizer: The model's tokenizer.
        template: The chat template.
        prompt: The text of the prompt.
        gold: The gold target; empty where the model thinks first.
        max_new_tokens: The most tokens of the response.
    """

    divergence = None
    """None: a chat response may hold the gold target anywhere."""

    def __init__(
        self,
        tokenizer: TextTokenizer,
        template: ChatTemplate,
        prompt: str,
        gold: str,
        *,
        max_new_tokens: int,
    ) -> None:
        self.tokens: list[int] = []
        self.completion: Completion | None = None
        """The response without reasoning, once it has ended."""
        self.reasoning: str | None = None
        """The reasoning before it, once it has ended."""
        self._tokenizer = tokenizer
        self._tags = template.thinking
        self._opened = template.opens_thinking(prompt)
        self._gold = gold.strip() or None
        self._max_new_tokens = max_new_tokens

    @property
    def tokens_left(self) -> int:
        """The most tokens that can still be appended."""
        return self._max_new_tokens - len(self.tokens)

    def append(self, token: int) -> None:
        """Append a token; set `completion` and `reasoning` if the response ends here."""
        if token in self._tokenizer.eos:
            self._end("eos")
            return
        self.tokens.append(token)
        if not self.tokens_left:
            self._end("length")

    def remaining_gold(self) -> str | None:
        """Return what the gold target has left if the text is a beginning of it, else None."""
        if self._gold is None:
            return None
        written = self._tokenizer.decode(self.tokens).lstrip()
        if self._gold.startswith(written):
            return self._gold[len(written) :]
        self._gold = None  # reading all tokens at each pass would take longer and longer
        return None

    def _end(self, finish_reason: FinishReason) -> None:
        text, self.reasoning = read_response_tokens(
            self._tokenizer, self.tokens, self._tags, opened=self._opened
        )
        self.completion = Completion(text, finish_reason)


def read_response_tokens(
    tokenizer: TextTokenizer,
    tokens: Sequence[int],
    tags: tuple[str, str] | None,
    *,
    opened: bool,
) -> tuple[str, str | None]:
    """Read the tokens of a response.

    Tags of special tokens (gpt-oss) are found before these tokens are left out. Reasoning then ends
    at the first special token in it.

    Args:
        tokenizer: The model's tokenizer.
        tokens: The tokens, without EOS.
        tags: The text before and after reasoning; None for a model that does not think.
        opened: True if the prompt ends with the tag before it.

    Returns:
        The text without reasoning, and the reasoning; None where there is none.
    """
    special = tokenizer.special_texts
    if tags is None or not any(each in tag for each in special for tag in tags):
        return split_reasoning(tokenizer.decode(tokens), tags, opened=opened)
    marks = re.compile("|".join(map(re.escape, sorted(special, key=len, reverse=True))))
    whole = tokenizer.decode_with_special(tokens)
    answer, reasoning = split_reasoning(whole, tags, opened=opened)
    thoughts = None if reasoning is None else marks.split(reasoning, maxsplit=1)[0].strip()
    return marks.sub("", answer), thoughts
