"""Fields of queries that results name by id alone, by which queries can be clustered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from icl_gap.errors import AnalysisError
from icl_gap.evaluation.texts import read_texts
from icl_gap.programs.templates import program_template
from icl_gap.progress import Progress, no_progress
from icl_gap.results import OUTCOMES, Results
from icl_gap.schema import Example

if TYPE_CHECKING:
    import pandas as pd

QUERY_FIELDS: Mapping[str, Callable[[Example], str]] = MappingProxyType(
    {
        "template": lambda example: program_template(example.target),
        "target": lambda example: example.target,
        "source": lambda example: example.source,
    }
)
"""Fields of a query that come from its example, which the benchmark has to be read for."""


def read_outcome_frame(
    stores: Sequence[Results], cluster: str | None = None, *, progress: Progress = no_progress
) -> pd.DataFrame:
    """Read the columns of results that `analyze` needs.

    Args:
        stores: The results, of one folder or several.
        cluster: Field to cluster queries by: a column of frames, or one of `QUERY_FIELDS`, for
            which the benchmarks of the run are read.
        progress: Reports progress.

    Raises:
        AnalysisError: A benchmark is needed and not available.
    """
    columns = OUTCOMES if cluster is None else (*OUTCOMES, cluster)
    frames = []
    for results in stores:
        frame = results.frame(columns, progress=progress)
        if cluster is not None and cluster in QUERY_FIELDS:
            frame[cluster] = _query_field(results, frame, QUERY_FIELDS[cluster])
        frames.append(frame)
    return frames[0] if len(frames) == 1 else _joined(frames)


def _joined(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return frames one after the other; categories of all are united, to save memory."""
    import pandas as pd
    from pandas.api.types import union_categoricals

    first = frames[0]
    columns = {}
    for name in first.columns:
        parts = [frame[name] for frame in frames]
        categorical = all(isinstance(part.dtype, pd.CategoricalDtype) for part in parts)
        columns[name] = (
            pd.Series(union_categoricals(parts))
            if categorical
            else pd.concat(parts, ignore_index=True)
        )
    return pd.DataFrame(columns)


def _query_field(
    results: Results, frame: pd.DataFrame, field: Callable[[Example], str]
) -> pd.Series[str]:
    """Return a field of each row's query."""
    import pandas as pd

    texts = read_texts(results.sweep)
    found = pd.Series(pd.NA, index=frame.index, dtype="string")
    infos = {(info.dataset, info.split): info for info in results.infos}
    for (dataset, split), info in infos.items():
        if why := texts.why_not(info):
            raise AnalysisError(f"queries cannot be clustered without their benchmark: {why}")
        rows = (frame["dataset"] == dataset) & (frame["split"] == split)
        queries = frame.loc[rows, "query_id"]
        examples = texts.of(info)
        values = {query: field(examples[query]) for query in queries.unique()}
        found[rows] = queries.astype("string").map(values)
    return found
