"""What can be measured of an adapter without hearing it: held-out loss, size, effect."""

from dataclasses import dataclass, field
from typing import Any

from acestep.adapters.effect import Effect, effect
from acestep.adapters.stack import AdaptedParts
from acestep.judging.making import Voice
from acestep.judging.subject import Subject
from acestep.training.evidence import Evidence, Measured, evidence, measure_base
from acestep.training.material import Material, open_material, open_tensors


@dataclass(frozen=True)
class Measurement:
    """What was measured of one adapter at one strength."""

    evidence: Evidence
    effect: Effect = field(repr=False)

    @property
    def out(self) -> str:
        """Why it is not to be recommended; empty if nothing speaks against it."""
        finding = self.effect.alarm
        return "" if finding is None else f"it {finding.code.replace('-', ' ')}"

    @property
    def alarm(self) -> str | None:
        """What is gravely wrong with it, with the likely causes."""
        finding = self.effect.alarm
        return None if finding is None else f"{finding.message}: {finding.advice}"

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        record = self.effect.as_dict()
        size = {**(record["size"] or {}), "output_change": record["change"]}
        return {"evidence": self.evidence.as_dict(), "size": size, "alarm": self.alarm}


@dataclass(frozen=True)
class Scale:
    """Songs, base and its losses: what every adapter is measured on."""

    material: Material = field(repr=False)
    base: Measured = field(repr=False)

    def measure(self, voice: Voice) -> Measurement:
        """Measure an adapter at a strength; the transformer bears none meanwhile.

        Raises ``AdapterError`` if it does not fit, ``ValueError`` for the base.
        """
        adapter, strength = voice.adapter, voice.strength
        if adapter is None:
            raise ValueError("the base is what adapters are measured against")
        material = self.material
        found = effect(
            material.transformer,
            adapter,
            material.condition(),
            strength=strength,
            shift=material.law.shift,
            model=material.model,
        )
        return Measurement(evidence(material, adapter, self.base, strength=strength), found)


def open_scale(subject: Subject, parts: AdaptedParts) -> Scale:
    """The songs to measure on: split as the run split them, else all of them as trained on.

    Raises what :mod:`acestep.training.material` raises.
    """
    parts.remove()
    transformer = parts.transformer()
    if subject.settings and not subject.notes:
        material = open_material(subject.path, tensors=subject.tensors, transformer=transformer)
    else:
        material = open_tensors(
            subject.tensors, model=subject.model.source, transformer=transformer
        )
    return Scale(material, measure_base(material))
