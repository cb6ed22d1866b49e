"""Why a text has no normal form, or two of them cannot be compared."""

from __future__ import annotations


class MalformedError(Exception):
    """A text that is no program of its language; its argument says what is wrong, in few words."""


class UndecidedError(Exception):
    """A comparison that was given up because it outgrew its bound."""
