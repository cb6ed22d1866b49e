"""Exact match at prefill speed: one pass over the gold answer instead of decoding token by token.

Greedy decoding gives the gold answer exactly where, with the gold answer fed in, the most likely
token at each place is the next one of the gold answer, and the stop comes last. So one pass over
prompt and gold answer decides exact match, and gives the gold answer's likelihood. Where the model
would write another token, it goes on by decoding only if that can still matter.

    trie        requests as a trie of tokens, in the order in which they share most
    passes      forward passes over parts of that trie, for any causal language model
    layout      how a pass is laid out: no padding, and nothing twice
    attention   attention in a pass: each token to its own path
    sequences   from requests to paths
    reply       one answer on its way: where it ends, where it leaves the gold answer
    drafts      guesses at what comes next, to be checked many at a time
    decoding    speculative decoding of what goes on
    engine      waves of passes, each with its decoding
"""
