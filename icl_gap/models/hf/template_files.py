"""Chat templates of models: where their files hold them, and what of the model they need."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from icl_gap.errors import ModelError
from icl_gap.models.chat_template import ChatTemplate, make_chat_template
from icl_gap.models.hf.folder import read_optional_json
from icl_gap.models.hf.rust_files import token_content
from icl_gap.models.hf.tokenizer import TextTokenizer
from icl_gap.models.spec import TransformersSpec
from icl_gap.models.zoo import find_zoo_model
from icl_gap.schema import Message
from icl_gap.specs import user_path

_FILE = "chat_template.jinja"
_SETTINGS = ("special_tokens_map.json", "tokenizer_config.json")
_ROLE = re.compile(r"\w+_token")
_TAGS = ("<think>", "</think>")
"""Tags around thoughts, where a template names them and the zoo does not know the model."""


def read_chat_template(
    spec: TransformersSpec, folder: Path, own: str | None = None
) -> ChatTemplate | None:
    """Read the chat template of a model.

    Args:
        spec: The model.
        folder: The folder of its tokenizer.
        own: The model's own template, where it is not in a file of that folder.

    Returns:
        The template; None if the entry asks for none.

    Raises:
        ModelError: There is no such template, or it cannot write prompts as the entry has them.
    """
    layout = spec.chat_layout
    if layout is None:
        return None
    settings: dict[str, Any] = {}
    for name in _SETTINGS:
        settings |= read_optional_json(folder / name)
    if spec.chat_template == "auto":
        text = own or _own_template(folder, settings, name=spec.gguf or str(folder))
    else:
        text = _read_file(spec.chat_template)
    found = make_chat_template(
        text,
        layout=layout,
        special_tokens=_special_tokens(settings),
        variables=spec.chat_template_kwargs,
        thinking=_thinking(spec, text),
    )
    tokens = spec.most_thinking_tokens(thinks=found.thinks_first([Message("user", "A question")]))
    return replace(found, thinking_tokens=tokens)


def chat_key(spec: TransformersSpec, template: ChatTemplate | None) -> dict[str, Any]:
    """Return what a chat adds to a model's identity, as JSON values; nothing where there is none.

    Args:
        spec: The model.
        template: Its chat template.
    """
    if template is None:
        return {}
    return {
        "chat": {
            "template": template.sha256,
            "special_tokens": dict(template.special_tokens),
            "variables": dict(template.variables),
            "thinking": None if template.thinking is None else list(template.thinking),
            "thinking_tokens": template.thinking_tokens,
            **spec.template_key(),
        }
    }


def digest_of_chat(key: Mapping[str, Any]) -> dict[str, str]:
    """Return what a chat adds to the digest of a tokenizer: it makes other prompts.

    Args:
        key: The result of `chat_key`.
    """
    return {name: json.dumps(value, sort_keys=True) for name, value in key.items()}


def end_of_turn(template: ChatTemplate, tokenizer: TextTokenizer) -> frozenset[int]:
    """Return the special token with which a template ends a message of the assistant.

    It ends a response too, and not every model's files name it as EOS. Models whose tags of
    reasoning are special tokens (gpt-oss) end parts of a response with it, so there is none.

    Args:
        template: The template.
        tokenizer: The model's tokenizer.

    Returns:
        The id of the token; none where it is not a special one.
    """
    special = tokenizer.special_texts
    if any(each in tag for each in special for tag in template.thinking or ()):
        return frozenset()
    after = template.after_answer().lstrip()
    found = max((each for each in special if after.startswith(each)), key=len, default="")
    return frozenset(tokenizer.encode(found)[:1])


def _own_template(folder: Path, settings: Mapping[str, Any], *, name: str) -> str:
    """Return the template that belongs to a tokenizer.

    Raises:
        ModelError: It has none.
    """
    path = folder / _FILE
    if path.is_file():
        return _read_file(str(path))
    found = settings.get("chat_template")
    if isinstance(found, list):  # several by name, of which one is the default
        found = next((each["template"] for each in found if each.get("name") == "default"), None)
    if isinstance(found, str) and found.strip():
        return found
    raise ModelError(
        "the model's tokenizer has no chat template: a base model, perhaps",
        value=name,
        allowed="`chat_template: none`, which continues a text, or the file of a template in Jinja",
    ).at(key="chat_template")


def _read_file(name: str) -> str:
    path = user_path(name)
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ModelError(
            f"cannot read the chat template: {reason}",
            value=str(path),
            allowed="auto, none, or the file of a template in Jinja",
        ).at(key="chat_template") from error


def _special_tokens(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the special tokens of a tokenizer by their roles, as templates know them."""
    found = {}
    for name, value in sorted(settings.items()):
        token = token_content(value)
        if _ROLE.fullmatch(name) and token is not None:
            found[name] = token
    return found


def _thinking(spec: TransformersSpec, template: str) -> tuple[str, str] | None:
    """Return the tags around the thoughts of a model; None if it does not think."""
    if spec.thinking == "none":
        return None
    if spec.thinking != "auto":
        return spec.thinking
    known = find_zoo_model(spec.model)
    if known is not None:
        return known.thinking
    return _TAGS if _TAGS[1] in template else None
