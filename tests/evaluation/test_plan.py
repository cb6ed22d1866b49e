"""The grid, its keys, and what becomes of prompts that do not fit."""

from __future__ import annotations

from itertools import permutations, product

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from toys import sweep

from icl_gap.errors import DataError, InputError, PromptError, SamplingError
from icl_gap.evaluation.planning import Plan, outline_sweep, plan_sweep, prepare_requests
from icl_gap.schema import CellInfo

TIGHT = {"kind": "random_init", "family": "opt", "context_length": 60}


def keys(plan: Plan) -> list[str]:
    return [cell.info.key for cell in plan.cells]


def test_the_grid_is_every_combination(toy_card) -> None:
    plan = plan_sweep(sweep(toy_card))
    at = [(c.info.query_split, c.info.condition, c.info.shots, c.info.seed) for c in plan.cells]
    assert at == list(product(("test", "train"), ("id", "ood"), (0, 2), (0, 1)))
    assert len(set(keys(plan))) == len(plan.cells)
    assert all(cell.info.n_queries == 4 for cell in plan.cells)


def test_a_model_may_have_shots_of_its_own(toy_card) -> None:
    models = [{"kind": "nearest_exemplar", "shots": [5]}, {"kind": "mock"}]
    plan = plan_sweep(sweep(toy_card, models=models))
    shots = {(cell.info.model, cell.info.shots) for cell in plan.cells}
    assert shots == {("nearest", 5), ("mock", 0), ("mock", 2)}


def test_replicates_of_a_size_are_models_of_their_own() -> None:
    def cells(*seeds: int | None) -> list[CellInfo]:
        entries = [{"model": "nano-bloom-s", "training_seed": seed} for seed in seeds]
        plan = outline_sweep(sweep("scan", models=entries, shots=[1], seeds=[0], limit=2))
        return [cell.info for cell in plan.cells]

    one, *_ = cells(None)
    found = cells(0, 1)
    assert {(c.model, c.training_seed) for c in found} == {
        ("nano-bloom-s-seed0", 0),
        ("nano-bloom-s-seed1", 1),
    }
    assert (one.model, one.training_seed, one.revision) == ("nano-bloom-s", None, None)
    assert {c.family for c in found} == {one.family}
    assert one.key in {c.key for c in found}  # a label changes no result


def test_the_same_sweep_has_the_same_keys(toy_card) -> None:
    assert keys(plan_sweep(sweep(toy_card))) == keys(plan_sweep(sweep(toy_card)))


@pytest.mark.parametrize(
    "change",
    [
        {"selection": "random"},
        {"hold_out": "template"},
        {"overflow": "skip"},
        {"models": [{"kind": "mock"}]},
        {"models": [{"kind": "mock", "default": "x"}]},
        {"models": [TIGHT | {"context_length": 400}]},
        {"models": [TIGHT | {"context_length": 400, "seed": 1}]},
    ],
)
def test_what_can_change_a_result_changes_every_key(toy_card, change) -> None:
    one, two = plan_sweep(sweep(toy_card)), plan_sweep(sweep(toy_card, **change))
    assert not set(keys(one)) & set(keys(two))


def test_data_template_and_options_change_every_key(toy_card, tmp_path) -> None:
    before = keys(plan_sweep(sweep(toy_card)))
    entry = {"name": toy_card, "template": {"source_label": "S:", "target_label": "T:"}}
    assert not set(before) & set(keys(plan_sweep(sweep(toy_card, datasets=[entry]))))
    rows = tmp_path / "toy" / "test.tsv"
    rows.write_text(rows.read_text().replace("D 0", "D 0 0"))
    assert not set(before) & set(keys(plan_sweep(sweep(toy_card))))


