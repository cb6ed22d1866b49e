"""Models with chat templates: templates in the manner of published ones, and a nano model's."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from icl_gap.models import RandomInitSpec, save_random_init
from icl_gap.models.shipped import shipped_folder

CHATML = """\
{%- for message in messages %}
    {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""
"""Qwen's way."""
GEMMA = """\
{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not \
supported') }}{% endif %}{% for message in messages %}{% if (message['role'] == 'user') != \
(loop.index0 % 2 == 0) %}{{ raise_exception('Roles must alternate') }}{% endif %}\
{{ '<start_of_turn>' + ('model' if message['role'] == 'assistant' else message['role']) + '\\n' + \
message['content'] | trim + '<end_of_turn>\\n' }}{% endfor %}\
{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}"""
"""Gemma 2's way: no system message."""
LLAMA_2 = """\
{% for message in messages %}\
{% if message.role == 'user' %}{{ bos_token + '[INST] ' + message.content + ' [/INST]' }}\
{% elif message.role == 'system' %}{{ '<<SYS>>' + message.content + '<</SYS>>' }}\
{% else %}{{ ' ' + message.content + ' ' + eos_token }}{% endif %}{% endfor %}"""
"""Llama 2's way: nothing opens the assistant's message, and a space comes first in it."""
THINKING = CHATML.replace("assistant\\n' }}", "assistant\\n<think>\\n' }}")
"""A template that begins the thoughts itself."""
LAST_TURN = "{% for message in messages[-1:] %}{{ message.content }}{% endfor %}</think>"
"""A template that drops all but the last turn."""
DATED = (
    "{{ strftime_now('%d %b %Y') }}\n{% for message in messages %}{{ message.content }}{% endfor %}"
)
"""Llama 3.2's way: today's date is in the prompt."""

PLAIN = """\
{% for message in messages %}\
{% if message.role == 'system' %}{{ message.content + '\\n\\n' }}\
{% elif message.role == 'assistant' %}{{ ' ' + message.content + '\\n\\n' }}\
{% else %}{{ message.content }}{% endif %}\
{% endfor %}"""
"""The text prompt, so that a nano model may be right in a chat."""


def chatting_nano(
    folder: Path, template: str | None = PLAIN, *, name: str = "nano-codegen-m", **settings: Any
) -> Path:
    """Write a nano model that takes a chat, and ends its message at a newline.

    Args:
        folder: The folder to write.
        template: The chat template; None for none.
        name: The nano model.
        settings: More settings of its tokenizer.
    """
    shutil.copytree(shipped_folder(name) or "", folder)
    if template is not None:
        (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    _change(folder / "generation_config.json", eos_token_id=[1, 14])
    _change(folder / "tokenizer_config.json", **settings)
    return folder


def chatting_tiny(folder: Path, template: str, **options: Any) -> Path:
    """Write a model with random weights that takes a chat; each byte is a token.

    Args:
        folder: The folder to write.
        template: The chat template.
        options: Further fields of its `RandomInitSpec`.
    """
    fields = {"family": "opt", "hidden_size": 16, "layers": 1, "heads": 2, **options}
    save_random_init(RandomInitSpec.model_validate(fields), folder)
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    return folder


def _change(path: Path, **fields: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | fields), encoding="utf-8")
