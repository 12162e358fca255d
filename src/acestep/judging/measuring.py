"""What can be measured of an adapter without hearing it: held-out loss, size, effect."""

from dataclasses import dataclass, field
from typing import Any

from acestep.adapters.effect import alarm, output_change
from acestep.adapters.size import adapter_size
from acestep.adapters.stack import AdaptedParts
from acestep.checking.finding import Finding
from acestep.judging.subject import Checkpoint, Subject
from acestep.training.evidence import Evidence, Measured, evidence, measure_base
from acestep.training.material import Material, open_material, open_tensors


@dataclass(frozen=True)
class Measurement:
    """``nothing`` says that the adapter does nothing, if so, and what the causes may be."""

    evidence: Evidence
    size: dict[str, Any] = field(repr=False)
    nothing: Finding | None

    @property
    def alarm(self) -> str | None:
        """The finding as a sentence."""
        if self.nothing is None:
            return None
        return f"{self.nothing.message} {self.nothing.advice}".strip()

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"evidence": self.evidence.as_dict(), "size": self.size, "alarm": self.alarm}


def open_measures(subject: Subject, parts: AdaptedParts) -> Material:
    """The songs to measure on: split as the run split them, else all of them as trained on.

    Raises what :mod:`acestep.training.material` raises.
    """
    parts.remove()
    transformer = parts.transformer()
    if subject.settings and not subject.notes:
        return open_material(subject.path, tensors=subject.tensors, transformer=transformer)
    return open_tensors(subject.tensors, model=subject.model.source, transformer=transformer)


def measure(checkpoint: Checkpoint, material: Material, base: Measured) -> Measurement:
    """Measure one checkpoint; the transformer of ``material`` bears no adapter."""
    adapter, transformer = checkpoint.adapter, material.transformer
    size = adapter_size(transformer, adapter)
    change = output_change(transformer, adapter, material.condition(), shift=material.law.shift)
    found = evidence(material, adapter, base)
    record = {**size.as_dict(), "output_change": change.as_dict()}
    return Measurement(found, record, alarm(size, change, adapter, model=material.model))


__all__ = ["Measurement", "measure", "measure_base", "open_measures"]
