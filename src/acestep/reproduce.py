"""Make an adapter again from its songs and its manifest, and compare bit by bit.

Above the verbs it is made of: preprocess and train do the work, with the manifest's settings.
"""

from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, cast

import torch

from acestep.adapters.adapter import Adapter
from acestep.adapters.files import read_adapter
from acestep.adapters.manifest import MANIFEST, manifest_beside, read_manifest, weights_digest
from acestep.config import PreprocessConfig, ReproduceConfig, TrainConfig
from acestep.data.tensors import read_manifest as read_tensors
from acestep.errors import AdapterError, RunError, TensorError
from acestep.events import Event, Failed, Finished, Notice, Saved, Started, Step, Text
from acestep.model.base import find_model
from acestep.model.device import choose_device
from acestep.preprocess import preprocess
from acestep.train import train
from acestep.training.provenance import processor_name
from acestep.training.run import RunFolder


def reproduce(config: ReproduceConfig) -> Iterator[Event]:
    """Encode the songs and train as the manifest says, then compare every number.

    Ends with ``Finished`` if both are bit-identical, else with ``Failed``, which says how far apart
    they are. The adapter is never written to; the new one is a checkpoint in ``config.output``.

    Raises ``AdapterError`` if the adapter has no manifest or is not the one it describes,
    ``DatasetError`` or ``TensorError`` if songs or labels are others, ``ModelError`` for the base,
    ``RunError`` if the checkpoint cannot be made again.
    """
    adapter = read_adapter(config.adapter)
    manifest = _manifest_of(adapter, config.adapter)
    yield Started("reproduce", {"adapter": str(config.adapter), **manifest["adapter"]})
    device = config.device or manifest["machine"].get("device")
    model = _base(config, manifest)
    yield from (Notice(line) for line in differences(manifest))
    with _threads(manifest["machine"].get("threads")):
        tensors = config.output / "tensors"
        here: dict[str, Any] = {"model": model, "device": device}
        settings = {**here, **manifest["preprocess"], "output": tensors}
        yield from preprocess(PreprocessConfig(dataset=config.dataset, **settings))
        check_songs(tensors, manifest, config.dataset)
        run = RunFolder(config.output / "run")
        place = {**here, "tensors": tensors, "output": run.path}
        precision = manifest["machine"].get("precision", "auto")
        plan = TrainConfig(**manifest["train"], **place, precision=precision, resume=run.exists())
        checkpoint = yield from _train_to(plan, run, manifest["adapter"])
    verdict = compare(adapter, read_adapter(checkpoint))
    if verdict["identical"]:
        yield Text("bit-identical: every number of the adapter came out the same")
        yield Finished("reproduce", str(checkpoint), verdict)
    else:
        yield _apart(verdict, checkpoint)


def differences(manifest: Mapping[str, Any]) -> list[str]:
    """What is not here as it was there: a sentence each. Other versions give other roundings."""
    lines = []
    for name, then in manifest["packages"].items():
        try:
            now = version(name)
        except PackageNotFoundError:
            now = "not installed"
        if now != then:
            lines.append(f"made with {name} {then}, here is {now}: the numbers may differ")
    there = manifest["machine"]
    here = processor_name(choose_device(there.get("device")))
    if there.get("processor") != here:
        lines.append(f"made on {there.get('processor')}, here is {here}: the numbers may differ")
    processes = there.get("processes", 1)
    if processes != 1:
        lines.append(
            f"made with {processes} processes: one adds the same gradients in another order; "
            "start as many with accelerate launch for the same bits"
        )
    return lines


def check_songs(tensors: Path, manifest: Mapping[str, Any], dataset: Path) -> None:
    """Raise ``TensorError`` naming every song that is missing, new, or has other sound or labels.

    Compared are the fingerprints that preprocess makes of audio, base model, labels and settings.
    """
    samples = read_tensors(tensors).samples
    here, there = _by_song(samples), _by_song(manifest["songs"])
    wrong = [f"a song is missing (its id is {key[0]})" for key in there if key not in here]
    wrong += [f"{here[key]['audio']} was not among its songs" for key in here if key not in there]
    for key in here.keys() & there.keys():
        for kind, what in (("audio", "sound"), ("text", "labels")):
            if here[key]["fingerprints"][kind] != there[key]["fingerprints"][kind]:
                wrong.append(f"{here[key]['audio']} has other {what} than it was trained with")
    if wrong:
        raise TensorError(
            f"{dataset} is not what the adapter was made of:\n" + "\n".join(sorted(wrong)),
            hint="name the dataset file it was made from with --dataset; earlier versions of one "
            "come back with acestep edit --undo",
        )


