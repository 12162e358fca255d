"""The verdict in words: four questions that every user asks, a headline, and what follows."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from acestep.judging.choice import Choice
from acestep.judging.tag import Tag
from acestep.training.verdict import verdict_of_evidence

if TYPE_CHECKING:
    from acestep.judging.record import Judgement

YES, PARTLY, NO, UNTOLD = "yes", "partly", "no", "cannot be told"


def told(
    checkpoints: Sequence["Judgement"],
    strengths: Sequence["Judgement"],
    choice: Choice,
    tags: Mapping[str, Tag],
    votes: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Headline, questions and sentences, in order of weight, as ``report.json`` keeps them.

    They are about the recommended checkpoint and strength, else about the last checkpoint.
    """
    judged = [*checkpoints, *strengths]
    about = next((one for one in judged if _is_picked(one, choice)), checkpoints[-1])
    checkpoint = next(one for one in checkpoints if one.voice.name == about.voice.name)
    tag = tags.get(about.voice.name)
    questions = [
        _style(about, checkpoint),
        _copies(about),
        *([_tag(tag)] if tag is not None else []),
        _which(choice),
    ]
    return {
        "headline": _headline(about, questions, choice),
        "questions": questions,
        "sentences": list(_sentences(about, checkpoints, tag, choice, votes)),
    }


def _is_picked(one: "Judgement", choice: Choice) -> bool:
    picked = choice.picked
    return picked is not None and (one.voice.name, one.voice.strength) == (
        picked.checkpoint,
        picked.strength,
    )


def _question(question: str, answer: str, sentence: str) -> dict[str, str]:
    return {"question": question, "answer": answer, "sentence": sentence}


def _style(about: "Judgement", checkpoint: "Judgement") -> dict[str, str]:
    style = about.verdicts.style
    answer = UNTOLD
    if checkpoint.measured is not None and checkpoint.measured.out:
        answer = NO
    elif "nearer" in style.word:
        answer = YES if _is_there(about) else PARTLY
    elif style.word.startswith(("no difference", "farther")):
        answer = NO
    return _question("Did it learn your style?", answer, style.sentence)


def _is_there(about: "Judgement") -> bool:
    """Whether at least half of the base's distance is gone for sure."""
    high = about.verdicts.style.left.high
    return high is not None and high < 0.5


def _copies(about: "Judgement") -> dict[str, str]:
    copying = about.verdicts.copying
    if copying.strong:
        answer = YES
    elif copying.doubtful:
        answer = PARTLY
    else:
        answer = NO if copying.works else UNTOLD
    return _question("Does it replay your songs?", answer, copying.verdict)


def _tag(tag: Tag) -> dict[str, str]:
    answer = {"switches": YES, "partly": PARTLY, "leaks": NO, "nothing to switch": NO}
    return _question("Does the tag switch it?", answer.get(tag.word, UNTOLD), tag.sentence)


def _which(choice: Choice) -> dict[str, str]:
    answer = NO if choice.picked is None else f"{choice.picked.label}"
    return _question("Which checkpoint is best, and how strong?", answer, choice.sentence)


def _headline(about: "Judgement", questions: Sequence[Mapping[str, str]], choice: Choice) -> str:
    style, copies = questions[0]["answer"], questions[1]["answer"]
    if style == NO:
        return f"{about.voice.label} did not learn the style of your songs."
    if style == UNTOLD:
        return "Whether it learned the style of your songs cannot be told from these clips."
    learned = "learned" if style == YES else "came nearer to"
    head = f"{about.voice.label} {learned} the style of your songs"
    if copies == YES:
        return f"{head}, and replays passages of them."
    if choice.picked is None:
        return f"{head}, but no checkpoint can be recommended."
    return f"{head}; that is the one to use."


def _sentences(
    about: "Judgement",
    checkpoints: Sequence["Judgement"],
    tag: Tag | None,
    choice: Choice,
    votes: Mapping[str, Any] | None,
) -> Iterator[str]:
    """What there is to know beyond the questions, the gravest first."""
    for one in checkpoints:
        if one.measured is not None and one.measured.alarm:
            yield f"{one.voice.label}: {one.measured.alarm}"
    verdicts = about.verdicts
    if verdicts.style.guard.alarm:
        yield verdicts.style.guard.sentence
    yield from verdicts.copying.sentences()[1:]
    yield verdicts.diversity.sentences()[0]
    yield verdicts.loops.verdict
    measured = [one.measured.evidence for one in checkpoints if one.measured is not None]
    if measured:
        yield verdict_of_evidence(measured).sentence
    if tag is not None:
        yield tag.advice
    yield from choice.reasons()
    if votes is not None:
        yield str(votes["sentence"])
