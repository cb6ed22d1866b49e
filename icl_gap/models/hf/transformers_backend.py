"""The backend of causal language models that `transformers` loads.

Torch is imported when a footprint is measured or weights load, and not before.
"""

# mypy: allow-untyped-calls
# transformers leaves many of its functions without types.

from __future__ import annotations

import logging
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from icl_gap.errors import ModelError
from icl_gap.models.backend import Backend, Footprint
from icl_gap.models.base import Model
from icl_gap.models.chat_template import ChatTemplate
from icl_gap.models.hf import hub
from icl_gap.models.hf.base_model import family_of_file, family_of_folder
from icl_gap.models.hf.calibration import CALIBRATING
from icl_gap.models.hf.folder import (
    FAMILY_MARK,
    TRAINING_SEED_MARK,
    UNTRAINED_MARK,
    context_length,
    fingerprints,
    read_config,
    sha256,
    weight_files,
)
from icl_gap.models.hf.gguf_folder import check_gguf, gguf_folder, gguf_path
from icl_gap.models.hf.gguf_header import GGUFHeader, read_gguf_header
from icl_gap.models.hf.remote_code import library_error, refuse_code
from icl_gap.models.hf.silence import silence_transformers
from icl_gap.models.hf.template_files import (
    chat_key,
    digest_of_chat,
    end_of_turn,
    read_chat_template,
)
from icl_gap.models.hf.tokenizer import TextTokenizer, load_folder_tokenizer
from icl_gap.models.identity import Identity, tokenizer_digest, tokenizer_files
from icl_gap.models.shipped import shipped_folder
from icl_gap.models.spec import BosPolicy, TransformersSpec
from icl_gap.models.zoo import named_seed, training_tokens
from icl_gap.progress import said_if_slow

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

    from icl_gap.models.hf.engine.trie import TokenCounts

_log = logging.getLogger(__name__)
_ASKED_AGAIN = 0.15
"""Share of requests that an adjudicated model is estimated to ask again in float32."""


