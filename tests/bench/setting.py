"""What the engine is measured on: models of known shapes, and SCAN's requests."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from icl_gap.evaluation.config import SweepSpec
from icl_gap.evaluation.planning import Plan, plan_sweep
from icl_gap.models import Identity, RandomInitSpec, Request
from icl_gap.models.hf.engine.tokenization import TokenizedRequest, tokenize_requests
from icl_gap.models.hf.engine.trie import TokenCounts, count_tokens
from icl_gap.models.hf.tokenizer import TextTokenizer
from icl_gap.specs import check_spec

FITTED = (1.0, 0.4, 0.0, 0.0)
"""Of one request after the other: which share of its gold answer the output layer is fitted to."""
RIDGE = 1e-5
"""Of the mean of the diagonal."""
ROUNDS = 30
BOOST = 3.0
"""How much more a missed token counts in the next round."""
NEVER = -10.0
"""The logit of tokens that no gold answer has."""


@dataclass(frozen=True)
class Shape:
    """A model's."""

    name: str
    hidden_size: int
    layers: int
    heads: int
    dtype: str
    device: str
    queries: int
    """How many to ask it, unless the command line says otherwise."""
    judged: bool = False
    """Whether its figures have targets."""

    @property
    def spec(self) -> RandomInitSpec:
        """The same as a sweep writes it, but for the tokenizer."""
        return RandomInitSpec(hidden_size=self.hidden_size, layers=self.layers, heads=self.heads)


SHAPES = (
    Shape("OPT-125M", 768, 12, 12, "float32", "cpu", 64, judged=True),
    Shape("OPT-1.3B", 2048, 24, 32, "bfloat16", "cuda", 64),
    Shape("OPT-6.7B", 4096, 32, 32, "bfloat16", "cuda", 32),
)


@dataclass(frozen=True)
class Workload:
    """A kind of sweep, and how many times as fast as the usual ways the engine should be."""

    name: str
    selection: str
    shots: tuple[int, ...]
    verdict: float
    full: float


WORKLOADS = (
    Workload("paper", "oracle_coverage", (1, 5, 10), verdict=6, full=2.5),
    Workload("shared", "shared", (10,), verdict=20, full=4),
)


@dataclass(frozen=True)
class Setting:
    """A workload's requests, as one model reads them."""

    requests: list[Request]
    tokenized: list[TokenizedRequest]
    """The same as tokens."""
    sizes: TokenCounts
    queries: int
    tokenizer: TextTokenizer
    identity: Identity

    @property
    def longest(self) -> int:
        """The tokens of the longest gold answer, with its stop."""
        return max(len(each.gold_tokens) for each in self.tokenized) + 1

    def sample(self, size: int) -> list[Request]:
        """So many requests, short and long ones as among all."""
        by_length = sorted(self.requests, key=lambda each: len(each.prompt.text))
        total, size = len(by_length), min(size, len(by_length))
        return [by_length[(2 * n + 1) * total // (2 * size)] for n in range(size)]


def prepare(workload: Workload, shape: Shape, tokenizer: Path, queries: int) -> Setting:
    """Draw exemplars and write prompts as a sweep does.

    Args:
        workload: What to ask.
        shape: Of the model.
        tokenizer: Its folder.
        queries: How many.
    """
    model = {**shape.spec.model_dump(), "tokenizer": str(tokenizer)}
    spec = {
        "name": workload.name,
        "datasets": ["scan"],
        "models": [{key: value for key, value in model.items() if value is not None}],
        "selection": workload.selection,
        "query_splits": ["test"],
        "conditions": ["id"],
        "seeds": [0],
        "limit": queries,
        "shots": list(workload.shots),
    }
    return setting_of(plan_sweep(check_spec(spec, SweepSpec)))


def setting_of(plan: Plan) -> Setting:
    """The requests of a plan of one model, as the engine reads them."""
    model = plan.cells[0].model
    requests = [request for cell in plan.cells for request in plan.requests(cell)]
    tokenized, failures = tokenize_requests(
        requests,
        model.tokenizer,
        context_length=model.identity.context_length,
        predictions="verdict",
    )
    assert not failures
    return Setting(
        requests=requests,
        tokenized=tokenized,
        sizes=count_tokens(
            [each.path for each in tokenized], [len(each.ids) for each in tokenized]
        ),
        queries=len({each.prompt.query_id for each in requests}),
        tokenizer=model.tokenizer,
        identity=model.identity,
    )


def build(shape: Shape, folder: Path) -> PreTrainedModel:
    """Make a model of OPT's architecture with random weights, its output layer apart.

    Args:
        shape: The model's.
        folder: A model with the same tokenizer.
    """
    config = AutoConfig.from_pretrained(
        folder,
        hidden_size=shape.hidden_size,
        word_embed_proj_dim=shape.hidden_size,
        ffn_dim=4 * shape.hidden_size,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        tie_word_embeddings=False,
    )
    torch.manual_seed(0)
    with torch.device(shape.device):
        model = AutoModelForCausalLM.from_config(config, dtype=getattr(torch, shape.dtype))
    return model.eval()


def twin(model: PreTrainedModel) -> PreTrainedModel:
    """A second model with the very same weights: a change to one's is a change to both's."""
    return copy.deepcopy(model, {id(each): each for each in model.parameters()})


@torch.inference_mode()
def fit(model: PreTrainedModel, setting: Setting) -> Tensor:
    """An output layer with which some answers are right, some go wrong late and others early.

    Ridge regression of the next gold token on the last hidden state; in each round, tokens that
    were missed in the one before count more.

    Returns:
        (vocabulary, hidden size), in float64.
    """
    hidden, tokens = _taught(model, setting)
    vocabulary, places = tokens.unique(return_inverse=True)
    wanted = functional.one_hot(places).double()
    weights = torch.ones(len(hidden), 1, dtype=torch.float64, device=hidden.device)
    best, fewest = wanted.new_zeros(len(vocabulary), hidden.shape[1]), len(hidden)
    for _ in range(ROUNDS):
        gram = hidden.T @ (weights * hidden)
        gram.diagonal().add_(RIDGE * gram.diagonal().mean())
        rows = torch.linalg.solve(gram, hidden.T @ (weights * wanted)).T
        missed = (hidden @ rows.T).argmax(-1) != places
        if missed.sum() < fewest:
            best, fewest = rows, int(missed.sum())
        if not fewest:
            break
        weights[missed] *= BOOST
    # All hidden states have their mean in common, so it serves as the bias that OPT does not have.
    mean = hidden.mean(0)
    layer = (NEVER / mean.square().sum() * mean).repeat(model.config.vocab_size, 1)
    layer[vocabulary] = best
    return layer


def _taught(model: PreTrainedModel, setting: Setting) -> tuple[Tensor, Tensor]:
    """Last hidden states of gold answers, as far as they are fitted, and the tokens that follow."""
    hidden, tokens = [], []
    for number, each in enumerate(setting.tokenized):
        answer = [*each.gold_tokens, *setting.tokenizer.encode(each.request.stop)]
        kept = round(FITTED[number % len(FITTED)] * len(answer))
        if not kept:
            continue
        path = torch.tensor([[*each.prompt_tokens, *answer[: kept - 1]]], device=model.device)
        states = model.base_model(input_ids=path, use_cache=False).last_hidden_state[0]
        hidden.append(states[-kept:].double())
        tokens += answer[:kept]
    return torch.cat(hidden), torch.tensor(tokens, device=model.device)
