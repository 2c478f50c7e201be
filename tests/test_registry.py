"""The registry: names, sources, what is undone, and what is never half done."""

import pickle

import pytest

from ablate.cells import CELLS
from ablate.data.corpora import CORPORA
from ablate.errors import AblateError, UnknownName, WrongValue
from ablate.noise import NOISES
from ablate.registry import Registry
from ablate.schedules import SCHEDULES
from ablate.strategies import STRATEGIES

ALL = [STRATEGIES, NOISES, SCHEDULES, CELLS, CORPORA]


def one():
    """A source."""


def other():
    """Another source."""


@pytest.mark.parametrize("registry", ALL, ids=lambda registry: registry.kind)
def test_every_registry_is_a_mapping_that_names_the_nearest(registry):
    """Each value has its name, and a name that nothing has is refused with its kind."""
    assert list(registry) == [*registry.keys()]
    assert all(registry.find(name) is registry[name] for name in registry)
    near = f"{next(iter(registry))}x"
    with pytest.raises(UnknownName) as raised:
        registry.find(near)
    assert (raised.value.kind, raised.value.given) == (registry.kind, near)
    assert raised.value.allowed == tuple(registry)
    assert f"did you mean '{next(iter(registry))}'?" in str(raised.value)
    with pytest.raises(WrongValue):
        registry.find(3)


def test_what_is_added_in_isolation_is_gone_after_it():
    """Whatever ended the block."""
    registry = Registry("thing")
    registry.add("a", 1, one)

    def change():
        with registry.isolated():
            registry.add("b", 2, other)
            registry.forget(one.__module__)
            assert not registry
            raise KeyError

    with pytest.raises(KeyError):
        change()
    assert dict(registry) == {"a": 1}


def test_one_source_may_define_a_name_again_and_two_may_not():
    """A notebook's cell is run twice; two packages are told of each other."""
    registry = Registry("thing")
    registry.add("a", 1, one)
    registry.add("a", 2, one)
    with pytest.raises(AblateError, match="thing 'a' is defined twice"):
        registry.add("a", 3, other)
    assert dict(registry) == {"a": 2}


def test_one_module_defines_a_name_once():
    """A file that is read once has no cell that is run twice: a second definition is a mistake."""
    registry = Registry("thing")
    registry.add("a", 1, one)
    with registry.adding(one.__module__, "mine 1.0"):
        registry.add("a", 2, one)
        with registry.adding(other.__module__, "theirs 1.0"):
            registry.add("b", 1, other)
        registry.add("c", 1, one)
        for name in ("a", "c"):
            with pytest.raises(AblateError, match=f"thing '{name}' is defined twice in ") as raised:
                registry.add(name, 3, one)
            assert raised.value.given == name
    registry.add("a", 4, one)
    assert dict(registry) == {"a": 4, "b": 1, "c": 1}


def test_half_of_what_a_module_adds_is_nothing():
    """Its values and its origin are taken back."""
    registry = Registry("thing")

    def break_off():
        with registry.adding(one.__module__, "mine 1.0"):
            registry.add("a", 1, one)
            raise KeyError

    with pytest.raises(KeyError):
        break_off()
    assert not registry
    with registry.adding(one.__module__, "mine 2.0"):
        registry.add("a", 1, one)
    assert registry.origin_of(one.__module__) == "mine 2.0"
    assert registry.of_module(one.__module__) == {"a": 1}


@pytest.mark.parametrize(
    "error",
    [
        UnknownName("edge", "INPT", ("INPUT",)),
        WrongValue("a rate", "a number", "x", mend="give one"),
        AblateError("no", given=1, allowed=(2, 3)),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_crosses_to_another_process_whole(error):
    """Class, sentence and fields."""
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert (str(again), vars(again)) == (str(error), vars(error))
