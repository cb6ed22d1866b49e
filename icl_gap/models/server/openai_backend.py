"""The backend of models behind an OpenAI-compatible endpoint."""

from __future__ import annotations

from pathlib import Path

from icl_gap.errors import ModelError
from icl_gap.models.backend import Backend
from icl_gap.models.base import Model
from icl_gap.models.hf import hub
from icl_gap.models.hf.tokenizer import TextTokenizer, load_folder_tokenizer
from icl_gap.models.identity import Identity, tokenizer_digest, tokenizer_files
from icl_gap.models.server.address import check_server
from icl_gap.models.server.api_keys import read_key
from icl_gap.models.spec import OpenAISpec


class OpenAIBackend(Backend[OpenAISpec]):
    """Models on a server; only a tokenizer may be here."""

    spec_class = OpenAISpec

    def identify(self, spec: OpenAISpec) -> Identity:
        """Return the identity of a model by its server, the name there, and its tokenizer."""
        check_server(spec)
        folder = None if spec.tokenizer is None else _tokenizer_folder(spec.tokenizer)
        files = {} if folder is None else tokenizer_files(folder)
        if folder is not None and not files:
            raise ModelError("this folder holds no tokenizer", value=spec.tokenizer).at(
                key="tokenizer"
            )
        name = Path(spec.model).name if hub.is_path(spec.model) else spec.model
        key = {
            "model": spec.model,
            "base_url": spec.base_url.rstrip("/"),
            "tokenizer": files,
            "context_length": spec.context_length,
            "logprobs": spec.logprobs,
            **spec.request_key(),
        }
        if spec.revision is not None:  # the server may run another one under the same name
            key["revision"] = spec.revision
        if spec.training_seed is not None:
            key["training_seed"] = spec.training_seed
        return Identity(
            name=name,
            family=spec.family or name,
            context_length=spec.context_length,
            trained=True,
            key=key,
            folder=folder,
            tokenizer=tokenizer_digest({"bos": "tokenizer", **files}) if files else None,
            training_tokens=spec.training_tokens,
            n_params=spec.n_params,
            n_params_non_embedding=spec.n_params_non_embedding,
            size_source=spec.size_source,
            training_seed=spec.training_seed,
            revision=spec.revision,
        )

    def tokenizer(self, spec: OpenAISpec, identity: Identity) -> TextTokenizer | None:
        """Return the tokenizer that the spec names, if it names one."""
        del spec
        if identity.folder is None:
            return None
        return load_folder_tokenizer(identity.folder, bos="tokenizer", trust_remote_code=False)

    def load(self, spec: OpenAISpec, identity: Identity) -> Model:
        """Read the key; find out what the server can do, where the spec leaves it open."""
        from icl_gap.models.server.server_model import ServerModel

        return ServerModel(spec, identity, self.tokenizer(spec, identity), read_key(spec))


def _tokenizer_folder(tokenizer: str) -> Path:
    return hub.local_folder(tokenizer) or hub.resolve(tokenizer, None)
