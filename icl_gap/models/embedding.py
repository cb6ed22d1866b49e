"""Sentence embeddings by the library sentence-transformers, to find similar texts."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from icl_gap.errors import ModelError
from icl_gap.models.hf import hub
from icl_gap.models.hf.folder import fingerprints, parts_of_embedder
from icl_gap.models.hf.remote_code import refuse_embedder_code
from icl_gap.models.hf.silence import silence_transformers
from icl_gap.specs import Spec, user_path

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from sentence_transformers import SentenceTransformer


class EmbedderSpec(Spec):
    """A model of sentence-transformers."""

    path_fields: ClassVar[tuple[str, ...]] = ("model",)

    model: str = "sentence-transformers/all-mpnet-base-v2"
    """Folder, or name on the hub."""
    revision: str | None = None
    """Branch, tag or commit on the hub; by default the main branch."""


def find_embedder(spec: EmbedderSpec) -> Embedder:
    """Find a model in its folder, or fetch it from the hub.

    Raises:
        ModelError: The model does not exist, or the library is not installed.
    """
    if find_spec("sentence_transformers") is None:
        raise ModelError(
            "sentence-transformers is not installed",
            value="selection: embedding",
            allowed="pip install 'icl-gap[embedding]'",
        )
    local = user_path(spec.model)
    if local.is_dir():
        refuse_embedder_code(local)
        return Embedder(local, {"files": fingerprints(local, parts_of_embedder(local))})
    fetched = hub.fetch_embedder(spec.model, spec.revision)
    refuse_embedder_code(fetched)
    return Embedder(fetched, {"repo": spec.model, "commit": fetched.name})


class Embedder:
    """A model that embeds texts, each text once.

    Args:
        folder: The folder of the model's files, which are loaded at the first use.
        key: All that can change an embedding: hashes of files, or a commit.
    """

    def __init__(self, folder: Path, key: dict[str, Any]) -> None:
        self.key = key
        self._folder = folder
        self._model: SentenceTransformer | None = None
        self._known: dict[str, NDArray[np.float32]] = {}

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts in float32.

        Returns:
            Array of shape (n, d), whose rows have unit length.

        Raises:
            ModelError: The model cannot be loaded.
        """
        import numpy as np

        if new := [text for text in dict.fromkeys(texts) if text not in self._known]:
            found = self._loaded().encode(new, normalize_embeddings=True, show_progress_bar=False)
            self._known.update(zip(new, np.asarray(found, np.float32), strict=True))
        return np.stack([self._known[text] for text in texts])

    def _loaded(self) -> SentenceTransformer:
        if self._model is None:
            with silence_transformers():
                self._model = _load_sentence_transformer(self._folder)
        return self._model


def _load_sentence_transformer(folder: Path) -> SentenceTransformer:
    from sentence_transformers import SentenceTransformer

    try:
        return SentenceTransformer(str(folder), local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(
            f"not a model of sentence-transformers: {error}", value=str(folder)
        ) from error
