"""The call to a chat endpoint that a request takes."""

from __future__ import annotations

from icl_gap.errors import InferenceError
from icl_gap.models.base import Request
from icl_gap.models.server.client import Client
from icl_gap.models.spec import OpenAISpec
from icl_gap.models.stopping import FRAME_TOKENS, max_new_tokens
from icl_gap.schema import Completion, Response


def most_tokens(spec: OpenAISpec, request: Request) -> int:
    """Return the bound on the new tokens of a chat response.

    It is the bound of an answer in any tokenization, which follows from the longest target of the
    side, with `FRAME_TOKENS` and the entry's `thinking_tokens`; or its `max_completion_tokens`.

    Args:
        spec: The model.
        request: The request.
    """
    if spec.max_completion_tokens is not None:
        return spec.max_completion_tokens
    answer = max_new_tokens(stop=request.stop, max_new_bytes=request.max_new_bytes)
    return answer + FRAME_TOKENS + spec.thinking_tokens


async def respond_in_chat(client: Client, spec: OpenAISpec, request: Request) -> Response:
    """Send the messages of a request, and return the whole response.

    No stop string is sent: it could cut the reasoning. A response with finish reason `length` has
    reached the bound; its text is empty if the model was still thinking. One that is `withheld`
    holds the refusal, or what a content filter has left.

    Args:
        client: The client of the server.
        spec: The model.
        request: The request.

    Raises:
        InferenceError: The server did not respond, or cut the response before the bound.
    """
    messages = [{"role": each.role, "content": each.content} for each in request.prompt.messages]
    most = most_tokens(spec, request)
    found = await client.complete({"messages": messages, "max_tokens": most})
    empty = not found.text and found.reasoning is None
    if found.finish_reason == "length" and empty and found.usage is None:
        # With a count of tokens, `check_completion` has checked it.
        raise InferenceError(f"the server cut the response short, after 0 of {most} tokens")
    return Response(
        Completion(found.text, found.finish_reason),
        usage=found.usage,
        served_model=found.model,
        reasoning=found.reasoning,
        withheld=found.withheld,
    )
