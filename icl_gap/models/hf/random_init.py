"""The backend of models with random weights in real architectures, and a byte tokenizer.

They serve tests, and show that a sweep runs. Weights come from a generator of their own, seeded by
the spec; the global random state stays as it was.
"""

# mypy: allow-untyped-calls
# transformers leaves many of its functions without types.

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from icl_gap.errors import ModelError
from icl_gap.models.backend import Backend, Footprint
from icl_gap.models.base import Model
from icl_gap.models.hf.architectures import architecture_config
from icl_gap.models.hf.folder import FAMILY_MARK, UNTRAINED_MARK
from icl_gap.models.hf.rust_files import read_rust, save_rust
from icl_gap.models.hf.silence import silence_transformers
from icl_gap.models.hf.tokenizer import TextTokenizer, own_bos, rust_codec
from icl_gap.models.identity import Identity, tokenizer_digest, tokenizer_files
from icl_gap.models.spec import Architecture, RandomInitSpec

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer
    from transformers import PreTrainedConfig, PreTrainedModel

    from icl_gap.models.hf.engine.trie import TokenCounts

_SPECIALS: dict[Architecture, tuple[str, str, str, bool]] = {
    "opt": ("</s>", "</s>", "<pad>", True),
    "bloom": ("<s>", "</s>", "<pad>", False),
    "codegen": ("<|endoftext|>", "<|endoftext|>", "<|endoftext|>", False),
}
"""BOS, EOS and padding token of each family, and whether its tokenizer adds BOS."""
_GPT2_SPECIAL = "<|endoftext|>"
_DEFAULT_CONTEXT = 2048


class RandomInitBackend(Backend[RandomInitSpec]):
    """Models with random weights, made in memory."""

    spec_class = RandomInitSpec

    def identify(self, spec: RandomInitSpec) -> Identity:
        """Return the identity of a model by its architecture, seed and tokenizer."""
        files = {} if spec.tokenizer is None else tokenizer_files(spec.tokenizer)
        vocabulary = files.keys() - {"vocab.json", "tokenizer_config.json"}
        if spec.tokenizer is not None and not vocabulary:
            raise ModelError(
                "this folder holds no tokenizer",
                value=str(spec.tokenizer),
                allowed="tokenizer.json, or vocab.json and merges.txt",
            )
        architecture = {"family", "hidden_size", "layers", "heads", "context_length", "seed"}
        shape = spec.model_dump(mode="json", include=architecture)
        return Identity(
            name=f"{spec.family}-{spec.layers}x{spec.hidden_size}",
            family=spec.family,
            context_length=_context_length(spec),
            trained=False,
            key={"initializer": 1, **shape, "tokenizer": files},
            tokenizer=tokenizer_digest({"family": spec.family, **files}),
        )

    def tokenizer(self, spec: RandomInitSpec, identity: Identity) -> TextTokenizer:
        """Return the model's tokenizer, without torch."""
        del identity
        return _text_tokenizer(_tokenizer(spec))

    def footprint(self, spec: RandomInitSpec, identity: Identity) -> Footprint:
        """Return the footprint of the model as it would be made."""
        from icl_gap.models.hf.cost import footprint_from_config

        with silence_transformers():
            config = _config(spec, _tokenizer(spec))
        return footprint_from_config(config, spec, name=identity.name)

    def answering_seconds(
        self, spec: RandomInitSpec, identity: Identity, sizes: TokenCounts
    ) -> float:
        """Estimate the time to answer some requests."""
        from icl_gap.models.hf.pass_time import estimate_seconds

        with silence_transformers():
            config = _config(spec, _tokenizer(spec))
        footprint = self.footprint(spec, identity)
        return estimate_seconds(config, footprint, sizes)

    def load(self, spec: RandomInitSpec, identity: Identity) -> Model:
        """Make the model, on a GPU where there is one."""
        from icl_gap.models.hf.checkpoint import move_to, pick_device
        from icl_gap.models.hf.transformers_model import huggingface_model

        model, tokenizer = build_random_init(spec)
        move_to(model, pick_device(None))
        return huggingface_model(model, tokenizer, identity, spec.kv_cache_tokens)


def build_random_init(spec: RandomInitSpec) -> tuple[PreTrainedModel, TextTokenizer]:
    """Make a model with random weights, on the CPU and in float32, and its tokenizer.

    Raises:
        ModelError: The tokenizer cannot be read.
    """
    made = _tokenizer(spec)
    return _model(spec, made), _text_tokenizer(made)


