"""The fixed parts of prompts, and prompts as one text."""

from __future__ import annotations

from dataclasses import replace

from pydantic import Field

from icl_gap.schema import Example, Exemplars, Prompt
from icl_gap.specs import Spec


class Template(Spec):
    """The fixed parts of a prompt, as data.

    The layout follows Hosseini et al. 2022: an instruction, one block per exemplar, and a last
    block for the query whose target is left empty.
    """

    instruction: str = ""
    """The first block; left out where it is empty."""
    source_label: str
    target_label: str
    exemplar_sources: bool = True
    """Show the sources of exemplars. Without them exemplars tell the form of targets alone."""
    separator: str = Field(default="\n\n", min_length=1)
    """Between blocks."""
    stop: str = Field(default="\n", min_length=1)
    """The answer ends where this string first appears."""


def render(template: Template, exemplars: Exemplars) -> Prompt:
    """Write the prompt of one request.

    No white space follows the last label: byte-level tokenizers attach a space to the word after
    it, so a trailing one would ask for a token that the model has never seen there.
    """
    query = exemplars.query
    text = "".join(parts(template, exemplars))
    return Prompt(query.id, query.source, as_shown(template, exemplars.examples), text)


def as_shown(template: Template, exemplars: tuple[Example, ...]) -> tuple[Example, ...]:
    """Return exemplars as a prompt shows them: without a source that stays hidden."""
    if template.exemplar_sources:
        return exemplars
    return tuple(replace(example, source="") for example in exemplars)


def parts(template: Template, exemplars: Exemplars) -> list[str]:
    """Return the text of a prompt, cut where prompts with the same exemplars have common parts.

    Returns:
        The text before the first source; each exemplar, up to the next source; the query. All but
        the first begin with a space.
    """
    opening = template.instruction and template.instruction + template.separator
    label = template.source_label if template.exemplar_sources else template.target_label
    blocks = [
        f" {example.source}\n{template.target_label} {example.target}"
        if template.exemplar_sources
        else f" {example.target}"
        for example in exemplars.examples
    ]
    query = f" {exemplars.query.source}\n{template.target_label}"
    starts = [opening, *(block + template.separator for block in blocks)]
    labels = [*[label] * len(blocks), template.source_label]
    return [start + label for start, label in zip(starts, labels, strict=True)] + [query]


def gold(target: str) -> str:
    """Return the text that continues a prompt in a right response, up to the stop."""
    return f" {target}"


def gold_with_stop(template: Template, target: str) -> str:
    """Return the text that continues a prompt in a right response, with the stop."""
    return f"{gold(target)}{template.stop}"
