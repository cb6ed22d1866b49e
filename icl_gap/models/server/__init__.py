"""Models behind an OpenAI-compatible completions endpoint.

backend    the model: requests to requests, and what came back to answers
parallel   several requests under way at a time
client     one request, sent until it is answered or has failed
failures   why it was not, and whether it may be sent again
budget     when no more may be sent
stops      servers that cannot stop where they are told to
answers    what a body says
plausible  whether that can be the answer to what was sent
logprobs   a verdict out of a prompt's log-probabilities
address    where a server is, and whether the key may go there
keys       the key, and texts without it
transport  the HTTP client: no redirects, bodies of bounded length
"""
