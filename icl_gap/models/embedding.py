"""Sentence embeddings, by the library sentence-transformers: which texts are alike."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from icl_gap.errors import ModelError
from icl_gap.models.hf import hub
from icl_gap.models.hf.folder import fingerprints, parts_of_embedder
from icl_gap.models.hf.remote_code import refuse_embedder_code
from icl_gap.models.hf.silence import quiet_transformers
from icl_gap.specs import Spec, user_path

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from sentence_transformers import SentenceTransformer


class EmbedderSpec(Spec):
    """A model of sentence-transformers."""

    model: str = "sentence-transformers/all-mpnet-base-v2"
    """A folder, or a name on the hub."""
    revision: str | None = None
    """A branch, tag or commit of the hub; by default the main branch."""


def find_embedder(spec: EmbedderSpec) -> Embedder:
    """Find a model, by its folder or on the hub, from which its files are fetched.

    Raises:
        ModelError: There is no such model, or the library is not installed.
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
    """Embeds texts, each once.

    Args:
        folder: Where the model's files lie; they are loaded when they are first needed.
        key: Who it is: all that can change an embedding, as hashes of files or a commit.
    """

    def __init__(self, folder: Path, key: dict[str, Any]) -> None:
        self.key = key
        self._folder = folder
        self._model: SentenceTransformer | None = None
        self._known: dict[str, NDArray[np.float32]] = {}

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts in float32.

        Returns:
            (n, d), rows of unit length.

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
            with quiet_transformers():
                self._model = _load(self._folder)
        return self._model


def _load(folder: Path) -> SentenceTransformer:
    from sentence_transformers import SentenceTransformer

    try:
        return SentenceTransformer(str(folder), local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(
            f"not a model of sentence-transformers: {error}", value=str(folder)
        ) from error
