"""Prompts: from exemplars to what a model sees, and from its response to its answer.

template   the fixed parts of a prompt, and prompts as one text
chat       prompts as messages
answers    the part of a chat response that counts as its answer
"""

from __future__ import annotations

from icl_gap.prompts.answers import DEFAULT_ANSWER, extract_answer
from icl_gap.prompts.chat import chat_messages
from icl_gap.prompts.template import Template, as_shown, gold, gold_with_stop, parts, render

__all__ = [
    "DEFAULT_ANSWER",
    "Template",
    "as_shown",
    "chat_messages",
    "extract_answer",
    "gold",
    "gold_with_stop",
    "parts",
    "render",
]
