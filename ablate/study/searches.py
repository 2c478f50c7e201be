"""What the searches of a tuned profile are called and choose, and what a file may not ask of them.

Apart from `tuning`, which makes trials: whoever reads a study file needs no trainer.
"""

from collections.abc import Iterator, Mapping

from ablate.errors import quoted
from ablate.search import CUBE
from ablate.strategies import get
from ablate.study.points import Choice, Mistake
from ablate.study.schema import Profile
from ablate.training.recipe import Recipe


def search_name(choice: Choice) -> str:
    """What a search is called: its strategy, and what is pinned."""
    return " ".join([choice.name, *(f"{name}={values[0]}" for name, values in choice.grid)])


def lowest(losses: Mapping[int, float]) -> int | None:
    """Which point a search chooses: that of the lowest headline validation loss.

    `losses`, in nats per target, are those of the points that ended well, by their places in the
    order in which they were tried; of equal ones the first counts. None where there is none.
    """
    return min(losses, key=lambda place: (losses[place], place), default=None)


def baseline_search(profile: Profile) -> str | None:
    """The search to whose chosen point differences are: that of the point which is the baseline."""
    labels = {next(choice.points()).label: choice for choice in profile.strategies}
    choice = labels.get(profile.baseline or "")
    return None if choice is None else search_name(choice)


def search_mistakes(profile: Profile) -> Iterator[Mistake]:
    """Yield what a tuned profile may not have."""
    if profile.tune is None:
        return
    if profile.factorial is not None:
        yield ("factorial",), "a tuned profile has searches alone; give the design a profile"
    for number, choice in enumerate(profile.strategies):
        where = ("strategies", number)
        lists = [name for name, values in choice.grid if len(values) > 1]
        if lists:
            words = (
                f"a search draws its values: leave {', '.join(lists)} out, or give one value, "
                "which pins it"
            )
            yield (*where, lists[0]), words
        if choice.without != ():
            yield (*where, "without"), "a search has whole placements; leave it out"
        alike = (other for other in profile.strategies[:number] if not _apart(other, choice))
        if other := next(alike, None):
            words = (
                f"two searches of '{choice.name}' must pin the same arguments, at different "
                "values, or they look through the same points; these are "
                f"{quoted(map(search_name, (other, choice)))}"
            )
            yield where, words
        if len(get(choice.name).parameters) > CUBE[0]:
            words = f"'{choice.name}' has more than {CUBE[0]} arguments, which no search draws"
            yield (*where, "name"), words
    for path, (low, high) in profile.tune.over.items():
        for net in profile.net.each:
            own = value_of(profile.recipe.of(net), path)
            if not low <= own <= high:
                words = (
                    f"the default point, tried first, has {own:g}, which must lie in the range, "
                    f"got [{low:g}, {high:g}]: widen it, or set {path}"
                )
                yield ("tune", "over", path), words


def _apart(one: Choice, other: Choice) -> bool:
    """Whether two searches have no point in common."""
    own, others = dict(one.grid), dict(other.grid)
    return one.name != other.name or (own.keys() == others.keys() and own != others)


def value_of(recipe: Recipe, path: str) -> float:
    """The number of a recipe that a path such as `recipe.learning_rate` names."""
    return getattr(recipe, path.rpartition(".")[2])
