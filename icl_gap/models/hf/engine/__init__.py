"""Exact match at prefill speed: one pass over the gold target instead of decoding token by token.

Greedy decoding gives the gold target exactly if, with the gold target fed in (teacher forcing), the
arg-max at each position is the next gold token and the stop comes last. So one pass over prompt and
gold target decides exact match, and gives the gold target's log-likelihood. Where the model would
write another token, decoding continues only if the response can still count as correct.

    tokenization      requests to token paths, equal requests once
    trie              the order of paths that shares most, cut into batches of passes
    packing           layout of a pass: segments in one row, no padding, prefixes from the KV cache
    packed_attention  replacement of a model's attention; bloom_attention for BLOOM
    kernels           attention of each token to its own path; slice_attention on the CPU
    sliding_window    slices that a sliding window leaves, and masks of those at its edge
    trie_attention    FlexAttention under the mask of the trie, on a GPU; trie_keys makes it
    output_layer      predictions off the output layer, a slice of the vocabulary at a time
    last_layer        a last layer that skips tokens which predict nothing
    passes            forward passes of any causal language model, packed or padded
    runner_choice     packed passes where they predict what the model itself does, else padded ones
    response_state    one response: where it ends, where it leaves the gold target
    adjudication      verdicts that rounding in half precision cannot have made
    drafts            speculative drafts by prompt lookup
    decoding          speculative decoding of the responses that go on
    scheduling        the engine: batches of passes, each with its decoding; out of memory
"""