class TransformersBackend(Backend[TransformersSpec]):
    """Models from a folder or the hub."""

    spec_class = TransformersSpec

    def identify(self, spec: TransformersSpec) -> Identity:
        """Return the identity of a folder by its files, of a model on the hub by its commit."""
        if spec.gguf is not None:
            return self._identify_gguf(spec, spec.gguf)
        local = hub.local_folder(spec.model)
        if local is not None:
            if spec.revision is not None and shipped_folder(spec.model) is not None:
                raise ModelError(
                    "a model that ships has no revisions",
                    value=spec.revision,
                    allowed="a folder, or a name on the hub",
                ).at(key="revision")
            folder, name = local, local.resolve().name
            source: dict[str, Any] = {"files": _local_files(local)}
        else:
            folder, name = hub.resolve(spec.model, spec.revision), spec.model
            source = {"repo": spec.model, "commit": folder.name}
        _check_library(spec)
        config = read_config(folder)
        if not spec.trust_remote_code:
            refuse_code(folder)
        trained = not config.get(UNTRAINED_MARK, False)
        # Another revision may be an earlier step of the training.
        published = trained and spec.revision in {None, "main"}
        known = training_tokens(spec.model) if published else None
        template = read_chat_template(spec, folder)
        chat = chat_key(spec, template)
        files = {"bos": spec.bos, **tokenizer_files(folder), **digest_of_chat(chat)}
        return Identity(
            name=name,
            family=spec.family or _family(folder, config, from_hub=local is None),
            context_length=context_length(config),
            trained=trained,
            key={**source, **_settings(spec), **chat},
            folder=folder,
            tokenizer=tokenizer_digest(files),
            training_tokens=spec.training_tokens or known,
            chat_template=template,
            training_seed=_training_seed(spec, config),
            **_stated(spec),
        )

    def _identify_gguf(self, spec: TransformersSpec, name: str) -> Identity:
        """Return the identity of a GGUF file by its content."""
        path = gguf_path(spec.model, name, spec.revision)
        header = read_gguf_header(path)
        check_gguf(header, path)
        digest = sha256(path)
        template = self._gguf_template(spec, path, digest, header)
        chat = chat_key(spec, template)
        files = {"bos": spec.bos, "gguf": digest, **digest_of_chat(chat)}
        return Identity(
            name=path.stem,
            family=spec.family or family_of_file(header, path),
            context_length=header.context_length,
            trained=True,
            key={"gguf": digest, **_settings(spec), **chat},
            folder=path.parent,
            tokenizer=tokenizer_digest(files),
            training_tokens=spec.training_tokens,
            chat_template=template,
            training_seed=spec.training_seed,
            **_stated(spec),
        )

    def _gguf_template(
        self, spec: TransformersSpec, path: Path, digest: str, header: GGUFHeader
    ) -> ChatTemplate | None:
        """Return the chat template of a GGUF file, whose tokenizer is converted for it."""
        if spec.chat_layout is None:
            return None
        own = header.metadata.get("tokenizer.chat_template")
        folder = gguf_folder(path, digest, header)
        return read_chat_template(spec, folder, str(own) if own else None)

    def tokenizer(self, spec: TransformersSpec, identity: Identity) -> TextTokenizer:
        """Return the tokenizer of the model's folder, or of its GGUF file."""
        return _tokenizer(spec, identity, _folder(spec, identity))

    def footprint(self, spec: TransformersSpec, identity: Identity) -> Footprint:
        """Return the footprint of the model that `config.json` describes."""
        from icl_gap.models.hf.cost import footprint_from_config

        config, trust = _config(spec, identity), spec.trust_remote_code
        return footprint_from_config(config, spec, name=identity.name, trust_remote_code=trust)

    def answering_seconds(
        self, spec: TransformersSpec, identity: Identity, sizes: TokenCounts
    ) -> float:
        """Estimate the time to answer some requests."""
        from icl_gap.models.hf.pass_time import estimate_seconds

        footprint = self.footprint(spec, identity)
        seconds = estimate_seconds(_config(spec, identity), footprint, sizes)
        if spec.precision == "adjudicated":
            in_float32 = self.answering_seconds(spec.in_float32(), identity, sizes)
            # Requests that calibrate run both ways, and share no prefixes.
            calibrating = min(CALIBRATING, sizes.paths) * sizes.written / sizes.requests
            both = (seconds + in_float32) * calibrating / sizes.computed
            seconds += both + _ASKED_AGAIN * in_float32
        return seconds

    def load(self, spec: TransformersSpec, identity: Identity) -> Model:
        """Load weights and tokenizer, from the hub where they are not here."""
        from icl_gap.models.hf.adjudicated_model import AdjudicatedModel
        from icl_gap.models.hf.checkpoint import in_precision, load_weights
        from icl_gap.models.hf.transformers_model import huggingface_model

        folder = _folder(spec, identity)
        if "commit" in identity.key:
            folder = hub.fetch_weights(spec.model, identity.key["commit"])
        tokenizer = _tokenizer(spec, identity, folder)
        weights = None if spec.gguf is None else gguf_path(spec.model, spec.gguf, spec.revision)
        template = identity.chat_template
        if template is not None and not template.takes_system:
            _log.warning(
                "%s: its chat template has no system message; the instruction stands first in the "
                "first message of the user",
                identity.name,
            )
        if spec.precision == "adjudicated":
            exact = load_weights(spec.in_float32(), folder, weights)
            half = in_precision(exact, spec.dtype)  # before the engine changes its attention
            return AdjudicatedModel(
                huggingface_model(half, tokenizer, identity, spec.kv_cache_tokens),
                huggingface_model(exact, tokenizer, identity, spec.kv_cache_tokens),
            )
        model = load_weights(spec, folder, weights)
        return huggingface_model(model, tokenizer, identity, spec.kv_cache_tokens)


