"""The words of the nano models: SCAN's, and the nonce words beside them.

A word-level vocabulary keeps prompts short. A token holds the space before its word, so that the
text of a prompt is exactly the text of its tokens, one after the other.
"""

from __future__ import annotations

from icl_gap.data.loaders.scan import DIRECTIONS, PRIMITIVES

SLOT_WORDS = (*PRIMITIVES, *DIRECTIONS)
"""SCAN's own verbs and directions: ordinary members of `WORDS`."""

SLOT_ACTIONS = (
    *(primitive.upper() for primitive in PRIMITIVES),
    *(f"TURN_{direction.upper()}" for direction in DIRECTIONS),
)
"""The actions of SCAN's own verbs and directions, in the order of `SLOT_WORDS`."""

# fmt: off
_NONCE_WORDS = (
    "blick", "bonk", "brimp", "clat", "dax", "dop", "drell", "dunk", "fep", "flim", "frob",
    "fusp", "gaz", "gleb", "glon", "gorp", "grut", "hask", "hib", "jev", "jund", "kiki", "klob",
    "krim", "lorp", "lug", "mab", "mip", "morv", "nax", "nef", "nilt", "nurk", "plim", "pov",
    "quab", "quim", "rast", "resk", "rill", "sarg", "skel", "snib", "spoz", "stez", "tam", "tiv",
    "trop", "tufa", "vask", "velt", "vop", "wif", "wug", "yab", "yim", "zant", "zup",
)
# fmt: on
_NONCE_ACTIONS = ("BEND", "CLAP", "DUCK", "GRIN", "HUM", "LIFT", "NOD", "PUSH", "SPIN", "WAVE")

WORDS = (*SLOT_WORDS, *_NONCE_WORDS)
"""The 64 words from which a lexicon draws its verbs and directions."""

ACTIONS = (*SLOT_ACTIONS, *_NONCE_ACTIONS)
"""The 16 actions from which a lexicon draws their meanings."""

GRAMMAR = ("turn", "opposite", "around", "twice", "thrice", "and", "after")
"""The words that mean the same in every lexicon."""
