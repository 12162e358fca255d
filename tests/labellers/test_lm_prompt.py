import pytest
from language_models import CHAT, add_tokens

from acestep.errors import ModelError
from acestep.labellers.lm_prompt import CODES, code_text, fit_codes, prompt_ids

CODE_NAMES = [f"<|audio_code_{code}|>" for code in [*range(20), CODES - 1]]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return add_tokens(tmp_path_factory.mktemp("lm"), [*CHAT, *CODE_NAMES], special=False)


def test_the_question_is_a_chat_of_two_messages(tokenizer):
    ids = prompt_ids(tokenizer, [3, CODES - 1, 3])
    assert tokenizer.decode(ids) == (
        "<|im_start|>system\n# Instruction\nUnderstand the given musical conditions and describe "
        "the audio semantics accordingly:\n\n<|im_end|>\n"
        "<|im_start|>user\n<|audio_code_3|><|audio_code_63999|><|audio_code_3|><|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    codes = tokenizer.convert_tokens_to_ids(["<|audio_code_3|>", "<|audio_code_63999|>"])
    assert [token for token in ids if token in codes] == [codes[0], codes[1], codes[0]]


def test_a_template_of_the_models_own_counts(tokenizer, tmp_path):
    folder = tmp_path / "own"
    own = add_tokens(folder, [*CHAT, *CODE_NAMES], special=False)
    own.chat_template = "{% for m in messages %}({{ m['content'] }}){% endfor %}"
    assert own.decode(prompt_ids(own, [1])).endswith(":\n\n)(<|audio_code_1|>)")
    for broken in ("{% for %}", "{{ raise_exception('no') }}"):
        own.chat_template = broken
        with pytest.raises(ModelError, match="template is broken"):
            prompt_ids(own, [1])
    own.chat_template = "no codes"
    with pytest.raises(ModelError, match="no audio codes"):
        prompt_ids(own, [1])


def test_another_models_tokenizer_is_refused(tmp_path):
    plain = add_tokens(tmp_path, CHAT, special=False)
    with pytest.raises(ModelError, match="no audio codes") as caught:
        prompt_ids(plain, [1, 2])
    assert "acestep-5Hz-lm" in caught.value.hint


@pytest.mark.parametrize("code", [-1, CODES, 65534])
def test_codes_that_mean_nothing_are_not_asked_about(code):
    with pytest.raises(ValueError, match="from 0 to 63999"):
        code_text([0, code])


def test_a_long_song_is_cut_and_it_is_said():
    assert fit_codes([1, 2, 3], 3) == ([1, 2, 3], [])
    kept, notes = fit_codes(list(range(3000)), 2500)
    assert kept == list(range(2500))
    assert notes == [
        "the music language model heard the first 500 of 600 s: more does not fit into its context"
    ]