@pytest.mark.parametrize(
    "change",
    [{"name": "other"}, {"figures": []}, {"models": [{"kind": "nearest_exemplar", "name": "n"}]}],
)
def test_what_cannot_change_a_result_leaves_the_keys(toy_card, change) -> None:
    assert keys(plan_sweep(sweep(toy_card))) == keys(plan_sweep(sweep(toy_card, **change)))


def test_a_lower_limit_asks_the_first_of_the_same_queries(toy_card) -> None:
    many, few = (plan_sweep(sweep(toy_card, limit=n)) for n in (9, 3))
    for one, other in zip(many.cells, few.cells, strict=True):
        assert one.info.key == other.info.key
        assert many.requests(one)[:3] == few.requests(other)


def test_a_prompt_beyond_the_context_is_an_error_by_default(toy_card) -> None:
    with pytest.raises(PromptError, match="does not fit the context of opt") as caught:
        plan_sweep(sweep(toy_card, models=[TIGHT], shots=[9]))
    assert "60 tokens in all" in str(caught.value)


@given(
    shots=st.integers(1, 9),
    policy=st.sampled_from(["skip", "drop_shots"]),
    context=st.integers(35, 130),
)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_both_conditions_ask_the_same_with_as_many_shots(toy_card, shots, policy, context) -> None:
    model = TIGHT | {"context_length": context}
    plan = plan_sweep(sweep(toy_card, models=[model], shots=[shots], overflow=policy))
    cells = {(c.info.query_split, c.info.seed, c.info.condition): c for c in plan.cells}
    for (side, seed, condition), cell in cells.items():
        asked = [r.prompt.shots for r in plan.requests(cell)]
        assert plan.sizes(cell).shortened == sum(k < shots for k in asked)
        assert plan.sizes(cell).skipped == sum(not r.fits for r in plan.requests(cell))
        if condition == "id":
            here = plan.requests(cell)
            there = plan.requests(cells[side, seed, "ood"])
            assert [(r.prompt.query_id, r.fits, r.prompt.shots) for r in here] == [
                (r.prompt.query_id, r.fits, r.prompt.shots) for r in there
            ]
        for request in plan.requests(cell):
            assert request.prompt.shots <= shots
            # the longest answer is " A 9\n": five bytes
            assert (request.tokens + 5 <= context) or not request.fits


THREE = ("id", "ood", "ood_matched")


def test_a_third_condition_leaves_the_keys_of_the_others(toy_card) -> None:
    two, three = plan_sweep(sweep(toy_card)), plan_sweep(sweep(toy_card, conditions=THREE))
    assert set(keys(two)) < set(keys(three))
    assert len(keys(three)) == len(set(keys(three))) == len(keys(two)) * 3 // 2


@pytest.mark.parametrize("control", [None, "shuffled_targets"])
@pytest.mark.parametrize("order", [*permutations(THREE)])
def test_matched_exemplars_depend_neither_on_other_cells_nor_on_more_shots(
    toy_card, order, control
) -> None:
    def shown(**changes: object) -> dict[tuple[object, ...], list[tuple[object, ...]]]:
        plan = plan_sweep(sweep(toy_card, control=control, **changes))
        return {
            (cell.info.query_split, cell.info.seed): [
                (each.prompt.exemplars, each.coverage, each.matched) for each in plan.requests(cell)
            ]
            for cell in plan.cells
            if (cell.info.condition, cell.info.shots) == ("ood_matched", 2)
        }

    alone = shown(conditions=["ood_matched"], shots=[2])
    assert alone == shown(conditions=order, shots=[5, 2])
    assert all(len(exemplars) == 2 for rows in alone.values() for exemplars, _, _ in rows)


def test_only_matched_requests_say_whether_they_are(toy_card) -> None:
    plan = plan_sweep(sweep(toy_card, conditions=THREE, shots=[0, 1]))
    found = {
        (cell.info.condition, cell.info.shots): {each.matched for each in plan.requests(cell)}
        for cell in plan.cells
    }
    none = {(name, shots): {None} for name in ("id", "ood") for shots in (0, 1)}
    assert none.items() <= found.items()
    assert found["ood_matched", 0] == {True}
    assert found["ood_matched", 1] <= {True, False}


