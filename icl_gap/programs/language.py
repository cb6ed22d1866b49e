"""Base class of the languages that targets are written in, and the database programs are run on.

A language says how a text is parsed, when two programs are the same, how a program reads as a tree
and, where it can, what running a program gives. To add one: subclass `Language` in a module of its
own, and enter the instance in `icl_gap.programs.languages`.

`Language.compare` gives the reason of its verdict. A reason is None where the strings are equal.
Otherwise it is one of the strings below; for equal programs it lists their differences, joined by
`, `.

    canonical  reason                  languages      meaning
    ---------  ----------------------  -------------  --------------------------------------------
    true       variable names          sparql         another name for at least one variable
    true       clause order            sparql         the same clauses in another order
    true       repeated clauses        sparql         one has a clause more often than the other
    true       argument order          sparql, funql  sides of `!=`, arguments of `intersection`
    true       punctuation             sparql         a dot more, or less, beside a clause
    true       namespace               sparql         `ns:film.film` for `film.film`
    true       brackets                funql          brackets around a whole expression
    true       spacing                 not number     white space only
    true       wording                 number         another text with the same final number
    false      empty                   all            the prediction is empty or white space
    false      malformed: FAULT        all but rows   the prediction is not a program
    false      malformed target: FAULT all            the target is not a program
    false      different program       all            both are programs, and they differ
    false      undecided: FAULT        sparql         the search for a renaming outgrew its bound

    FAULT                 languages      meaning
    --------------------  -------------  ---------------------------------------------------------
    empty                 all            the target is empty or white space
    not closed            sparql, funql  the last `}` or `)` is missing
    text after the end    sparql, funql  something follows the last bracket
    head                  sparql         neither `SELECT count ( * ) WHERE {` nor
                                         `SELECT DISTINCT ?x0 WHERE {`
    no clauses            sparql         nothing stands between the brackets
    clause                sparql         not three terms, or not separated by dots
    filter                sparql         not `FILTER ( a != b )`
    arguments             funql          one is missing, or they belong to no operator
    names side by side    funql          there is no comma between them
    quotes                funql          a `'` is never closed
    search bound reached  sparql         see `isomorphism.WORK_BOUND`
    no number             number         the text has none

Rows are the languages `tokens`, `scan` and `logical_form`, where every text is a program.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Generic, Literal, TypeVar

from icl_gap.programs.trees import Tree, token_row
from icl_gap.schema import Score
from icl_gap.text import brief, drop_incomplete_character

Program = TypeVar("Program")
Execution = Literal["none", "normal_form", "run"]
"""Source of the execution match of a language's programs.

- `none`: they cannot be run.
- `normal_form`: two programs have the same result exactly if they are canonically equal. Such are
  CFQ's queries, compared as patterns up to isomorphism, and targets that are answers themselves.
- `run`: `Language.execute` runs them.
"""


class MalformedError(Exception):
    """The text is not a program of its language; the message says why in a few words."""


class UndecidedError(Exception):
    """A comparison outgrew its bound."""


class NotExecutableError(Exception):
    """The language cannot be run, or lacks the database or the bindings that it needs."""


class NoResultError(Exception):
    """The program is well formed and has no result: wrong types, or an unknown name."""


@dataclass(frozen=True, slots=True, eq=False)
class Database:
    """Database that a benchmark's programs are run on."""

    facts: str
    """The facts in their published form."""
    bindings: Mapping[str, Mapping[str, str]]
    """By example id: the entity behind each placeholder, as a program writes it."""

    def __repr__(self) -> str:
        sizes = f"{len(self.facts):,} characters", f"{len(self.bindings):,} examples"
        return brief("Database", *sizes)


