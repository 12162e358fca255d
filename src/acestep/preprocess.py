"""Encode songs to tensors once: an audio pass, then a text pass, and only what changed."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from acestep.checking.labels import SAID_LATER, told
from acestep.config import PreprocessConfig
from acestep.data.readahead import Cut, ReadAhead
from acestep.data.song import load_dataset
from acestep.data.tensors import (
    MANIFEST,
    Manifest,
    fingerprint,
    list_samples,
    load_record,
    remembered_model,
    save_record,
    tensor_folder,
    write_manifest,
)
from acestep.data.variants import variant_marks
from acestep.errors import AudioError, DatasetError, TensorError
from acestep.events import Event, Finished, Notice, Progress, Saved, Skipped, Started, Text
from acestep.model.base import (
    find_again,
    find_model,
    load_condition_encoder,
    load_text_encoder,
    load_vae,
)
from acestep.model.condition import encode_condition, silence_context, text_states
from acestep.model.device import choose_device, choose_dtype, free_memory
from acestep.model.prompt import Prompt, build_prompt
from acestep.model.vae import encode_audio
from acestep.outdated import (
    Job,
    Work,
    audio_fingerprint,
    frames_of,
    labels_of,
    plan,
    stale_audio,
    stale_text,
    text_fingerprint,
)
from acestep.processes import join
from acestep.speed.convolutions import layout
from acestep.speed.encoding import readers, tiles_at_once

# What decides the tensors beside the songs, their labels and the model
SETTINGS = (
    "max_seconds",
    "segment_seconds",
    "tile_seconds",
    "audio_precision",
    "chunk_mask",
    "seed",
)
TEXTS_PER_VISIT = 64  # with --offload, texts encoded before the encoders change places


@dataclass
class Share:
    """What one of several processes has done."""

    names: list[str] = field(default_factory=list)
    told: list[Skipped | Notice] = field(default_factory=list)
    audio_encoded: int = 0
    texts_encoded: int = 0


def preprocess(config: PreprocessConfig) -> Iterator[Event]:
    """Encode every labelled song of a dataset; what is up to date is left alone.

    A song that cannot be used is reported as ``Skipped``. Raises ``DatasetError`` if none can,
    ``ModelError`` for the base model, ``TensorError`` if the folder cannot be written.
    """
    try:
        with ExitStack() as held:
            yield from _preprocess(config, held)
    except torch.OutOfMemoryError as error:
        raise TensorError(
            f"out of memory on the device: {error}",
            hint="lower --tile-seconds, use --offload or --device cpu; what is done is kept",
        ) from error
    except OSError as error:
        raise TensorError(
            f"cannot write to {config.output}: {error.strerror or error}",
            hint="free some space or fix the permissions; run again, it goes on where it was",
        ) from error


def _preprocess(config: PreprocessConfig, held: ExitStack) -> Iterator[Event]:
    dataset = load_dataset(config.dataset)
    known = remembered_model(config.output) if config.model is None else None
    model = find_again(known, config.output) if known else find_model(config.model)
    processes = join(choose_device(config.device))
    dtype = choose_dtype(processes.device, config.precision)
    work = Work(config, dataset, model, processes, dtype)
    yield Started(
        "preprocess",
        {
            "songs": len(dataset.songs),
            "model": model.name,
            "device": str(processes.device),
            "precision": str(dtype).removeprefix("torch."),
        },
    )
    if config.dry_run:
        yield from _outlook(work)
        return
    if processes.is_main:
        yield from told(dataset, but=SAID_LATER)
        held.enter_context(tensor_folder(config.output, together=work.parts > 1))
    processes.wait()
    share = Share()
    for event in _encode_share(work, share):
        if isinstance(event, Skipped | Notice):
            share.told.append(event)
        yield event
    shares = processes.collect([share])
    if processes.is_main:
        for other in shares[1:]:
            yield from other.told
    names = sorted(name for part in shares for name in part.names)
    if processes.is_main and work.parts > 1:
        yield from _part_done(work, shares)
        return
    if not names:
        raise DatasetError(
            f"no song of {config.dataset} could be encoded",
            hint="see the reasons above; acestep label or acestep edit adds captions",
        )
    if processes.is_main:
        manifest = _write_manifest(work, names)
        yield Saved("tensors", str(config.output / MANIFEST))
        minutes = round(manifest.dataset["seconds"] / 60, 1)
        facts = {"samples": len(names), "minutes": minutes, **_done(shares)}
        yield Finished("preprocess", str(config.output), facts)
    processes.wait()


def _part_done(work: Work, shares: list[Share]) -> Iterator[Event]:
    """Without a manifest: only a run over all songs knows that all parts are there."""
    yield Notice(
        "when all parts are done, run acestep preprocess once more without --part: it encodes "
        "what is missing and writes the manifest"
    )
    samples = sum(len(share.names) for share in shares)
    facts = {"part": work.config.part, "samples": samples, **_done(shares)}
    yield Finished("preprocess", str(work.config.output), facts)


def _done(shares: list[Share]) -> dict[str, int]:
    return {
        "audio_encoded": sum(share.audio_encoded for share in shares),
        "texts_encoded": sum(share.texts_encoded for share in shares),
        "skipped": sum(isinstance(e, Skipped) for share in shares for e in share.told),
    }


def _outlook(work: Work) -> Iterator[Event]:
    """What a run would encode, and why; nothing is written."""
    jobs: list[Job] = []
    with ReadAhead(int(readers(work.config.workers, work.processes.device).value)) as ahead:
        yield from plan(work, work.dataset.songs, ahead, jobs)
    rows = []
    for job in jobs:
        why = stale_audio(work, job)
        text = "" if why else stale_text(work, job)
        todo = "audio and text" if why else "text" if text else "nothing"
        rows.append({"song": job.song.id, "name": job.name, "todo": todo, "why": why or text})
    said = [": ".join(filter(None, (row["name"], row["todo"], row["why"]))) for row in rows]
    yield Text("\n".join(said))
    stale = sum(row["todo"] != "nothing" for row in rows)
    yield Finished("preprocess", facts={"samples": len(rows), "stale": stale, "outlook": rows})


def _encode_share(work: Work, share: Share) -> Iterator[Event]:
    """Both passes over this process's songs."""
    jobs: list[Job] = []
    failed: list[Job] = []
    manifest = work.config.output / MANIFEST
    reading = readers(work.config.workers, work.processes.device)
    with ReadAhead(int(reading.value)) as ahead:
        yield from plan(work, work.songs_here, ahead, jobs)
        stale = [job for job in jobs if stale_audio(work, job)]
        if stale:
            manifest.unlink(missing_ok=True)  # it is never there while samples change under it
            if work.processes.is_main:
                yield reading.notice("reading processes")
        yield from _audio_pass(work, stale, ahead, failed)
    share.audio_encoded = len(stale) - len(failed)
    lost = {job.file for job in failed}
    jobs = [job for job in jobs if job.file not in lost]
    stale = [job for job in jobs if stale_text(work, job)]
    if stale:
        manifest.unlink(missing_ok=True)
    yield from _text_pass(work, stale)
    share.texts_encoded = len(stale)
    share.names = [job.file.name for job in jobs]


