"""What `ablate explain` prints: a strategy's words, net, edges, plan and touches."""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from ablate.cells import LSTM, Cell
from ablate.drops import Drop, Fill, Sharing
from ablate.edges import Edge
from ablate.engine.plan import Mode, Plan, Reach, plan
from ablate.errors import WrongValue
from ablate.explain.describe import drop_rate_words, sharing_words
from ablate.explain.drawing import ASCII, columns_that_fit, draw
from ablate.explain.graph import Touches, touches
from ablate.model.net import MOST_LAYERS
from ablate.noise import BERNOULLI
from ablate.placement import Placement
from ablate.schedules import CONSTANT, factor_at
from ablate.strategies import Strategy, get
from ablate.strategies.parameters import Value
from ablate.tables import plain_table

# Every way through a net of so many steps is counted, which takes about a minute at most.
MOST_STEPS: Final = 1000


def render(
    strategy_name: str,
    arguments: Mapping[str, Value],
    *,
    console: Console,
    layers: int = 2,
    n: int = 2,
    cell: Cell = LSTM,
) -> None:
    """Print what a strategy does to a net of `layers` layers of `cell`, as wide as the console is.

    Counts run from the word at t - n to the prediction at t + n. Raises AblateError for an unknown
    strategy, for arguments that it does not take, for a placement that does not fit the net, and
    for a net that is too large to be counted.
    """
    for what, most, size in (("layers", MOST_LAYERS, layers), ("steps", MOST_STEPS, n)):
        if size > most:
            raise WrongValue(what, f"at most {most}", size)
    strategy = get(strategy_name)
    given = strategy.arguments(**arguments)
    placement = strategy.place(cell, **arguments)
    counted = touches(placement, layers, n, cell)
    plans = {mode: plan(placement, layers, mode=mode, cell=cell) for mode in Mode}
    console.print(heading(strategy, given))
    plain = _plain(console)
    console.print(net(placement, layers, n, cell, width=console.width, ascii_only=plain))
    if len(placement):
        console.print(edges(placement, plans))
    if placement.schedule != CONSTANT:
        console.print(schedule(placement))
    console.print(ways(plans))
    console.print(counts(counted, layers, n))


def heading(strategy: Strategy, arguments: Mapping[str, Value]) -> RenderableType:
    """The call, whose it is, and the docstring."""
    call = ", ".join(f"{name}={_value(value)}" for name, value in arguments.items())
    title = Text.assemble((strategy.name, "bold"), f"({call})")
    source = ", ".join(part for part in (strategy.paper, strategy.origin) if part)
    return Group(title, Text(source, style="dim"), Text(), Text(_reflow(strategy.doc)), Text())


