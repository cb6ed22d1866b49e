"""A shipped fake model: it answers as a file says, and fails where the file says so."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from icl_gap.errors import InferenceError, ModelError, Place
from icl_gap.models.base import Outcome, Request, RequestId, one_by_one
from icl_gap.models.spec import MockSpec
from icl_gap.schema import Completion, ModelInfo, Predictions, Response

Line = tuple[Literal["text", "error"], str]


class Scripted:
    """A model that answers from a table, by query id."""

    def __init__(self, info: ModelInfo, answers: Mapping[str, Line], default: str) -> None:
        self.info = info
        self._answers = answers
        self._default = default

    def respond(
        self,
        requests: Sequence[Request],
        *,
        predictions: Predictions = "verdict",
        wanted: Collection[RequestId] | None = None,
    ) -> Iterator[Outcome]:
        """Respond to each prompt by its query id.

        Args:
            requests: The requests.
            predictions: Not used: every response is whole.
            wanted: The ids of those to respond to; all by default.
        """
        del predictions
        return one_by_one(requests, wanted, self._answer)

    def _answer(self, request: Request) -> Response | InferenceError:
        query = request.prompt.query_id
        kind, text = self._answers.get(query, ("text", self._default))
        if kind == "error":
            return InferenceError(f"{self.info.name} failed on {query}: {text}")
        return Response(Completion(text.partition(request.stop)[0], "stop"))


def load_mock(spec: MockSpec, name: str) -> Scripted:
    """Read a script.

    Args:
        spec: Where it is.
        name: What the model is called.

    Raises:
        ModelError: The file cannot be read, or a line of it is not an answer.
    """
    info = ModelInfo(name, spec.family, spec.n_params, spec.n_params, None)
    answers = {} if spec.answers is None else _read_answers(spec.answers)
    return Scripted(info, answers, spec.default)


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    query_id: str
    text: str | None = None
    error: str | None = None

    @property
    def line(self) -> Line:
        if self.text is not None:
            return ("text", self.text)
        return ("error", self.error or "")


def _read_answers(path: Path) -> dict[str, Line]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError("cannot read the answers", value=str(error), place=Place(path)) from error
    answers = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            answer = _Answer.model_validate(json.loads(line))
        except (ValueError, RecursionError):
            answer = None
        if answer is None or (answer.text is None) == (answer.error is None):
            raise ModelError(
                "not an answer",
                value=line,
                allowed='{"query_id": …, "text": …} or {"query_id": …, "error": …}',
                place=Place(path, number),
            )
        answers[answer.query_id] = answer.line
    return answers
