import numpy as np

from acestep.mini.train.shapes import VOCABULARY
from acestep.mini.train.text_tokens import open_tokenizer, some_instruction, train_tokenizer
from acestep.model.prompt import INSTRUCTIONS

FOREIGN = "Ünïcode 夜に駆ける 🎷 [Verse 1]\n- bpm: 128\n<|endoftext|>\n"


def test_any_text_comes_back(prepared):
    tokenizer = open_tokenizer(prepared / "text")
    ids = tokenizer(FOREIGN)["input_ids"]
    assert tokenizer.decode(ids) == FOREIGN
    assert max(ids) < VOCABULARY


def test_digits_are_single_and_the_end_is_one_token(prepared):
    tokenizer = open_tokenizer(prepared / "text")
    assert [tokenizer.decode([one]) for one in tokenizer("128")["input_ids"]] == ["1", "2", "8"]
    assert len(tokenizer("<|endoftext|>")["input_ids"]) == 1


def test_the_same_songs_give_the_same_file(prepared, tmp_path):
    train_tokenizer(tmp_path, songs=80)
    name = "tokenizer.json"
    assert (tmp_path / name).read_bytes() == (prepared / "text" / name).read_bytes()


def test_every_task_is_told():
    rng = np.random.default_rng(0)
    seen = {some_instruction(rng).split()[0] for _ in range(300)}
    assert seen == {sentence.split()[0] for sentence, _ in INSTRUCTIONS.values()}
