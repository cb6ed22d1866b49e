"""Prompts as messages of a chat."""

from __future__ import annotations

from icl_gap.prompts.template import Template, parts
from icl_gap.schema import ChatLayout, Exemplars, Message


def chat_messages(
    template: Template, exemplars: Exemplars, layout: ChatLayout
) -> tuple[Message, ...]:
    """Write the prompt of one request as messages.

    The system message is the template's instruction, or what the layout has in its place; there is
    none if that is empty. With `turns`, each exemplar is a message of the user, its source between
    the labels, and one of the assistant, its target. With `text`, all exemplars and the query are
    one message. The last message, of the user, ends with the label of the query's target.

    Both hold the labels of the text prompt, so that a model sees the same words in all forms. White
    space around a message is left out, as chat templates do.

    Args:
        template: The fixed parts.
        exemplars: The query and its exemplars, in prompt order.
        layout: The form of the messages.
    """
    system = template.instruction if layout.system is None else layout.system
    messages = [Message("system", system.strip())] if system.strip() else []
    bare = template.model_copy(update={"instruction": ""})
    if layout.exemplars == "text":
        text = "".join(parts(bare, exemplars)).strip()
        return (*messages, Message("user", text))
    label = template.source_label if template.exemplar_sources else template.target_label
    for example in exemplars.examples:
        shown = f"{label} {example.source}\n{template.target_label}"
        messages.append(Message("user", shown if template.exemplar_sources else label))
        messages.append(Message("assistant", example.target))
    query = f"{template.source_label} {exemplars.query.source}\n{template.target_label}"
    return (*messages, Message("user", query))
