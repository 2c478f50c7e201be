"""What `ablate audit` does: build or load the modules, audit them, say what came of it."""

import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from ablate.auditing.audit import audit
from ablate.auditing.result import Audit
from ablate.edges import Edge
from ablate.errors import AblateError, UnknownName, WrongValue
from ablate.model.net import MOST_LAYERS
from ablate.placement import Placement
from ablate.strategies import get
from ablate.strategies.parameters import Value

# Odd sizes would hide nothing here, and small ones are fast: every decision is looked at by itself.
INPUTS, HIDDEN, WORDS = 6, 8, 8


@dataclass(frozen=True, slots=True)
class Audited:
    """An audit, what was audited, and what it was compared with."""

    audit: Audit
    title: str
    placement: Placement | None


def run_audit(
    strategy: str | None,
    arguments: Mapping[str, Value],
    *,
    module: str | None = None,
    layers: int | None = None,
    batch_first: bool | None = None,
    edge: Edge | None = None,
    names: Mapping[str, str] | None = None,
) -> Audited:
    """Audit ablate's own module at a strategy, or the module that FILE:FACTORY makes.

    With a module and no strategy it is audited without a placement; `batch_first`, `edge` and
    `names` are those of `ablate.audit`. Raises AblateError for an
    unknown strategy, a factory that cannot be had, or a module that cannot be audited.
    """
    placement = None
    if strategy is not None:
        # Rates are those at a schedule's factor 1, which is where every mask shows.
        found = get(strategy)
        placement = Placement(dict(found.place(**arguments)))
        point = found.arguments(**arguments)
        words = ", ".join(f"{name}={value}" for name, value in point.items())
        strategy = f"{strategy}({words})"
    elif arguments:
        raise AblateError("--set changes a strategy's arguments, and no strategy was named")
    if module is not None:
        if layers is not None:
            raise AblateError("--layers is for ablate's own module; that of --module has its own")
        made = load_modules(module)
        title = module if strategy is None else f"{module} as {strategy}"
    elif placement is not None:
        if layers and layers > MOST_LAYERS:
            raise WrongValue("--layers", f"at most {MOST_LAYERS}", layers)
        made, title = own_modules(placement, layers or 2), strategy or ""
    else:
        raise AblateError("name a strategy, or a module with --module FILE:FACTORY, or both")
    told: dict[str, Any] = {"batch_first": batch_first, "edge": edge, "names": names}
    if module is None and any(told.values()):
        raise AblateError("--batch-first, --edge and --name are for the module of --module")
    first, *others = (audit(one, placement, **told) for one in made)
    for other in others:
        first |= other
    return Audited(first, title, placement)


def read_edge(word: str | None) -> Edge | None:
    """The edge that --edge names; raises AblateError for another word."""
    if word is None:
        return None
    there = [edge.label for edge in Edge]
    if word.upper() not in there:
        raise UnknownName("edge", word.upper(), there)
    return Edge[word.upper()]


def read_names(given: Iterable[str]) -> dict[str, str]:
    """What --name says, by torch.nn.LSTM's names; raises AblateError where that is no pair."""
    found = {}
    for text in given:
        key, equals, name = text.partition("=")
        if not equals or not key.strip() or not name.strip():
            raise WrongValue("--name", "KEY=NAME, as in weight_ih_l0=x2h.weight", text)
        found[key.strip()] = name.strip()
    return found


def own_modules(placement: Placement, layers: int) -> tuple[nn.Module, ...]:
    """ablate's LSTM at a placement, and its embedding where the placement drops words."""
    from ablate.model.embedding import Embedding
    from ablate.model.lstm import LSTM

    lstm = LSTM(INPUTS, HIDDEN, layers, placement=placement - Edge.EMBEDDING, seed=0)
    if Edge.EMBEDDING not in placement:
        return (lstm,)
    return lstm, Embedding(WORDS, INPUTS, placement=placement & Edge.EMBEDDING, seed=0)


def load_modules(spec: str) -> tuple[nn.Module, ...]:
    """Call the factory that FILE:FACTORY names, without arguments; it returns a module or several.

    Raises AblateError where the file, the factory, or a module in what it returns is missing.
    """
    name, colon, factory = spec.rpartition(":")
    if not colon or not name or not factory:
        raise WrongValue(
            "--module",
            "FILE:FACTORY, a Python file and the name of a function in it that makes the module, "
            "as in model.py:make",
            spec,
        )
    path = Path(name)
    if not path.is_file():
        raise AblateError(f"--module {spec}: there is no file '{name}'", given=name)
    found = _factory(path, factory, spec)
    try:
        made = found()
    except Exception as error:
        raise AblateError(
            f"--module {spec}: {factory}() ended with {type(error).__name__}: {error}"
        ) from error
    modules = tuple(made) if isinstance(made, tuple | list) else (made,)
    if not modules or not all(isinstance(one, nn.Module) for one in modules):
        raise AblateError(
            f"--module {spec}: {factory}() must return a torch.nn.Module, or a tuple of them "
            f"(an embedding and an LSTM), got {type(made).__name__}"
        )
    return modules


def _factory(path: Path, name: str, spec: str) -> Callable[[], Any]:
    # A name of its own, so that a file called torch.py shadows nothing.
    name_of_module = f"audited_{path.stem}"
    module_spec = importlib.util.spec_from_file_location(name_of_module, path)
    if module_spec is None or module_spec.loader is None:
        raise AblateError(f"--module {spec}: '{path}' is not a Python file")
    loaded = importlib.util.module_from_spec(module_spec)
    # As Python runs a file: dataclasses look their module up, and its neighbours can be imported.
    sys.modules[name_of_module] = loaded
    sys.path.insert(0, str(path.parent.resolve()))
    try:
        module_spec.loader.exec_module(loaded)
    except Exception as error:
        raise AblateError(
            f"--module {spec}: '{path}' could not be loaded: {type(error).__name__}: {error}"
        ) from error
    if not callable(getattr(loaded, name, None)):
        there = [key for key, value in vars(loaded).items() if inspect.isroutine(value)]
        raise UnknownName(f"function of '{path}'", name, there)
    return getattr(loaded, name)
