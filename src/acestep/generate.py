"""Make music: pieces into files, a seed each. :func:`acestep.render.render_all` makes them."""

from collections.abc import Iterator
from pathlib import Path

from acestep.config import GenerateConfig
from acestep.errors import ConfigError
from acestep.events import Event, Finished, Saved, Started
from acestep.playing import Rendition, render_facts
from acestep.render import Sounds, open_parts, read_sound, render_all, request_problems

OUTPUT_SUFFIXES = (".flac", ".wav", ".mp3", ".ogg", ".opus")


def generate(config: GenerateConfig) -> Iterator[Event]:
    """Make a piece and write it to ``config.output``, or ``config.count`` of them beside it.

    Each is what its seed alone gives: on a CPU to the bit, on a GPU to rounding, where several go
    through the transformer together. The facts at the end are the last one's.
    Raises ``ConfigError`` for inputs that do not fit together (all of them at once),
    ``ModelError``, ``AdapterError`` or ``AudioError`` for what cannot be read or does not fit.
    """
    problems = request_problems(config, has_source=config.src_audio is not None)
    if config.output.suffix.lower() not in OUTPUT_SUFFIXES:
        problems.append(f"--output {config.output}: must end in {', '.join(OUTPUT_SUFFIXES)}")
    if config.lyrics_file and "lyrics" in config.model_fields_set:
        problems.append("--lyrics, --lyrics-file: give one of the two")
    if len(config.lora_scale) > len(config.lora):
        problems.append(
            f"--lora-scale: {len(config.lora_scale)} strengths for {len(config.lora)} adapters"
        )
    if config.seed + config.count > 2**63:
        problems.append(f"--count {config.count}: there is no seed beyond 2^63 - 1")
    if problems:
        raise ConfigError(problems)
    config = _with_lyrics(config)
    sounds = Sounds(
        read_sound(config.src_audio, config.duration) if config.src_audio else None,
        read_sound(config.reference_audio) if config.reference_audio else None,
    )
    parts, notices = open_parts(config)
    yield Started("generate", render_facts(parts, config))
    yield from notices
    seeds = range(config.seed, config.seed + config.count)
    configs = [config.model_copy(update={"seed": seed}) for seed in seeds]
    for item in render_all(parts, configs, sounds):
        if not isinstance(item, Rendition):
            yield item
            continue
        file = output_file(config, item.seed)
        item.save(file)
        yield Saved("audio", str(file))
        last = Finished("generate", str(file), item.facts)
    yield last


def output_file(config: GenerateConfig, seed: int) -> Path:
    """Where the piece of a seed goes: of several, each has its seed in its name.

    It takes the place of the first seed, if that is one of the name's parts (``42_on.flac``), else
    it stands at the end (``song_42.flac``).
    """
    if config.count == 1:
        return config.output
    first = str(config.seed)
    words = config.output.stem.split("_")
    if first not in words:
        words.append(first)
    return config.output.with_stem("_".join(str(seed) if w == first else w for w in words))


def _with_lyrics(config: GenerateConfig) -> GenerateConfig:
    if config.lyrics_file is None:
        return config
    path = config.lyrics_file.expanduser()
    try:
        lyrics = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            [f"--lyrics-file {path}: {error}"], hint="name a text file in UTF-8"
        ) from error
    return config.model_copy(update={"lyrics": lyrics, "lyrics_file": None})
