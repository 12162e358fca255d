"""How many tokens the two prompts of a song make, before anything is cut."""

from acestep.checking.labels import Tokens
from acestep.data.song import Dataset, Song
from acestep.model.find import find_model


def token_counter(dataset: Dataset, model: str | None) -> Tokens:
    """Counts the tokens of a song's caption and lyrics as the model's tokenizer makes them.

    Raises ``ModelError`` for a model that is not there.
    """
    from acestep.model.base import load_tokenizer
    from acestep.model.prompt import caption_prompt, lyrics_prompt

    tokenizer = load_tokenizer(find_model(model))

    def count(song: Song) -> tuple[int, int]:
        labels = dataset.prompt_labels(song)
        prompts = caption_prompt(labels), lyrics_prompt(labels)
        caption, lyrics = (len(tokenizer(prompt)["input_ids"]) for prompt in prompts)
        return caption, lyrics

    return count