def _audio_pass(
    work: Work, jobs: list[Job], ahead: ReadAhead, failed: list[Job]
) -> Iterator[Event]:
    """Encode audio, with nothing but the VAE in memory."""
    if not jobs:
        return
    config, device = work.config, work.processes.device
    dtype = choose_dtype(device, config.audio_precision)
    vae = load_vae(work.model, device, dtype)
    tiles = tiles_at_once(vae.config, device, dtype, config.tile_seconds)
    if work.processes.is_main:
        yield layout(device).notice("autoencoder")
        yield tiles.notice("tiles at once")
    streams = ahead.streams([Cut(job.path, job.start, job.length) for job in jobs])
    for done, (job, blocks) in enumerate(zip(jobs, streams, strict=True)):
        yield Progress("preprocess", done, len(jobs), f"audio: {job.name}")
        try:
            latents = encode_audio(
                vae,
                blocks,
                seed=config.seed,
                tile_seconds=config.tile_seconds,
                at_once=int(tiles.value),
            )
        except AudioError as error:
            failed.append(job)
            yield Skipped(job.name, str(error), error.hint)
            continue
        save_record(
            job.file,
            {
                "target_latents": latents[0].contiguous(),
                "metadata": {
                    "song": job.song.id,
                    "file_digest": job.file_digest,
                    "song_seconds": job.song_seconds,
                    "model": work.model.source,
                },
                "fingerprints": {"audio": audio_fingerprint(work, job)},
            },
        )
    yield Progress("preprocess", len(jobs), len(jobs), "audio")
    del vae
    free_memory(device)


