from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from icl_gap.data.loaders import scan
from icl_gap.nano.scan_tokenizer import UNKNOWN, build_tokenizer, save_tokenizer, scan_template
from icl_gap.nano.vocabulary import ACTIONS, GRAMMAR, WORDS
from icl_gap.prompts import gold_with_stop, render
from icl_gap.schema import Example, Exemplars

TOKENIZER = build_tokenizer(scan_template())
COMMANDS = [
    Example(str(n), command, " ".join(actions).replace("I_", ""))
    for n, (command, actions) in enumerate(scan.commands())
]


def decode(tokens: list[int]) -> str:
    return TOKENIZER.decode(tokens, skip_special_tokens=False)


def test_each_word_is_one_token_of_its_own() -> None:
    words = (*WORDS, *ACTIONS, *GRAMMAR)
    tokens = [TOKENIZER.encode(f" {word}").ids for word in words]
    assert all(len(ids) == 1 for ids in tokens)
    assert len({ids[0] for ids in tokens}) == len(words) == 64 + 16 + 7
    assert len(set(WORDS)) == 64
    assert not set(WORDS) & set(GRAMMAR)


@given(st.lists(st.sampled_from(COMMANDS), max_size=4), st.sampled_from(COMMANDS))
def test_the_text_of_a_prompts_tokens_is_the_prompt(shown: list[Example], query: Example) -> None:
    prompt = render(scan_template(), Exemplars(query, tuple(shown), ())).text
    text = prompt + gold_with_stop(scan_template(), query.target)
    tokens = TOKENIZER.encode(text).ids
    assert decode(tokens) == text
    assert TOKENIZER.token_to_id(UNKNOWN) not in tokens
    assert tokens[: len(TOKENIZER.encode(prompt).ids)] == TOKENIZER.encode(prompt).ids


def test_other_words_are_unknown() -> None:
    assert TOKENIZER.encode(" xylophone").tokens == [UNKNOWN]


def test_transformers_reads_it_as_it_was(tmp_path) -> None:
    save_tokenizer(TOKENIZER, tmp_path)
    read = AutoTokenizer.from_pretrained(tmp_path)
    text = "Command: jump twice and turn left\nActions: JUMP JUMP TURN_LEFT\n\n"
    assert read(text)["input_ids"] == TOKENIZER.encode(text).ids
    assert read.decode(read(text)["input_ids"]) == text
    assert (read.eos_token, read.unk_token) == ("</s>", "<unk>")
