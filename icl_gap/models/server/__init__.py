"""Models behind an OpenAI-compatible endpoint, of completions or of chats.

openai_backend       the backend: identity, tokenizer, loading
server_model         the model: requests to the server, and its responses
chat_exchange        a request to a chat endpoint, and its response
completion_exchange  a request to a completions endpoint, and its response
probing              probes of a server, when a model is loaded
order_probe          probe of log-probabilities: are they true, whatever came before
parallel             concurrent requests
connection           the connection to a server
client               one request, with retries
parameters           parameters of requests, without those that the server refuses
failures             errors of requests, and whether another attempt may succeed
budget               limits on the number and the cost of requests
stops                support of a server for stop strings
responses            bodies of responses
chat_responses       bodies of chat responses
plausible            checks that a response can belong to its request
logprobs             verdicts by the log-probabilities of a prompt
gold_scoring         requests for these log-probabilities
sglang_native        SGLang's own endpoint, which gives them for the end of a text
address              checks of a server's address
api_keys             the API key, and texts without it
transport            the HTTP transport: no redirects, bodies of bounded length
"""
