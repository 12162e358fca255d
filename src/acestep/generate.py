"""Make music: one piece into one file. :func:`acestep.render.render` makes it."""

from collections.abc import Iterator

from acestep.config import GenerateConfig
from acestep.errors import ConfigError
from acestep.events import Event, Finished, Saved, Started
from acestep.render import Sounds, open_parts, read_sound, render, render_facts, request_problems

OUTPUT_SUFFIXES = (".flac", ".wav", ".mp3", ".ogg", ".opus")


def generate(config: GenerateConfig) -> Iterator[Event]:
    """Make one piece and write it to ``config.output``.

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
    rendition = yield from render(parts, config, sounds)
    rendition.save(config.output)
    yield Saved("audio", str(config.output))
    yield Finished("generate", str(config.output), rendition.facts)


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
