"""Search for token ids that decode to a text, where those that encode it do not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

from icl_gap.text import REPLACEMENT_CHARACTER

Ids = tuple[int, ...]


class Speller:
    """The texts that the tokens of a vocabulary can write.

    Args:
        texts: The text of each token that a response may hold.
        encode: Encodes a text without special tokens.
        decode: Decodes ids.
        token_id: Returns the id of a token; None if there is none.
    """

    def __init__(
        self,
        texts: Mapping[int, str],
        *,
        encode: Callable[[str], Ids],
        decode: Callable[[Sequence[int]], str],
        token_id: Callable[[str], int | None],
    ) -> None:
        self._encode = encode
        self._decode = decode
        self._tokens: defaultdict[str, list[int]] = defaultdict(list)
        for token, text in texts.items():
            if REPLACEMENT_CHARACTER not in text:
                for way in {text, text.lstrip(), text.strip()} - {""}:
                    self._tokens[way].append(token)
        self._longest = max(map(len, self._tokens), default=0)
        alphabets = ([f"<0x{byte:02X}>" for byte in range(256)], _byte_symbols())
        found = ([token_id(symbol) for symbol in symbols] for symbols in alphabets)
        self._bytes = [[i for i in ids if i is not None] for ids in found if None not in ids]
        """The tokens of all bytes, by byte fallback and as a byte-level BPE writes them."""

    def spell(self, text: str) -> Ids | None:
        """Return ids that decode to a text, white space around both aside; None if none are found.

        The search goes depth first, the longest token first, and visits each position of the text
        once. What is written so far is always decoded as a whole, as decoders join tokens in
        different ways.
        """
        wanted = text.strip()
        open_ids: list[Ids] = [()]
        seen = {0}
        while open_ids:
            ids = open_ids.pop()
            written = self._decode(ids).lstrip() if ids else ""
            if written.rstrip() == wanted:
                return ids
            found = []
            for more in self._next(wanted[len(written) :]):
                longer = self._decode((*ids, *more)).lstrip()
                fits = wanted.startswith(longer) or longer.rstrip() == wanted
                if fits and len(longer) not in seen:
                    seen.add(len(longer))
                    found.append((*ids, *more))
            open_ids += reversed(found)
        return None

    def _next(self, rest: str) -> Iterator[Ids]:
        """Yield ids that may go on to a text that has not been written yet."""
        word = rest.lstrip()
        for text in dict.fromkeys((rest, word)):
            for length in range(min(self._longest, len(text)), 0, -1):
                for token in self._tokens.get(text[:length], ()):
                    yield (token,)
        starts = (rest[: len(rest) - len(word) + 1], rest[:1], word[:1])
        for start in filter(None, dict.fromkeys(starts)):
            yield self._encode(start)
            for ids in self._bytes:
                yield tuple(ids[byte] for byte in start.encode(errors="surrogatepass"))


def _byte_symbols() -> list[str]:
    """Return the character that stands for each byte in a byte-level BPE.

    Source: `bytes_to_unicode` of GPT-2 (Radford et al. 2019), whose printable bytes of Latin-1
    stand for themselves and the others for the characters from U+0100 on.
    """
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return [chr(byte if byte in printable else next(others)) for byte in range(256)]
