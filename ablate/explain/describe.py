"""Drops in words: what the tables of `ablate explain` say of a sharing or a rate."""

from typing import Final

from ablate.drops import ALL, Drop, Extent, Layers, Rates, Sharing

_LAYERS: Final = {
    Layers.ALL: "{}",
    Layers.TOP: "{}, top layer",
    Layers.BOTTOM: "{}, bottom layer",
    Layers.GROWING: "growing to {}",
}


def sharing_words(sharing: Sharing) -> str:
    """How far one decision reaches, widest axis first: "each step, each row"."""
    words = [_time(sharing)]
    if sharing.word is not None:
        words.append("each word" if sharing.word == 1 else "all words")
    words += _axis(sharing.batch, "row", "whole batch")
    words += _axis(sharing.source, "source", "all sources") if sharing.source != 1 else []
    words += _axis(sharing.unit, "unit", "all units") if sharing.unit != 1 else []
    words += ["each weight"] if sharing.source == 1 and sharing.unit == 1 else []
    words += ["each gate"] if sharing.gate == 1 and sharing.source is None else []
    words += ["all gates"] if sharing.gate is ALL and sharing.source is not None else []
    words += ["both directions"] if sharing.direction is ALL else []
    if sharing.update is ALL:
        words.append("the same in all windows")
    elif sharing.update not in (None, 1):
        words.append(f"kept for {sharing.update} windows")
    return ", ".join(words)


def rate_words(rate: Rates) -> str:
    """A rate, or the rates of the layers from the lowest up."""
    return " / ".join(f"{each:g}" for each in (rate if isinstance(rate, tuple) else (rate,)))


def drop_rate_words(drop: Drop) -> str:
    """A drop's rate and the layers that have it: "0.5, top layer"."""
    return _LAYERS[drop.layers].format(rate_words(drop.rate))


def decision(drop: Drop, step: int) -> str:
    """The number, from 1, of the decision in force at `step`; `w` where the word decides."""
    sharing = drop.sharing or Sharing()
    if sharing.word == 1 and sharing.time is ALL:
        return "w"
    if sharing.time is None or sharing.time is ALL:
        return "1"
    return str(step // int(sharing.time) + 1)


def _time(sharing: Sharing) -> str:
    match sharing.time:
        case 1:
            return "each step"
        case int(steps):
            return f"each {steps} steps"
        case _:
            return "once a window"


def _axis(extent: Extent, one: str, whole: str) -> list[str]:
    if extent is None:
        return []
    if extent is ALL:
        return [whole]
    return [f"each {one}" if extent == 1 else f"each {extent} {one}s"]
