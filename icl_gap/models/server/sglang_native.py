"""SGLang's own endpoint, `/generate`, which scores the end of a text and keeps the prefix cache.

Completions with `echo` make SGLang compute the log-probabilities of the whole prompt anew. Its own
endpoint takes a start, `logprob_start_len`: tokens before it may come from the cache, and the token
at it has no log-probability.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from icl_gap.models.server.responses import (
    BodyError,
    RawCompletion,
    claimed_usage,
    load_body,
    read_usage,
)
from icl_gap.models.spec import OpenAISpec

INFO_PATHS = ("/get_model_info", "/model_info")
"""Paths at which SGLang describes its model, by version."""


def native_url(spec: OpenAISpec, path: str) -> str:
    """Return the address of SGLang's own endpoint, beside that of the OpenAI-compatible ones.

    Args:
        spec: The model.
        path: Path of the endpoint, as `/generate`.
    """
    return spec.base_url.rstrip("/").removesuffix("/v1") + path


def native_body(spec: OpenAISpec, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of a request to `/generate`.

    Args:
        spec: The model.
        fields: `text`, `max_tokens`, and `logprob_start_len` where log-probabilities are wanted.
    """
    sampling = {"temperature": 0, "max_new_tokens": fields["max_tokens"]}
    body = {**spec.extra_body, "text": fields["text"], "sampling_params": sampling}
    if "logprob_start_len" in fields:
        body |= {
            "return_logprob": True,
            "logprob_start_len": fields["logprob_start_len"],
            "top_logprobs_num": 1,
            "return_text_in_logprobs": True,
        }
    return body


def describes_model(content: bytes) -> bool:
    """Return whether a body describes a model that generates text, as SGLang does.

    Args:
        content: The body.
    """
    try:
        match load_body(content):
            case {"model_path": str(), "is_generation": bool(generates)}:
                return generates
    except BodyError:
        pass
    return False


def read_native_body(content: bytes) -> RawCompletion:
    """Read the body of a response of `/generate`.

    Args:
        content: The body.

    Returns:
        The completion, whose `choice` is the body's `meta_info`.

    Raises:
        BodyError: The body is not JSON, is an error, or lacks a field of such a response.
    """
    body = load_body(content)
    match body:
        case {"text": str(text), "meta_info": {"finish_reason": {"type": "length"}} as info}:
            return RawCompletion(text, "length", read_usage({"usage": info}), info)
        case {"text": str(text), "meta_info": {"finish_reason": {"type": "stop"} as end} as info}:
            stopped = isinstance(end.get("matched"), str)
            return RawCompletion(
                text, "stop" if stopped else "eos", read_usage({"usage": info}), info
            )
        case {"meta_info": {"finish_reason": {"type": str(end)}} as info}:
            raise BodyError(
                f"it is not a completion: finish_reason is {end!r}",
                claimed_usage({"usage": info}),
                final=True,
            )
    raise BodyError("it lacks text and meta_info with a finish_reason")
