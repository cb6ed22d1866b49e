"""The tokenizer of the nano models: one token a word, saved as `transformers` reads it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from icl_gap.data import load_card
from icl_gap.models.hf.rust_files import save_rust
from icl_gap.nano.vocabulary import ACTIONS, GRAMMAR, WORDS
from icl_gap.prompts import Template

if TYPE_CHECKING:
    from tokenizers import Tokenizer

UNKNOWN, END = "<unk>", "</s>"


def scan_template() -> Template:
    """Return the template of SCAN's card, in which the models are trained."""
    return Template.model_validate(load_card("scan").template)


def build_tokenizer(template: Template) -> Tokenizer:
    """Make the tokenizer of prompts in a benchmark's template.

    A token is a line break, or a word with the space before it. An unknown word is `<unk>`.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

    fixed = f"{template.instruction}\n{template.source_label}\n{template.target_label}"
    split = pre_tokenizers.Split(Regex(r"\n| ?[^\s]+| "), "isolated")
    parts = [part for part, _ in split.pre_tokenize_str(fixed)]
    tokens = dict.fromkeys(
        (UNKNOWN, END, *parts, *(f" {word}" for word in (*GRAMMAR, *WORDS, *ACTIONS)))
    )
    tokenizer = Tokenizer(
        models.WordLevel({token: n for n, token in enumerate(tokens)}, unk_token=UNKNOWN)
    )
    tokenizer.pre_tokenizer = split
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens([UNKNOWN, END])
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """Write a tokenizer as `transformers` would."""
    save_rust(tokenizer, folder, unk_token=UNKNOWN, bos_token=END, eos_token=END, pad_token=END)
