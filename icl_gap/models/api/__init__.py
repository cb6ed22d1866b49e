"""Models behind an OpenAI-compatible completions endpoint.

`backend` answers questions, `client` sends one request until it is answered or has failed,
`budget` says when no more may be sent, `parallel` keeps several going, and `answers` and `logprobs`
read what comes back.
"""
