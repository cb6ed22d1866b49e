"""Models behind an OpenAI-compatible completions endpoint.

openai_backend  the backend: identity, tokenizer, loading
server_model    the model: requests to the server, and its responses
parallel        concurrent requests
client          one request, with retries
failures        errors of requests, and whether another attempt may succeed
budget          limits on the number and the cost of requests
stops           support of a server for stop strings
responses       bodies of responses
plausible       checks that a response can belong to its request
logprobs        verdicts by the log-probabilities of a prompt
address         checks of a server's address
api_keys        the API key, and texts without it
transport       the HTTP transport: no redirects, bodies of bounded length
"""
