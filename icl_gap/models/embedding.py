"""Sentence embeddings, by the library sentence-transformers: which texts are alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from icl_gap.errors import ModelError
from icl_gap.models import hub
from icl_gap.models.folder import sha256
from icl_gap.models.quiet import quiet_transformers
from icl_gap.specs import Spec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from sentence_transformers import SentenceTransformer

_UNREAD = ("README", "LICENSE", ".")
"""How the names of files begin that change no embedding."""


class EmbedderSpec(Spec):
    """A model of sentence-transformers."""

    model: str = "sentence-transformers/all-mpnet-base-v2"
    """A folder, or a name on the hub."""
    revision: str | None = None
    """A branch, tag or commit of the hub; by default the main branch."""


@dataclass(frozen=True, slots=True)
class EmbedderIdentity:
    """Who a model is: all that can change its embeddings."""

    folder: Path
    key: dict[str, Any]
    """Hashes of files or a commit, never paths."""


def identify_embedder(spec: EmbedderSpec) -> EmbedderIdentity:
    """Find out who a model is; its files are fetched.

    Raises:
        ModelError: There is no such model, or the library is not installed.
    """
    if find_spec("sentence_transformers") is None:
        raise ModelError(
            "sentence-transformers is not installed",
            value="selection: embedding",
            allowed="pip install 'icl-gap[embedding]'",
        )
    local = Path(spec.model).expanduser()
    if not local.is_dir():
        fetched = hub.fetch_embedder(spec.model, spec.revision)
        return EmbedderIdentity(fetched, {"repo": spec.model, "commit": fetched.name})
    paths = sorted(path for path in local.rglob("*") if path.is_file())
    files = {
        path.relative_to(local).as_posix(): sha256(path)
        for path in paths
        if not path.name.startswith(_UNREAD)
    }
    return EmbedderIdentity(local, {"files": files})


class Embedder:
    """Embeds texts, each once.

    Args:
        identity: Which model; it is loaded when it is first needed.
    """

    def __init__(self, identity: EmbedderIdentity) -> None:
        self.key = identity.key
        """As that of the identity."""
        self._folder = identity.folder
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