class Language(ABC, Generic[Program]):
    """Language of targets and predictions; instances have no state."""

    name: ClassVar[str]
    """Name in dataset cards (`language:`) and in cell keys."""
    execution: ClassVar[Execution]
    """Source of the execution match."""
    needs_database: ClassVar[bool] = False
    """True if `execute` needs a `Database` and the id of the example."""

    @abstractmethod
    def parse(self, text: str) -> Program:
        """Parse a program into its normal form, as far as the language has one.

        Args:
            text: The program, stripped and not empty.

        Raises:
            MalformedError: The text is not a program.
        """

    @abstractmethod
    def differences(self, prediction: Program, target: Program) -> list[str] | None:
        """List the differences between the texts of two canonically equal programs.

        Args:
            prediction: A program.
            target: Another, whose text is not the same.

        Returns:
            At least one difference from the table above, in its order; None if the programs are
            not equal.

        Raises:
            UndecidedError: The comparison outgrew its bound.
        """

    @abstractmethod
    def can_continue(self, text: str, target: str) -> bool:
        """Return whether some continuation of a text is canonically equal to a target.

        Called by `can_still_match`, which handles the target's own text and unfinished characters.
        True is always safe; False must be certain.

        Args:
            text: Start of an answer.
            target: The target, stripped.

        Raises:
            UndecidedError: The check outgrew its bound; counts as True.
        """

    @abstractmethod
    def tree(self, text: str) -> Tree:
        """Return a program as a tree.

        Raises:
            MalformedError: The text is not a program.
        """

    def execute(
        self, program: str, database: Database | None = None, example_id: str | None = None
    ) -> Hashable:
        """Run a program; languages with an interpreter override this.

        Args:
            program: The program.
            database: What it runs on, for languages with `needs_database`.
            example_id: The example whose placeholders it holds, for the same languages.

        Returns:
            The result, to be compared with `==`.

        Raises:
            MalformedError: The text is not a program.
            NoResultError: The program has no result.
            NotExecutableError: The language cannot be run, or lacks what it needs.
        """
        del program, database, example_id
        raise NotExecutableError(f"programs of the language `{self.name}` cannot be run")

    def is_executable(self, database: Database | None) -> bool:
        """Return whether programs can be run on a database, or on None."""
        return self.execution != "none" and not (self.needs_database and database is None)

    def same_result(
        self,
        prediction: str,
        target: str,
        database: Database | None = None,
        example_id: str | None = None,
    ) -> bool | None:
        """Compare the results of two programs that are not canonically equal.

        Equal results do not imply equal meaning: 59 of GeoQuery's 880 gold programs have an empty
        result, which equals that of any program without an answer.

        Args:
            prediction: A program, or any other text.
            target: The gold program.
            database: As in `execute`.
            example_id: As in `execute`.

        Returns:
            False also where one of them has no result; None if the programs cannot be run.
        """
        if self.execution == "normal_form":
            return False
        try:
            return self.execute(prediction, database, example_id) == self.execute(
                target, database, example_id
            )
        except NotExecutableError:
            return None
        except (MalformedError, NoResultError):
            return False

    def compare(self, prediction: str, target: str) -> Score:
        """Compare a prediction with its target, by string and by normal form.

        Args:
            prediction: Any text.
            target: The gold program.

        Returns:
            Raw and canonical match with the reason; `execution` is None.
        """
        prediction, target = prediction.strip(), target.strip()
        if prediction == target:
            return Score(raw=True, canonical=True)
        try:
            gold = self._parse_target(target)
        except MalformedError as fault:
            return _mismatch(f"malformed target: {fault}")
        if not prediction:
            return _mismatch("empty")
        try:
            found = self.differences(self.parse(prediction), gold)
        except MalformedError as fault:
            found, reason = None, f"malformed: {fault}"
        except UndecidedError as fault:
            found, reason = None, f"undecided: {fault}"
        else:
            reason = "different program" if found is None else ", ".join(found)
        return Score(raw=False, canonical=found is not None, reason=reason)

    def can_still_match(self, text: str, target: str) -> bool:
        """Return whether an answer that begins with a text can still be canonically equal.

        Decoding stops a request once this is False. An answer is given up only if no continuation
        is equal to the target, however odd: `?x0 ` may become `?x0 /b`, which is one variable.

        Args:
            text: The answer so far. It may end within a token; up to three U+FFFD at its end stand
                for the bytes of an unfinished character, and may become anything.
            target: The gold program. Nothing but its own text matches a malformed one.
        """
        text, target = drop_incomplete_character(text), target.strip()
        if target.startswith(text.lstrip()) or text.strip() == target:
            return True
        try:
            return self.can_continue(text, target)
        except UndecidedError:
            return True

    def lenient_tree(self, text: str) -> Tree:
        """Return any text as a tree: a text that is not a program becomes a row of tokens."""
        try:
            return self.tree(text)
        except MalformedError:
            return token_row(text)

    def _parse_target(self, target: str) -> Program:
        if not target:
            raise MalformedError("empty")
        return self.parse(target)


def _mismatch(reason: str) -> Score:
    return Score(raw=False, canonical=False, reason=reason)