def compare(wanted: Adapter, made: Adapter) -> dict[str, Any]:
    """How two adapters differ: ``identical``, the largest ``difference`` of a number, and the
    ``relative`` one, |a − b| / |a| over all numbers together."""
    if wanted.weights.keys() != made.weights.keys():
        return {"identical": False, "difference": None, "relative": None}
    apart = [(wanted.weights[name] - made.weights[name]).double() for name in wanted.weights]
    size = torch.stack([tensor.double().norm() for tensor in wanted.weights.values()]).norm()
    return {
        "identical": weights_digest(wanted) == weights_digest(made),
        "difference": max(tensor.abs().max().item() for tensor in apart),
        "relative": (torch.stack([tensor.norm() for tensor in apart]).norm() / size).item(),
    }


def _manifest_of(adapter: Adapter, place: Path) -> dict[str, Any]:
    file = manifest_beside(place)
    if file is None:
        raise AdapterError(
            f"{place} has no {MANIFEST}: what it was made of is not known",
            hint="export it again from its run; runs of earlier versions have none",
        )
    manifest = read_manifest(file)
    made = manifest.get("adapter")
    if not isinstance(made, dict) or made.get("weights") != weights_digest(adapter):
        raise AdapterError(
            f"{file} describes another adapter than the one beside it",
            hint="export the adapter again from its run",
        )
    return manifest


def _base(config: ReproduceConfig, manifest: Mapping[str, Any]) -> str:
    """The name of the base model. Raises ``ModelError`` if it is missing, ``AdapterError`` if it
    is another one."""
    wanted = manifest["base"]
    model = find_model(config.model or wanted.get("name"))
    if model.fingerprint != wanted.get("fingerprint"):
        raise AdapterError(
            f"{config.adapter} was trained on another {wanted.get('name')} than {model.path}",
            hint="name the folder of the base model that it was trained on with --model",
        )
    return model.source


def _train_to(
    plan: TrainConfig, run: RunFolder, wanted: Mapping[str, Any]
) -> Generator[Event, None, Path]:
    """Train until the checkpoint is there; what would come after it is not needed."""
    checkpoint = run.checkpoints / str(wanted.get("checkpoint"))
    if not checkpoint.is_dir():
        with closing(cast(Generator[Event, None, None], train(plan))) as happening:
            for event in happening:
                yield event
                if isinstance(event, Step) and event.step == _last_before_a_stop(wanted):
                    run.stop_file.touch()
                if isinstance(event, Saved) and Path(event.path) == checkpoint:
                    break
    if not checkpoint.is_dir():
        raise RunError(
            f"the run made no {checkpoint.name}: there are "
            + ", ".join(sorted(path.name for path in run.checkpoints.glob("epoch_*"))),
            hint="export the run's last checkpoint of a whole epoch and reproduce that",
        )
    return checkpoint


def _last_before_a_stop(wanted: Mapping[str, Any]) -> int:
    """The step at which to ask for a stop, for a checkpoint that was saved within an epoch."""
    within = "_step_" in str(wanted.get("checkpoint"))
    return int(wanted["step"]) - 1 if within else -1


def _by_song(samples: Sequence[Mapping[str, Any]]) -> dict[tuple[str, int], Mapping[str, Any]]:
    """Samples by their song's id and their place among its segments."""
    seen: Counter[str] = Counter()
    found = {}
    for sample in samples:
        found[sample["song"], seen[sample["song"]]] = sample
        seen[sample["song"]] += 1
    return found


def _apart(verdict: Mapping[str, Any], checkpoint: Path) -> Failed:
    if verdict["difference"] is None:
        return Failed("RunError", f"not the same: {checkpoint} adapts other layers")
    return Failed(
        "RunError",
        f"not bit-identical: numbers differ by up to {verdict['difference']:.3g}, all together "
        f"by {verdict['relative']:.3g} of their size ({checkpoint})",
        "the same versions, device and number of processes give the same bits; what differs here "
        "is said above",
    )


@contextmanager
def _threads(wanted: Any) -> Iterator[None]:
    """As many threads as it was made with: they decide in which order numbers are added."""
    before = torch.get_num_threads()
    if isinstance(wanted, int) and wanted > 0:
        torch.set_num_threads(wanted)
    try:
        yield
    finally:
        torch.set_num_threads(before)
