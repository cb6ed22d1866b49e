"""Models of transformers: files, tokenizers, memory and the engine."""
