"""SPARQL, as CFQ writes it."""

from __future__ import annotations

from icl_gap.programs.language import Language
from icl_gap.programs.sparql.isomorphism import Triple, find_renaming, rename
from icl_gap.programs.sparql.sparql_parser import UNEQUAL, SparqlQuery, parse_sparql
from icl_gap.programs.sparql.sparql_prefix import can_become_query, parse_target_query
from icl_gap.programs.trees import Tree, without_number


class Sparql(Language[SparqlQuery]):
    """SPARQL of CFQ, equal up to clause order, repeats, variable names, `ns:` and spacing.

    Two queries are equal if one bijective renaming of variables, head to head, turns the clauses of
    one, as a set, into those of the other; `!=` has no sides. Nothing else is equated: neither the
    order of alternatives in a property path nor `^` with its arguments exchanged.
    """

    name = "sparql"
    execution = "normal_form"

    def parse(self, text: str) -> SparqlQuery:
        """Parse a query, as `parse_sparql` does."""
        return parse_sparql(text)

    def differences(self, prediction: SparqlQuery, target: SparqlQuery) -> list[str] | None:
        """List the differences of two equal queries; None if they are not equal."""
        renaming = find_renaming(prediction.pattern, target.pattern)
        if renaming is None:
            return None
        ours = [rename(clause, renaming) for clause in prediction.written]
        theirs = target.written
        ours_sorted, theirs_sorted = _sort_sides(ours), _sort_sides(theirs)
        signs = {
            "variable names": any(old != new for old, new in renaming.items()),
            "clause order": list(dict.fromkeys(ours_sorted)) != list(dict.fromkeys(theirs_sorted)),
            "repeated clauses": sorted(ours_sorted) != sorted(theirs_sorted),
            "argument order": set(ours) != set(theirs),
            "punctuation": prediction.extra_dots != target.extra_dots,
            "namespace": prediction.prefixed != target.prefixed,
            "spacing": prediction.plain != target.plain,
        }
        return [name for name, differs in signs.items() if differs] or ["spacing"]

    def can_continue(self, text: str, target: str) -> bool:
        """Return whether some continuation of a text may be equal to a target; conservative."""
        query = parse_target_query(target)
        return query is not None and can_become_query(text, query)

    def tree(self, text: str) -> Tree:
        """Return a query as a tree: head above clauses, relation above subject and object."""
        query = parse_sparql(text.strip())
        head = "count" if query.pattern.head is None else without_number(query.pattern.head)
        labels, parents = [f"SELECT {head}"], [-1]
        for subject, relation, object_ in query.written:
            clause = len(labels)
            labels += [relation, without_number(subject), without_number(object_)]
            parents += [0, clause, clause]
        return Tree(tuple(labels), tuple(parents))


def _sort_sides(clauses: list[Triple]) -> list[Triple]:
    return [
        (value, sign, subject) if sign == UNEQUAL and value < subject else (subject, sign, value)
        for subject, sign, value in clauses
    ]


SPARQL = Sparql()
