"""The backend of mock models, which respond or fail as a file says; for tests of sweeps."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, NonNegativeInt

from icl_gap.errors import InferenceError, ModelError, Place
from icl_gap.models.backend import Backend
from icl_gap.models.base import Model, Outcome, Request, RequestId, one_by_one
from icl_gap.models.hf.folder import sha256
from icl_gap.models.identity import Identity
from icl_gap.models.spec import ModelSpecBase
from icl_gap.schema import Completion, ModelInfo, Predictions, Response
from icl_gap.specs import check_path

Line = tuple[Literal["text", "error"], str]


class MockSpec(ModelSpecBase):
    """A model that responds as a file says."""

    renamed: ClassVar[Mapping[str, str]] = {"kind: scripted": "kind: mock"}

    kind: Literal["mock"] = "mock"
    answers: Path | None = None
    """File of JSON lines, `{"query_id": …, "text": …}`, or `{"query_id": …, "error": …}` for a
    request that fails."""
    default: str = ""
    """Text for queries that the file does not list."""
    n_params: NonNegativeInt | None = None
    family: str = "mock"


class MockBackend(Backend[MockSpec]):
    """Models that respond as a file says."""

    spec_class = MockSpec

    def identify(self, spec: MockSpec) -> Identity:
        """Return the identity of a model by the hash of its file."""
        if spec.answers is not None:
            check_path(spec.answers)
        try:
            answers = None if spec.answers is None else sha256(spec.answers)
        except OSError as error:
            problem = f"cannot read the answers: {error.strerror}"
            raise ModelError(problem, value=str(spec.answers)) from error
        key = {"answers": answers, "default": spec.default, "n_params": spec.n_params}
        return Identity("mock", spec.family, None, True, key)

    def load(self, spec: MockSpec, identity: Identity) -> Model:
        """Read the file."""
        info = ModelInfo(identity.name, spec.family, spec.n_params, spec.n_params, None)
        answers = {} if spec.answers is None else _read_answers(spec.answers)
        return MockModel(info, answers, spec.default)


class MockModel:
    """A model that looks up its response by query id."""

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
