"""State of one response while it is decoded: where it ends, and where it leaves the gold target."""

from __future__ import annotations

from collections.abc import Sequence

from icl_gap.models.hf.engine.chat_state import ChatState
from icl_gap.models.hf.tokenizer import TextTokenizer
from icl_gap.models.stopping import can_reach_gold, candidate_texts, check_stop
from icl_gap.schema import Completion, Divergence
from icl_gap.text import REPLACEMENT_CHARACTER, drop_incomplete_character


class ResponseState:
    """The tokens of one response so far, compared with the gold target as they are appended.

    Args:
        tokenizer: The model's tokenizer.
        gold: The gold target, without its stop string.
        gold_tokens: The gold target as the model most likely tokenizes it.
        stop: The stop string; the response ends at its first occurrence.
        max_new_bytes: The most UTF-8 bytes of the response.
        max_new_tokens: The most tokens of the response.
    """

    def __init__(
        self,
        tokenizer: TextTokenizer,
        gold: str,
        gold_tokens: Sequence[int],
        *,
        stop: str,
        max_new_bytes: int,
        max_new_tokens: int,
    ) -> None:
        self.tokens: list[int] = []
        self.completion: Completion | None = None
        """The completion, once the response has ended."""
        self.divergence: Divergence | None = None
        """The position where it left the gold target, once it can no longer equal it."""
        self._tokenizer = tokenizer
        self._gold = gold.strip()
        self._gold_tokens = tuple(gold_tokens)
        self._equals_gold = True  # token for token, so far
        self._stop = stop
        self._max_new_bytes = max_new_bytes
        self._max_new_tokens = max_new_tokens
        self._bytes_bound = 0  # upper bound of the response's bytes, from its tokens' texts

    @property
    def text(self) -> str:
        """The text so far."""
        return self._tokenizer.decode(self.tokens)

    @property
    def candidate_texts(self) -> list[str]:
        """The text so far, and what it is if its end begins the stop string."""
        return candidate_texts(self.text, self._stop)

    @property
    def tokens_left(self) -> int:
        """The most tokens that can still be appended."""
        return self._max_new_tokens - len(self.tokens)

    def append(self, token: int) -> None:
        """Append a token; set `completion` and `divergence` if it ends or diverges here."""
        position, equalled_gold = len(self.tokens), self._equals_gold
        self._equals_gold = equalled_gold and self._gold_tokens[position : position + 1] == (token,)
        if token in self._tokenizer.eos:
            self.completion = Completion(self.text, "eos")
        else:
            self.tokens.append(token)
            if self._may_end(token) or not self.tokens_left:
                self._check_end()
        continues_gold = self._equals_gold and self.completion is None
        if not continues_gold and self.divergence is None and not self._can_reach_gold():
            self.divergence = self._divergence(position, token, equalled_gold=equalled_gold)

    def remaining_gold(self) -> str | None:
        """Return what the gold target has left if the text is a beginning of it, else None."""
        return None if self.divergence is not None else self._remaining_gold(self.text)

    def _remaining_gold(self, text: str) -> str | None:
        written = text.lstrip()
        if not self._gold.startswith(written):
            return None
        rest = self._gold[len(written) :]
        return rest if text else f" {rest}"

    def _may_end(self, token: int) -> bool:
        """Return False if the response surely does not end with this token.

        This saves decoding the whole response at each token. A stop string that ends here ends in
        this token's text, unless the token holds a part of a character or is a space that the
        decoder drops from a lone token. And the response is no longer than its tokens together,
        each with such a space.
        """
        text = self._tokenizer.token_text(token)
        self._bytes_bound += len(text.encode(errors="replace")) + 1
        last = self._stop[-1]
        may_stop = last == " " or last in text or REPLACEMENT_CHARACTER in text
        return may_stop or self._bytes_bound > self._max_new_bytes

    def _check_end(self) -> None:
        """Set `completion` if the response ends here."""
        text = self.text
        self._bytes_bound = len(text.encode(errors="replace"))
        self.completion = check_stop(text, stop=self._stop, max_new_bytes=self._max_new_bytes)
        if self.completion is None and self.tokens_left == 0:
            self.completion = Completion(text, "length")

    def _divergence(self, position: int, token: int, *, equalled_gold: bool) -> Divergence:
        if self._equals_gold:  # correct so far, but cut: the gold target exceeds the limits
            return Divergence(len(self.tokens), None, None, self.text)
        text = self._tokenizer.decode(self.tokens[:position])
        rest = self._remaining_gold(text)
        if equalled_gold:
            expected = self._gold_tokens[position : position + 1]
        else:
            expected = self._tokenizer.encode(rest)[:1] if rest and rest.strip() else ()
        ended = len(self.tokens) == position  # by EOS
        return Divergence(
            position=position,
            expected=self._tokenizer.token_text(expected[0]) if expected else None,
            actual=None if ended else self._tokenizer.token_text(token),
            text=text,
        )

    def _can_reach_gold(self) -> bool:
        """Return True if the response equals the gold target or can still become equal.

        Both are compared as exact match compares them: without white space around them.
        """
        if self.completion is not None:
            return self.completion.text.strip() == self._gold
        candidates = self.candidate_texts
        if candidates[0].endswith(REPLACEMENT_CHARACTER):
            return self._can_reach_gold_after(drop_incomplete_character(candidates[0]))
        return can_reach_gold(candidates, self._gold)

    def _can_reach_gold_after(self, text: str) -> bool:
        """Return True if a text before an incomplete character can still become the gold target.

        The bytes may become any character that is not ASCII, white space around the target too.
        """
        if text.strip() in {"", self._gold}:
            return True
        return not self._gold.isascii() and self._gold.startswith(text.lstrip())


def verify_draft(
    state: ResponseState | ChatState, predicted: Sequence[int], draft: Sequence[int]
) -> int:
    """Append the model's own tokens to a response for as long as they equal a draft.

    The first token that differs from the draft, or follows it, is appended too.

    Args:
        state: The response.
        predicted: The model's next token before the draft, and after each token of it.
        draft: The tokens proposed.

    Returns:
        The number of draft tokens that are accepted.
    """
    for accepted, token in enumerate(predicted):
        state.append(token)
        ended = state.completion is not None or accepted == len(draft)
        if ended or token != draft[accepted]:
            return accepted
    return len(draft)