def _stated(spec: TransformersSpec) -> dict[str, Any]:
    """Return the fields of an identity that are as the user states them."""
    sizes = (spec.n_params, spec.n_params_non_embedding)
    return {
        "n_params": spec.n_params,
        "n_params_non_embedding": spec.n_params_non_embedding,
        "size_source": "counted" if sizes == (None, None) else "stated",
        "revision": spec.revision,
    }


def _training_seed(spec: TransformersSpec, config: Mapping[str, Any]) -> int | None:
    """Return the seed of a model's training, where the entry, its files or the zoo state one."""
    if spec.training_seed is not None:
        return spec.training_seed
    marked = config.get(TRAINING_SEED_MARK)
    return marked if isinstance(marked, int) else named_seed(spec.model)


def _family(folder: Path, config: Mapping[str, Any], *, from_hub: bool) -> str:
    """Return the family of a model whose entry names none."""
    if from_hub:
        return str(config.get(FAMILY_MARK) or config["model_type"])
    return family_of_folder(folder, config)


def _folder(spec: TransformersSpec, identity: Identity) -> Path:
    """Return the folder of configuration and tokenizer, which a GGUF file is given by us."""
    if identity.folder is None:
        raise ValueError(f"{identity.name} has no files")
    if spec.gguf is None:
        return identity.folder
    path = gguf_path(spec.model, spec.gguf, spec.revision)
    return gguf_folder(path, identity.key["gguf"], read_gguf_header(path))


def _config(spec: TransformersSpec, identity: Identity) -> PreTrainedConfig:
    """Return the configuration in a model's folder."""
    from transformers import AutoConfig

    from icl_gap.models.hf.cost import UNUSABLE_CONFIG

    folder, trust = _folder(spec, identity), spec.trust_remote_code
    if not trust:
        refuse_code(folder)
    with silence_transformers():
        try:
            found: PreTrainedConfig = AutoConfig.from_pretrained(
                str(folder), trust_remote_code=trust
            )
        except Exception as error:  # whatever can be wrong with a config
            raise library_error(error, UNUSABLE_CONFIG, identity.name) from error
    return found


def _tokenizer(spec: TransformersSpec, identity: Identity, folder: Path) -> TextTokenizer:
    """Return the tokenizer of a folder; a chat template puts BOS itself, and may have its EOS."""
    template = identity.chat_template
    bos: BosPolicy = spec.bos if template is None else "never"
    with said_if_slow(_log, f"reading the tokenizer of {identity.name}"):
        found = load_folder_tokenizer(folder, bos=bos, trust_remote_code=spec.trust_remote_code)
    if template is not None:
        found.eos |= end_of_turn(template, found)
    return found


def _check_library(spec: TransformersSpec) -> None:
    """Check that the quantization's library is installed, before anything runs."""
    if spec.quantization is not None and find_spec("bitsandbytes") is None:
        raise ModelError(
            "quantization needs bitsandbytes, which is not installed",
            value=spec.quantization,
            allowed="`pip install 'icl-gap[quantization]'`, or leave quantization out",
        ).at(key="quantization")


def _local_files(folder: Path) -> dict[str, str]:
    if not folder.is_dir():
        raise ModelError("no such folder", value=str(folder), allowed="a folder that holds a model")
    read_config(folder)
    return fingerprints(folder, weight_files(folder))


def _settings(spec: TransformersSpec) -> dict[str, Any]:
    """Return the user's choices that can change a result.

    In float32 a result does not depend on what else is in the batch. In any other precision a near
    tie may fall either way, so `kv_cache_tokens` is included. The sweep's other cells are not, as a
    sweep that grows would then have to run again; `precision_check` tells how often it matters.
    """
    settings: dict[str, Any] = {
        "dtype": spec.dtype,
        "quantization": spec.quantization,
        "bos": spec.bos,
        "trust_remote_code": spec.trust_remote_code,
    }
    if spec.precision == "adjudicated":
        settings["precision"] = spec.precision
    if spec.dtype != "float32" or spec.quantization is not None:
        settings["kv_cache_tokens"] = spec.kv_cache_tokens
    return settings
