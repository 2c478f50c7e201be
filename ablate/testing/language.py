"""The contract of a strategy as a value: what it is, where it can be called, and what comes out."""

import itertools

import pytest

from ablate.edges import layers_of
from ablate.placement import Placement
from ablate.strategies import names
from ablate.strategies.definition import CAP
from ablate.testing.points import OfAStrategy, words


class LanguageContract(OfAStrategy):
    """Construction, canonical text, search space and dial."""

    def test_it_is_registered(self) -> None:
        """The strategy is found by its name and listed, with where it came from."""
        subject = self.subject
        assert subject.name == self.strategy
        assert subject.name in names()
        assert subject.origin

    def test_its_docstring_is_its_help(self) -> None:
        """The docstring's first line is one sentence."""
        summary = self.subject.summary
        assert summary.endswith("."), (
            f"the first line of the docstring of '{self.strategy}' is shown alone in lists, so it "
            f"is one whole sentence with a full stop; got {summary!r}"
        )

    def test_every_end_and_choice_is_a_placement(self) -> None:
        """The default point, both ends of each range and each choice fit nets of every depth."""
        for point in self.edge_points():
            assert isinstance(self.place(point), Placement)

    def test_every_drawn_point_is_a_placement(self) -> None:
        """A hundred points that Optuna draws from the search space fit nets of every depth."""
        subject = self.subject
        for point in self.drawn_points(100):
            assert subject.arguments(**point) == point, (
                f"strategy '{subject.name}' does not take {words(point)} as it was drawn"
            )
            assert self.place(point).text

    def test_the_same_arguments_give_the_same_placement(self) -> None:
        """A strategy is a pure function: calls before it do not matter."""
        points = [{}, *self.drawn_points(8)]
        first = [self.place(point) for point in points]
        again = [self.place(point) for point in reversed(points)][::-1]
        for point, one, two in zip(points, first, again, strict=True):
            assert one == two, (
                f"strategy '{self.strategy}' is not a pure function: at {words(point)} it gave "
                f"{one} and then {two}; it may depend on its arguments only"
            )
            assert (one.text, hash(one)) == (two.text, hash(two))

    def test_its_default_arguments_are_its_default_point(self) -> None:
        """Every argument written out by its default gives the same placement."""
        subject = self.subject
        arguments = subject.arguments()
        assert list(arguments) == list(subject.parameters)
        assert subject.arguments(**arguments) == arguments
        assert self.place(arguments) == self.place({})

    def test_equal_placements_have_one_text(self) -> None:
        """Two points have one canonical text exactly where their placements are equal."""
        points = [*self.edge_points(), *self.drawn_points(30)]
        placements = [self.place(point) for point in points]
        for (at, one), (where, two) in itertools.combinations(
            zip(points, placements, strict=True), 2
        ):
            assert (one == two) == (one.text == two.text), (
                f"strategy '{self.strategy}' at {words(at)} and at {words(where)}: equal "
                f"placements have equal texts and others have not; got {one.text} and {two.text}"
            )

    def test_the_dial_keeps_the_ratios(self) -> None:
        """Along the dial the other rates keep their default ratio to it, capped at .9."""
        subject = self.subject
        defaults = subject.arguments()
        if subject.dial is None:
            pytest.skip(f"strategy '{subject.name}' has no dial")
        for factor in (0.0, 0.25, 0.5, 1.0, 1.5):
            value = min(CAP, factor * float(defaults[subject.dial]))
            arguments = subject.arguments(**{subject.dial: value})
            self.place(arguments)
            for name, parameter in subject.parameters.items():
                expected = defaults[name]
                if parameter.kind == "rate":
                    ratio = float(defaults[name]) / float(defaults[subject.dial])
                    expected = min(CAP, round(value * ratio, 9))
                found = arguments[name]
                assert found == expected or abs(float(found) - float(expected)) < 1e-9, (
                    f"dial {subject.dial}={value} gave {name}={found}, expected {expected}"
                )

    def test_more_of_the_dial_drops_no_less(self) -> None:
        """A sweep of the dial raises rates where they are, and drops nowhere else."""
        subject = self.subject
        if subject.dial is None:
            pytest.skip(f"strategy '{subject.name}' has no dial")
        default = self.place({})
        sweep = [self.place({subject.dial: value}) for value in (0.1, 0.3, 0.5, 0.7, 0.9)]
        for low, high in itertools.pairwise(sweep):
            assert low.edges == high.edges == default.edges, (
                f"sweeping {subject.dial} of '{self.strategy}' changes where it drops: "
                f"{_where(low)}, then {_where(high)}; a dial says how much, so let a choice say "
                "where"
            )
            depth = max(self.layers)
            less, more = low.within(depth), high.within(depth)
            for edge, drop in less.items():
                places = range(len(layers_of(edge, depth)))
                assert all(drop.rate_of(i) <= more[edge].rate_of(i) for i in places), (
                    f"a higher {subject.dial} of '{self.strategy}' drops less at {edge.label}: "
                    f"{drop.rate}, then {more[edge].rate}"
                )

    def test_all_rates_at_zero_drop_nothing(self) -> None:
        """With every rate 0 the placement is the silent one."""
        subject = self.subject
        rates = [name for name, given in subject.parameters.items() if given.kind == "rate"]
        zero = self.place(dict.fromkeys(rates, 0.0))
        assert zero == Placement() or not rates, (
            f"with every rate 0 strategy '{self.strategy}' still drops at {_where(zero)}: a "
            "rate that is no parameter can be neither swept nor switched off; make it one"
        )


def _where(placement: Placement) -> str:
    return placement.edges.label or "nowhere"