def test_a_matched_prompt_that_is_too_long_shortens_all_three(toy_card) -> None:
    model = TIGHT | {"context_length": 80}
    changes = {"models": [model], "shots": [9], "conditions": THREE, "overflow": "drop_shots"}
    plan = plan_sweep(sweep(toy_card, **changes))
    shots = {
        (cell.info.query_split, cell.info.seed, cell.info.condition): [
            request.prompt.shots for request in plan.requests(cell)
        ]
        for cell in plan.cells
    }
    for side, seed, _ in shots:
        assert len({tuple(shots[side, seed, name]) for name in THREE}) == 1
    assert min(map(min, shots.values())) < 9


@pytest.mark.parametrize("families", [("opt", "bloom", "codegen"), ("codegen", "bloom", "opt")])
def test_each_model_s_prompts_are_counted_by_its_own_tokenizer(toy_card, families) -> None:
    named = [{"kind": "random_init", "family": family} for family in families]
    plan = plan_sweep(sweep(toy_card, models=named))
    for cell in plan.cells:
        texts = [request.prompt.text for request in plan.requests(cell)]
        assert plan.sizes(cell).prompt_tokens == tuple(
            map(cell.model.tokenizer.prompt_length, texts)
        )
        # bytes, and a BOS where the family's tokenizer puts one
        bos = cell.info.family == "opt"
        assert plan.sizes(cell).prompt_tokens == tuple(len(text) + bos for text in texts)


def test_an_outline_draws_what_the_plan_draws(toy_card) -> None:
    spec = sweep(toy_card)
    outline, plan = outline_sweep(spec), plan_sweep(spec)
    for one, other in zip(outline.cells, plan.cells, strict=True):
        assert one.info == other.info
        assert outline.requests(one) == plan.requests(other)


@pytest.mark.parametrize("selection", ["bm25", "cover_ls"])
def test_the_order_moves_exemplars_and_nothing_else(toy_card, selection) -> None:
    as_chosen = plan_sweep(sweep(toy_card, selection=selection))
    turned = plan_sweep(sweep(toy_card, selection=selection, order="reversed"))
    assert not set(keys(as_chosen)) & set(keys(turned))
    for one, other in zip(as_chosen.cells, turned.cells, strict=True):
        for left, right in zip(as_chosen.requests(one), turned.requests(other), strict=True):
            assert left.prompt.exemplars == right.prompt.exemplars[::-1]
            blocks = [f" {e.source}\nA: {e.target}" for e in right.prompt.exemplars]
            at = [right.prompt.text.index(block) for block in blocks]
            assert at == sorted(at)


def test_what_is_finished_is_not_drawn_unless_what_is_computed_with_it_is_not(toy_card) -> None:
    plan = outline_sweep(sweep(toy_card, models=["nearest", TIGHT], shots=[9]))
    of_tight = [cell.info.key for cell in plan.cells if cell.info.family == "opt"]
    prepare_requests(plan, finished=of_tight)
    with pytest.raises(PromptError):
        prepare_requests(plan, finished=of_tight[1:])


def test_not_even_the_bare_prompt_fits(toy_card) -> None:
    tiny = TIGHT | {"context_length": 12}
    with pytest.raises(PromptError):
        plan_sweep(sweep(toy_card, models=[tiny], overflow="drop_shots"))
    plan = plan_sweep(sweep(toy_card, models=[tiny], overflow="skip"))
    assert all(plan.sizes(cell).skipped == cell.info.n_queries for cell in plan.cells)


