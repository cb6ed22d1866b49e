"""One answer on its way: where it ends, and where it leaves the gold answer."""

from __future__ import annotations

from collections.abc import Sequence

from icl_gap.models.ending import BROKEN, ended, may_spell, readings, without_half_character
from icl_gap.models.hf.tokenizer import TextTokenizer
from icl_gap.schema import Completion, Divergence


class Reply:
    """The tokens that a model has answered so far.

    Args:
        tokenizer: The model's.
        gold: The text that a right answer begins with, up to its stop.
        draft: The same as tokens, cut as the model would most likely cut it.
        stop: The string at whose first occurrence an answer ends.
        max_new_bytes: The most UTF-8 bytes of an answer.
        room: The most tokens that it may take.
    """

    def __init__(
        self,
        tokenizer: TextTokenizer,
        gold: str,
        draft: Sequence[int],
        *,
        stop: str,
        max_new_bytes: int,
        room: int,
    ) -> None:
        self.tokens: list[int] = []
        self.completion: Completion | None = None
        """The answer, once it has ended."""
        self.divergence: Divergence | None = None
        """Where it left the gold answer, once it can no longer become it."""
        self._tokenizer = tokenizer
        self._gold = gold.strip()
        self._draft = draft
        self._on_draft = True  # so far it is the draft, token for token
        self._stop = stop
        self._max_new_bytes = max_new_bytes
        self._room = room
        self._unread = 0  # no fewer bytes than the answer has, by the lengths of its tokens alone

    @property
    def text(self) -> str:
        """What it says so far."""
        return self._tokenizer.decode(self.tokens)

    @property
    def readings(self) -> list[str]:
        """What it says so far, and what it says if its end is the beginning of the stop."""
        return readings(self.text, self._stop)

    @property
    def room(self) -> int:
        """How many more tokens it may take."""
        return self._room - len(self.tokens)

    def take(self, token: int) -> None:
        """Add a token, and note whether the answer ends or leaves the gold answer with it."""
        before, was_on_draft = len(self.tokens), self._on_draft
        self._on_draft = was_on_draft and self._draft[before : before + 1] == [token]
        if token in self._tokenizer.eos:
            self.completion = Completion(self.text, "eos")
        else:
            self.tokens.append(token)
            if not (self._goes_on(token) and self.room):
                self._end()
        goes_on_right = self._on_draft and self.completion is None
        if not goes_on_right and self.divergence is None and not self._spells():
            self.divergence = self._diverged(before, token, was_on_draft=was_on_draft)

    def rest_of_gold(self) -> str | None:
        """What the gold answer has left, where this answer is a beginning of it; else None."""
        return None if self.divergence is not None else self._rest(self.text)

    def _rest(self, text: str) -> str | None:
        begun = text.lstrip()
        if not self._gold.startswith(begun):
            return None
        rest = self._gold[len(begun) :]
        return rest if text else f" {rest}"

    def _end(self) -> None:
        """Note the end of the answer, if this is it."""
        text = self.text
        self._unread = len(text.encode(errors="replace"))
        self.completion = ended(text, stop=self._stop, max_new_bytes=self._max_new_bytes)
        if self.completion is None and self.room == 0:
            self.completion = Completion(text, "length")

    def _diverged(self, before: int, token: int, *, was_on_draft: bool) -> Divergence:
        if self._on_draft:  # right so far, and cut: the gold answer is longer than any may be
            return Divergence(len(self.tokens), None, None, self.text)
        text = self._tokenizer.decode(self.tokens[:before])
        rest = self._rest(text)
        if was_on_draft:
            expected = self._draft[before : before + 1]
        else:
            expected = self._tokenizer.encode(rest)[:1] if rest and rest.strip() else ()
        return Divergence(
            position=before,
            expected=self._tokenizer.token_text(expected[0]) if expected else None,
            actual=None if len(self.tokens) == before else self._tokenizer.token_text(token),
            text=text,
        )

    def _goes_on(self, token: int) -> bool:
        """Whether the answer cannot end with this token, told without decoding all of it.

        A stop that ends here ends in this token's text, unless its bytes are a part of a character
        or it is a space that the decoder drops from a token by itself; and the answer is no longer
        than its tokens, each with such a space.
        """
        text = self._tokenizer.token_text(token)
        self._unread += len(text.encode(errors="replace")) + 1
        whole = BROKEN not in text
        last = self._stop[-1]
        cannot_stop = last != " " and last not in text
        return whole and cannot_stop and self._unread <= self._max_new_bytes

    def _spells(self) -> bool:
        """Whether the answer is the gold answer, or can still become it.

        Strings are compared as exact match compares them, without white space around them.
        """
        if self.completion is not None:
            return self.completion.text.strip() == self._gold
        found = self.readings
        if found[0].endswith(BROKEN):
            return self._may_spell(without_half_character(found[0]))
        return may_spell(found, self._gold)

    def _may_spell(self, text: str) -> bool:
        """As `_spells`, of a text that bytes follow which are not yet a character.

        They may become a letter, but none of ASCII, or white space around the answer.
        """
        if text.strip() in {"", self._gold}:
            return True
        return not self._gold.isascii() and self._gold.startswith(text.lstrip())


def follow(reply: Reply, best: Sequence[int], draft: Sequence[int]) -> int:
    """Take what a model says after each token of a draft, as long as it says the draft.

    Args:
        reply: The answer; takes the tokens.
        best: The model's next token before the draft, and after each token of it.
        draft: What was guessed.

    Returns:
        How many tokens of the draft hold.
    """
    for held, token in enumerate(best):
        reply.take(token)
        if reply.completion is not None or held == len(draft) or token != draft[held]:
            return held
    return len(draft)