def _text_pass(work: Work, jobs: list[Job]) -> Iterator[Event]:
    """Encode texts and complete the samples, with nothing but the two encoders in memory."""
    if not jobs:
        return
    device = work.processes.device
    home = torch.device("cpu") if work.config.offload else device
    tokenizer, text_encoder = load_text_encoder(work.model, home, work.dtype)
    condition_encoder = load_condition_encoder(work.model, home, work.dtype)
    for first in range(0, len(jobs), TEXTS_PER_VISIT):
        batch = jobs[first : first + TEXTS_PER_VISIT]
        labels = [labels_of(work, job, frames_of(job.file)) for job in batch]
        prompts = [build_prompt(each, tokenizer) for each in labels]
        with _visiting(text_encoder, home, device):
            states = [text_states(text_encoder, prompt, device) for prompt in prompts]
        with _visiting(condition_encoder, home, device):
            for place, (job, prompt) in enumerate(zip(batch, prompts, strict=True)):
                yield Progress("preprocess", first + place, len(jobs), f"text: {job.name}")
                yield from (Notice(cut, about=job.name) for cut in prompt.cut)
                condition = encode_condition(
                    condition_encoder, *states[place], is_xl=work.model.is_xl
                )
                _complete(work, job, prompt, condition, condition_encoder.silence_latent)
    yield Progress("preprocess", len(jobs), len(jobs), "text")
    del text_encoder, condition_encoder
    free_memory(device)


def _complete(work: Work, job: Job, prompt: Prompt, condition: Tensor, silence: Tensor) -> None:
    """Put text and context into a sample whose audio is there."""
    record = load_record(job.file)
    latents = record["target_latents"]
    labels = labels_of(work, job, latents.shape[0])
    context = silence_context(silence, latents.shape[0], work.config.chunk_mask)
    save_record(
        job.file,
        {
            "target_latents": latents,
            "encoder_hidden_states": condition[0].cpu().contiguous(),
            "context_latents": context[0].cpu().contiguous(),
            "metadata": {
                **record["metadata"],
                "audio_path": str(job.path),
                "filename": job.path.name,
                "start": job.start,
                "duration": labels.seconds,
                "caption": labels.caption,
                "lyrics": labels.lyrics,
                "bpm": labels.bpm,
                "keyscale": labels.keyscale,
                "timesignature": labels.timesignature,
                "language": labels.language,
                "instrumental": bool(job.song.instrumental),
                "caption_text": prompt.caption_text,
                "lyrics_text": prompt.lyrics_text,
            },
            "fingerprints": {
                "audio": record["fingerprints"]["audio"],
                "text": text_fingerprint(work, labels),
            },
        },
    )


def _write_manifest(work: Work, names: Iterable[str]) -> Manifest:
    """List the complete samples; the folder counts as preprocessed from here on."""
    variants = variant_marks(work.dataset.songs)
    samples = list_samples(work.config.output, names, variants)
    dataset, model = work.dataset, work.model
    manifest = Manifest(
        model={
            "name": model.name,
            "source": model.source,
            "variant": model.variant,
            "fingerprint": model.fingerprint,
        },
        dataset={
            "name": dataset.name,
            "tag": dataset.tag,
            "tag_position": dataset.tag_position,
            "path": str(work.config.dataset),
            "songs": len({sample["song"] for sample in samples}),
            "seconds": round(sum(sample["seconds"] for sample in samples), 2),
        },
        samples=samples,
        fingerprint=fingerprint(
            [sample["fingerprints"] | variants.get(sample["song"], {}) for sample in samples]
        ),
        settings={
            **work.config.model_dump(include=set(SETTINGS)),
            "precision": str(work.dtype).removeprefix("torch."),
        },
    )
    write_manifest(work.config.output, manifest)
    return manifest


@contextmanager
def _visiting(module: nn.Module, home: torch.device, device: torch.device) -> Iterator[None]:
    """Have a module on the device for a while."""
    if home != device:
        module.to(device)
    yield
    if home != device:
        module.to(home)
        free_memory(device)
