"""Models of real architectures with random weights, and the tokenizer of bytes.

They show that everything runs, and test what runs models. Weights come from a generator of their
own, seeded by the spec; the global random state stays as it was.
"""

# mypy: allow-untyped-calls
# transformers leaves many of its functions without types.

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from icl_gap.errors import ModelError
from icl_gap.models.hf.architectures import architecture_config
from icl_gap.models.hf.silence import quiet_transformers
from icl_gap.models.hf.tokenizer import TextTokenizer, own_bos, read_rust, rust_codec, save_rust
from icl_gap.models.identity import UNTRAINED_MARK, random_init_context
from icl_gap.models.spec import Architecture, RandomInitSpec

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer
    from transformers import PreTrainedConfig, PreTrainedModel

# BOS, EOS and padding as each family has them, and whether its tokenizer puts BOS by itself.
_SPECIALS: dict[Architecture, tuple[str, str, str, bool]] = {
    "opt": ("</s>", "</s>", "<pad>", True),
    "bloom": ("<s>", "</s>", "<pad>", False),
    "codegen": ("<|endoftext|>", "<|endoftext|>", "<|endoftext|>", False),
}
_GPT2_SPECIAL = "<|endoftext|>"


def build_random_init(spec: RandomInitSpec) -> tuple[PreTrainedModel, TextTokenizer]:
    """Make a model with random weights, on the CPU in float32, and its tokenizer.

    Raises:
        ModelError: The tokenizer cannot be read.
    """
    made = _tokenizer(spec)
    return _model(spec, made), _text_tokenizer(made)


def random_init_tokenizer(spec: RandomInitSpec) -> TextTokenizer:
    """The tokenizer of an untrained model, without torch.

    Raises:
        ModelError: The tokenizer cannot be read.
    """
    return _text_tokenizer(_tokenizer(spec))


def save_random_init(spec: RandomInitSpec, folder: Path) -> None:
    """Write a model with random weights as transformers would; it stays labelled untrained.

    Args:
        spec: The model.
        folder: Where to; made if it is not there.

    Raises:
        ModelError: The tokenizer cannot be read.
    """
    made = _tokenizer(spec)
    model = _model(spec, made)
    with quiet_transformers():
        model.save_pretrained(folder)
    save_rust(made.rust, folder, bos_token=made.bos, eos_token=made.eos)


def byte_tokenizer(family: Architecture) -> Tokenizer:
    """One token for each byte, and the special tokens of a family."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    symbols = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({symbol: n for n, symbol in enumerate(symbols)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(dict.fromkeys(_SPECIALS[family][:3])))
    return tokenizer


@dataclass(frozen=True, slots=True)
class _Made:
    """A tokenizer and the names of its special tokens."""

    rust: Tokenizer
    bos: str
    eos: str

    def id(self, token: str) -> int:
        found = self.rust.token_to_id(token)
        if found is None:
            raise ModelError("the tokenizer has no such token", value=token)
        return found


def _text_tokenizer(made: _Made) -> TextTokenizer:
    codec = rust_codec(made.rust)
    return TextTokenizer(codec, own_bos(codec), frozenset({made.id(made.eos)}))


def _tokenizer(spec: RandomInitSpec) -> _Made:
    from tokenizers.processors import TemplateProcessing

    bos, eos, _, puts_bos = _SPECIALS[spec.family]
    if spec.tokenizer is None:
        rust = byte_tokenizer(spec.family)
    else:
        rust = _read_folder(spec.tokenizer)
        if rust.token_to_id(bos) is None or rust.token_to_id(eos) is None:
            bos = eos = _GPT2_SPECIAL
        rust.add_special_tokens([bos, eos])
    made = _Made(rust, bos, eos)
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


def _model(spec: RandomInitSpec, made: _Made) -> PreTrainedModel:
    import torch

    with quiet_transformers(), torch.random.fork_rng(devices=[]):
        from transformers import AutoModelForCausalLM

        model: PreTrainedModel = AutoModelForCausalLM.from_config(
            _config(spec, made), dtype=torch.float32
        )
    _draw(model, torch.Generator().manual_seed(spec.seed))
    model.eval()
    return model


def random_init_config(spec: RandomInitSpec) -> PreTrainedConfig:
    """The configuration of an untrained model.

    Raises:
        ModelError: The tokenizer, whose vocabulary is a part of it, cannot be read.
    """
    return _config(spec, _tokenizer(spec))


def _config(spec: RandomInitSpec, made: _Made) -> PreTrainedConfig:
    config = architecture_config(
        spec.family,
        hidden_size=spec.hidden_size,
        layers=spec.layers,
        heads=spec.heads,
        context=random_init_context(spec),
        vocab_size=made.rust.get_vocab_size(),
        bos_token_id=made.id(made.bos),
        eos_token_id=made.id(made.eos),
        pad_token_id=made.id(made.eos),
    )
    setattr(config, UNTRAINED_MARK, True)
    return config


def _draw(model: PreTrainedModel, generator: torch.Generator) -> None:
    """Normal weights, as wide as the architecture's initializer draws them; norms the identity."""
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
