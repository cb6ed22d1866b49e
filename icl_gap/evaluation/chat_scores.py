"""Scores of chat responses: of the extracted answer, and of the whole text."""

from __future__ import annotations

from dataclasses import replace

from icl_gap import prompts, scoring
from icl_gap.evaluation.grid import Cell
from icl_gap.models import MessageOptions, Request
from icl_gap.schema import (
    AnswerProblem,
    AnswerRule,
    ChatResponse,
    Completion,
    Metric,
    Record,
    Response,
    Score,
)


def score_completion(text: str, request: Request, cell: Cell) -> Score:
    """Return the score of a text as the answer to a request.

    Args:
        text: The text.
        request: The request.
        cell: Its cell.
    """
    return scoring.score_pair(
        text,
        request.target,
        cell.benchmark.language,
        database=cell.benchmark.database,
        example_id=request.query_id,
    )


def answer_rule(spec: object) -> tuple[AnswerRule, str | None]:
    """Return the rule by which answers of a chat are found, and its pattern, if it has one.

    Args:
        spec: The model.
    """
    if isinstance(spec, MessageOptions) and spec.answer is not None:
        return spec.answer, spec.answer_pattern
    return prompts.DEFAULT_ANSWER, None


def score_chat(record: Record, request: Request, response: Response, cell: Cell) -> Record:
    """Return the record of a chat response with its answer and both scores.

    The record's `prediction` and `scores` are those of the extracted answer. A response that has
    reached the bound of tokens is wrong, whatever it holds, and so is one without an answer, a
    refusal, and one that a content filter has stopped.

    Args:
        record: The record without scores.
        request: The request.
        response: The response, with its completion.
        cell: The request's cell.
    """
    completion = response.completion or Completion("", "stop")
    strict = score_completion(completion.text, request, cell)
    rule, pattern = answer_rule(cell.model.spec)
    label = cell.benchmark.template.target_label
    answer = None
    if response.withheld is None:
        answer = prompts.extract_answer(completion.text, rule, label=label, pattern=pattern)
    whole = ChatResponse(
        text=completion.text,
        reasoning=response.reasoning,
        strict_raw=strict.raw,
        strict_canonical=strict.canonical,
        strict_execution=strict.execution,
    )
    record = replace(record, chat=whole, prediction=answer, finish_reason=completion.finish_reason)
    problem = response.withheld or _problem(completion, answer)
    if problem is None and answer is not None:
        score = score_completion(answer, request, cell)
        return replace(record, scores=score.outcomes, reason=score.reason)
    wrong: dict[Metric, bool] = dict.fromkeys(strict.outcomes, False)
    return replace(record, scores=wrong, reason=problem)


def _problem(completion: Completion, answer: str | None) -> AnswerProblem | None:
    """Return why a response has no answer that counts; None if it has one."""
    if completion.finish_reason == "length":
        return "ran on" if completion.text.strip() else "truncated"
    return "no answer" if answer is None else None