@pytest.mark.parametrize(
    ("change", "kind", "key", "said"),
    [
        ({"datasets": ["skan"]}, DataError, "datasets[0]", "scan"),
        ({"datasets": ["scan", {"name": "scan", "split": "x"}]}, DataError, "datasets[1]", "mcd1"),
        (
            {"datasets": ["scan", {"name": "scan", "split": "mcd1"}]},
            InputError,
            "datasets[1]",
            "duplicate",
        ),
        (
            {"models": ["nearest", {"kind": "mock", "name": "nearest"}]},
            InputError,
            "models[1]",
            "duplicate",
        ),
        ({"models": ["/no/such/folder"]}, InputError, "models[0]", "/no/such/folder"),
        ({"shots": [0, 31]}, SamplingError, "shots", "at most"),
        ({"selection": "shared", "shots": [20]}, SamplingError, "shots", "at most"),
        (
            {"models": [{"kind": "nearest_exemplar", "shots": [31]}]},
            SamplingError,
            "models[0].shots",
            "at most",
        ),
    ],
)
def test_what_cannot_be_had_is_placed(toy_card, change, kind, key, said) -> None:
    with pytest.raises(kind, match=said) as caught:
        plan_sweep(sweep(toy_card, **change))
    assert caught.value.place.key.startswith(key)


def test_a_target_that_holds_the_stop_is_refused(toy_card) -> None:
    entry = {
        "name": toy_card,
        "template": {"source_label": "S:", "target_label": "T:", "stop": "D"},
    }
    with pytest.raises(InputError, match="holds the template's stop"):
        plan_sweep(sweep(toy_card, datasets=[entry]))


@pytest.mark.parametrize(
    "change",
    [
        {"control": "shuffled_targets"},
        {"control": "targets_only"},
        {"datasets": [{"exemplars_from": {"name": "scan"}}]},
        {"datasets": [{"exemplars_from": {"name": "scan", "split": "mcd1"}}]},
    ],
)
def test_a_control_makes_other_cells(toy_card, change) -> None:
    if "datasets" in change:
        change = {"datasets": [{"name": toy_card, **change["datasets"][0]}]}
    plain, other = plan_sweep(sweep(toy_card)), plan_sweep(sweep(toy_card, **change))
    assert not {c.info.key for c in plain.cells} & {c.info.key for c in other.cells}
    for cell, twin in zip(plain.cells, other.cells, strict=True):
        asked, again = plain.requests(cell), other.requests(twin)
        assert [each.query_id for each in asked] == [each.query_id for each in again]
        same = [a.prompt.text == b.prompt.text for a, b in zip(asked, again, strict=True)]
        assert all(same) if cell.info.shots == 0 else not any(same)


def test_an_unknown_benchmark_of_exemplars_is_named_with_its_place(toy_card) -> None:
    entry = {"name": toy_card, "exemplars_from": {"name": "nowhere"}}
    with pytest.raises(DataError) as error:
        plan_sweep(sweep(toy_card, datasets=[entry]))
    assert "datasets[0].exemplars_from" in str(error.value)


def test_a_plan_of_some_models_has_their_cells_alone(toy_card: str) -> None:
    names = ["a/one", "two"]
    models = [{"kind": "random_init", "name": name} for name in names]
    plan = outline_sweep(sweep(toy_card, models=models))
    for wanted, found in (["one"], "a/one"), (["a/one"], "a/one"), (["two"], "two"):
        part = plan.only(wanted)
        assert {cell.info.model for cell in part.cells} == {found}
        assert part.cells == part.mine == tuple(c for c in plan.cells if c.info.model == found)
    assert plan.only(names).cells == plan.cells
    with pytest.raises(InputError, match="the sweep has no such model") as caught:
        plan.only(["two", "on"])
    assert caught.value.allowed == ["a/one", "two"]


def test_a_plan_without_some_cells_keeps_the_others(toy_card: str) -> None:
    plan = outline_sweep(sweep(toy_card))
    gone = {cell.info.key for cell in plan.cells[:5]}
    assert plan.without(gone).cells == plan.without(gone).mine == plan.cells[5:]