def save_random_init(spec: RandomInitSpec, folder: Path) -> None:
    """Write a model with random weights to a folder; its configuration marks it as untrained.

    Args:
        spec: The model.
        folder: The folder, which is created if it does not exist.

    Raises:
        ModelError: The tokenizer cannot be read.
    """
    made = _tokenizer(spec)
    model = _model(spec, made)
    with silence_transformers():
        model.save_pretrained(folder)
    save_rust(made.rust, folder, bos_token=made.bos, eos_token=made.eos)


def byte_tokenizer(family: Architecture) -> Tokenizer:
    """Return a tokenizer with a token for each byte and the special tokens of a family."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    symbols = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({symbol: n for n, symbol in enumerate(symbols)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(dict.fromkeys(_SPECIALS[family][:3])))
    return tokenizer


@dataclass(frozen=True, slots=True)
class _SpecialTokenizer:
    """A tokenizer and the names of its special tokens."""

    rust: Tokenizer
    bos: str
    eos: str

    def id(self, token: str) -> int:
        found = self.rust.token_to_id(token)
        if found is None:
            raise ModelError("the tokenizer has no such token", value=token)
        return found


def _text_tokenizer(made: _SpecialTokenizer) -> TextTokenizer:
    codec = rust_codec(made.rust)
    return TextTokenizer(codec, own_bos(codec), frozenset({made.id(made.eos)}))


def _tokenizer(spec: RandomInitSpec) -> _SpecialTokenizer:
    from tokenizers.processors import TemplateProcessing

    bos, eos, _, puts_bos = _SPECIALS[spec.family]
    if spec.tokenizer is None:
        rust = byte_tokenizer(spec.family)
    else:
        rust = _read_folder(spec.tokenizer)
        if rust.token_to_id(bos) is None or rust.token_to_id(eos) is None:
            bos = eos = _GPT2_SPECIAL
        rust.add_special_tokens([bos, eos])
    made = _SpecialTokenizer(rust, bos, eos)
    single = f"{bos} $A" if puts_bos else "$A"
    tokens = [(bos, made.id(bos))] if puts_bos else []
    rust.post_processor = TemplateProcessing(single=single, special_tokens=tokens)
    return made


def _read_folder(folder: Path) -> Tokenizer:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    if (folder / "tokenizer.json").is_file():
        return read_rust(folder / "tokenizer.json")
    try:
        bpe = models.BPE.from_file(str(folder / "vocab.json"), str(folder / "merges.txt"))
    except Exception as error:  # the library raises nothing more exact
        raise ModelError(f"cannot read the tokenizer: {error}", value=str(folder)) from error
    tokenizer = Tokenizer(bpe)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _model(spec: RandomInitSpec, made: _SpecialTokenizer) -> PreTrainedModel:
    import torch

    with silence_transformers(), torch.random.fork_rng(devices=[]):
        from transformers import AutoModelForCausalLM

        model: PreTrainedModel = AutoModelForCausalLM.from_config(
            _config(spec, made), dtype=torch.float32
        )
    _draw(model, torch.Generator().manual_seed(spec.seed))
    model.eval()
    return model


def _context_length(spec: RandomInitSpec) -> int | None:
    return None if spec.family == "bloom" else spec.context_length or _DEFAULT_CONTEXT


def _config(spec: RandomInitSpec, made: _SpecialTokenizer) -> PreTrainedConfig:
    config = architecture_config(
        spec.family,
        hidden_size=spec.hidden_size,
        layers=spec.layers,
        heads=spec.heads,
        context=_context_length(spec),
        vocab_size=made.rust.get_vocab_size(),
        bos_token_id=made.id(made.bos),
        eos_token_id=made.id(made.eos),
        pad_token_id=made.id(made.eos),
    )
    setattr(config, UNTRAINED_MARK, True)
    setattr(config, FAMILY_MARK, spec.family)
    return config


def _draw(model: PreTrainedModel, generator: torch.Generator) -> None:
    """Draw normal weights with the architecture's `initializer_range`; norms are the identity."""
    import torch
    from torch import nn

    width = float(getattr(model.config, "initializer_range", 0.02))
    norms = {id(m.weight) for m in model.modules() if isinstance(m, nn.LayerNorm)}
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            if id(parameter) in norms:
                parameter.fill_(1.0)
            elif name.endswith("bias"):
                parameter.zero_()
            else:
                parameter.normal_(0.0, width, generator=generator)