def net(
    placement: Placement,
    layers: int,
    n: int,
    cell: Cell = LSTM,
    *,
    width: int,
    ascii_only: bool = False,
) -> RenderableType:
    """The unrolled net around t, as many of its 2 n + 1 steps as fit, and what the marks mean."""
    fit = columns_that_fit(width)
    # As many steps before t as after it, one more before where the number is even.
    count = max(min(fit, 2 * n + 1), min(fit, 3))
    steps = tuple(range(-(count // 2), count - count // 2))
    drawn, legend = draw(placement, layers, steps, cell), _legend(placement)
    if ascii_only:
        drawn, legend = drawn.translate(ASCII), legend.translate(ASCII)
    picture = Text(drawn, no_wrap=True, overflow="crop")
    picture.highlight_regex(r"[●≈o~][\dw]+", "bold magenta")
    picture.highlight_regex(r"(?m)^[A-Z]+ [\d.]+", "magenta")
    return Group(picture, Text(), Text(legend, style="dim"), Text())


def edges(placement: Placement, plans: Mapping[Mode, Plan]) -> RenderableType:
    """One row for each edge that drops."""
    table = plain_table()
    fill = "fill or noise" if _noisy(placement) else "fill"
    for column in ("edge", "rate", "one decision", fill, "scale", "in training", "in evaluation"):
        table.add_column(column, overflow="fold")
    reaches = {
        mode: {reached.edge: reached.reach.value for reached in planned.reaches}
        for mode, planned in plans.items()
    }
    for edge, drop in placement.items():
        table.add_row(*_cells(edge, drop), *(reaches[mode].get(edge, "") for mode in Mode))
    return Group(table, Text())


def schedule(placement: Placement) -> RenderableType:
    """The schedule of the rates, and how far they are in each quarter of a trial."""
    quarters = (factor_at(placement.schedule, update, 10_000) for update in range(0, 10_001, 2500))
    words = ", ".join(f"{factor:.2f}" for factor in quarters)
    return Group(
        Text.assemble(("schedule", "bold"), f": {placement.schedule.text}"),
        _indented(f"every rate times {words}, from the start to the end of 10,000 updates"),
        Text(),
    )


def ways(plans: Mapping[Mode, Plan]) -> RenderableType:
    """The engine's path in training and in evaluation, and the reasons, edge by edge."""
    lines: list[RenderableType] = []
    for mode, planned in plans.items():
        lines.append(
            Text.assemble((mode.value, "bold"), f": {planned.path.value}. {planned.reason}")
        )
        lines += [
            _indented(reached.reason)
            for reached in planned.reaches
            if reached.reach is not Reach.SILENT
        ]
    return Group(*lines, Text())


def counts(counted: Touches, layers: int, n: int) -> RenderableType:
    """How often dropout touches what travels from the word at t - n to the prediction at t + n."""
    origin, goal = ("t", "t") if n == 0 else (f"t-{n}", f"t+{n}")
    plural = "" if layers == 1 else "s"
    return Group(
        Text.assemble(
            ("touches", "bold"),
            f" on the way from the word at {origin} to the prediction at {goal}, "
            f"{layers} layer{plural}:",
        ),
        _indented(f"fewest {_tally(counted.fewest)}"),
        _indented(f"most   {_tally(counted.most)}"),
    )


def _indented(line: str) -> RenderableType:
    return Padding(Text(line), (0, 0, 0, 2), expand=False)


def _reflow(doc: str) -> str:
    """Join the lines of each paragraph; `Source:` and its like, and indented lines, stay apart."""
    return re.sub(r"(?<=\S)\n(?=\S)(?![A-Z][\w ]*: )", " ", doc)


def _cells(edge: Edge, drop: Drop) -> tuple[str, ...]:
    return (
        edge.label,
        drop_rate_words(drop),
        sharing_words(drop.sharing or Sharing()),
        drop.fill.value if drop.noise == BERNOULLI else drop.noise.name,
        drop.scale.value if drop.scale else "",
    )


def _tally(touched: tuple[Edge, ...]) -> str:
    """A number and what it counts: `7: INPUT, RECURRENT x 4, INTERLAYER, OUTPUT`."""
    parts = [
        edge.label + (f" x {times}" if times > 1 else "")
        for edge, times in Counter(touched).items()
    ]
    return f"{len(touched)}" + (f": {', '.join(parts)}" if parts else "")


def _legend(placement: Placement) -> str:
    if not len(placement):
        return "No mask anywhere."
    plain = {drop.fill for drop in placement.values() if drop.noise == BERNOULLI}
    zero = ["drops to zero"] if Fill.ZERO in plain else []
    zero += ["multiplies by noise"] if _noisy(placement) else []
    words = [f"● {' or '.join(zero)}"] if zero else []
    words += ["≈ holds the old value"] if Fill.HOLD in plain else []
    by_word = any(drop.sharing and drop.sharing.word == 1 for drop in placement.values())
    numbers = "equal numbers on an edge: one decision" + ("; w: the word's own" if by_word else "")
    return "; ".join([*words, numbers]) + "."


def _noisy(placement: Placement) -> bool:
    """Whether any edge has a noise other than BERNOULLI."""
    return any(drop.noise != BERNOULLI for drop in placement.values())


def _value(value: Value) -> str:
    return f"{value:g}" if isinstance(value, float) else repr(value)


def _plain(console: Console) -> bool:
    """Whether the console's encoding lacks the characters of the drawing."""
    return console.options.ascii_only
