"""A bench's facts as tables of text; ratios stand first, and "-" where there is nothing."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Final, NamedTuple

from bench import retimed
from bench.cells import compared, fraction, megabytes, milliseconds, share, size, spread
from bench.intervals import Interval, Timing, interval, number, percent
from bench.retimed import COHORTS, LENGTHS, UPDATES, Tables, Update, part, seen_from
from bench.timing import exponent, line

Report = dict[str, Any]
Row = dict[str, Any]
Timed = Mapping[Update, Tables]

_WHERE: Final = {
    UPDATES: "beside other strategies",
    COHORTS: "beside cohorts",
    LENGTHS: "beside longer windows",
}


_ITSELF: Final = Interval(1.0, 1.0, 1.0)

_FITS: Final = (
    lambda tokens, *ms: exponent(tokens, ms),
    lambda tokens, *ms: line(tokens, ms).fixed,
    lambda tokens, *ms: 1e3 * line(tokens, ms).slope,
)


class Table(NamedTuple):
    """A heading, a sentence that says how to read it, columns and rows of text."""

    title: str
    note: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]


def tables(report: Report) -> Iterator[Table]:
    """Every table that the report has facts for."""
    if "updates" in report:
        timed = retimed.updates(report)
        yield _figures(report, timed)
        for shape in report["options"]["shapes"]:
            for precision in report["options"]["precisions"]:
                yield _updates(report, timed, shape, precision)
        yield _cohorts(report, timed)
        yield _lengths(report)
        yield _again(timed)
        yield _rooflines(report, timed)
        yield _ceilings(report)
    if "parts" in report:
        yield _parts(report)


def _figures(report: Report, timed: Timed) -> Table:
    columns = (
        "", "precision", "gates shared, at most", "by", "gates apart, at most", "by", "stock/none",
        "stock fp32/none",
    )  # fmt: skip
    rows = []
    for shape in report["options"]["shapes"]:
        for precision in report["options"]["precisions"]:
            own = _rows(report, shape, precision)
            slowest = [_slowest(own, timed, gates) for gates in ("shared", "apart")]
            none = Update("ablate", shape["name"], precision, "none")
            rows.append(
                (
                    shape["name"],
                    precision,
                    *(cell for pair in slowest for cell in pair),
                    compared(timed.get(none.stock()), timed.get(none)),
                    compared(timed.get(none.stock("fp32")), timed.get(none)),
                )
            )
    note = (
        "The strategy with the largest ratio of its update to that of `none` on `none`'s fastest "
        "path, and how many times faster `none` is than the stock trainer, in its precision and in "
        "fp32."
    )
    return Table("Ratios", note, columns, rows)


def _slowest(rows: list[Row], timed: Timed, gates: str) -> tuple[str, str]:
    known = [row for row in rows if row["gates"] == gates and row["ratio"] is not None]
    worst = max(known, key=lambda row: row["ratio"], default=None)
    if worst is None:
        return "-", "-"
    update = Update.of(worst)
    none = timed.get(update._replace(strategy="none"))
    return compared(timed.get(update), none), worst["strategy"]


def _updates(report: Report, timed: Timed, shape: Row, precision: str) -> Table:
    rows = _rows(report, shape, precision)
    columns = (
        "", "path", "gates", "update", "evaluation", "masks", "stock/it", "stock fp32/it",
        "ms", "±", "ms to evaluate", "MB",
    )  # fmt: skip
    note = (
        "Update and evaluation: ratios to `none` on its fastest path. Masks: their share of the "
        "update. Stock/it: how many times faster than the stock trainer without dropout, in this "
        "precision and in fp32. Milliseconds of an update and of a window's evaluation; MB: by how "
        "much a process grows."
    )
    # Said once, above the first of these tables.
    options = report["options"]
    if (shape, precision) != (options["shapes"][0], options["precisions"][0]):
        note = ""
    none = Update("ablate", shape["name"], precision, "none")
    evaluated = min(
        (row["evaluate"] for row in rows if Update.of(row) == none),
        key=lambda timing: timing["ms"],
        default=None,
    )
    cells = [_cells(row, timed, none, evaluated) for row in rows]
    return Table(f"{words(shape)}, {precision}", note, columns, cells)


def _cells(row: Row, timed: Timed, none: Update, evaluated: Timing | None) -> tuple[str, ...]:
    stock = row["trainer"] == "stock"
    name = {"none": "stock", "dropout": "stock, dropout .5"}[row["strategy"]] if stock else ""
    update, train = Update.of(row), row["train"]
    # Of the paths of `none` only the fastest is timed again.
    own = timed[update] if timed[update][UPDATES] is train else {UPDATES: train}
    return (
        name or row["strategy"],
        row["path"] or "-",
        row["gates"] or "-",
        compared(own, timed.get(none)),
        compared({UPDATES: row["evaluate"]}, evaluated and {UPDATES: evaluated}),
        percent(interval(lambda a, b: a / b, row["masks"], train) if row["masks"] else None),
        compared(timed.get(none.stock()), own),
        compared(timed.get(none.stock("fp32")), own),
        milliseconds(train["ms"]),
        spread(train),
        milliseconds(row["evaluate"]["ms"]),
        megabytes(row["peak_bytes"]),
    )


def _cohorts(report: Report, timed: Timed) -> Table:
    columns = (
        "", "precision", "trials", "one/it", "stock/it", "stock fp32/it", "ms a trial", "±", "MB",
    )  # fmt: skip
    smallest = {
        Update.of(row): row["train"]
        for row in report["cohorts"]
        if row["size"] == min(report["options"]["cohorts"])
    }
    rows = []
    for row in report["cohorts"]:
        update, size_ = Update.of(row), row["size"]
        one = {COHORTS: part(smallest[update], min(report["options"]["cohorts"]))}
        own = {COHORTS: part(row["train"], size_)}
        if size_ == 1:
            one = own = seen_from(COHORTS, timed[update])
        stock = [timed.get(update.stock(each)) for each in (row["precision"], "fp32")]
        rows.append(
            (
                row["strategy"],
                row["precision"],
                str(size_),
                compared(one, own),
                *(compared(each and seen_from(COHORTS, each), own) for each in stock),
                milliseconds(row["ms_a_trial"]),
                spread(row["train"]),
                megabytes(row["peak_bytes"]),
            )
        )
    shape = report["options"]["shapes"][0]
    note = (
        "How many times faster a trial of a cohort is than one alone, and than the stock trainer."
    )
    return Table(f"Cohorts at {words(shape)}", note, columns, rows)


def _lengths(report: Report) -> Table:
    factors = report["options"]["lengths"]
    columns = (
        "", "", "precision", "exponent", "fixed ms", "ms a 1,000 tokens", "off the line",
        *(f"ms at {factor}x" for factor in factors), "±, at most",
    )  # fmt: skip
    rows = []
    for row in report["lengths"]:
        train = row["train"]
        power, fixed, slope = (interval(partial(fit, row["tokens"]), *train) for fit in _FITS)
        rows.append(
            (
                row["shape"],
                row["strategy"],
                row["precision"],
                number(power, null=1.0),
                number(fixed, null=0.0),
                number(slope),
                share(row["line"]["deviation"]),
                *(milliseconds(timing["ms"]) for timing in train),
                spread(max(train, key=lambda timing: timing["spread"])),
            )
        )
    note = (
        "Exponent of the fit ms ~ tokens^e, where 1 is linear; and the straight line fixed + slope "
        "x tokens, with the largest deviation from it. SGD is what is fixed."
    )
    return Table("Time against tokens", note, columns, rows)


def _again(timed: Timed) -> Table:
    columns = (
        "", "", "precision", *(f"ms {where}" for where in _WHERE.values()), "farthest apart",
    )  # fmt: skip
    rows = []
    for update, by_table in timed.items():
        if len(by_table) > 1:
            ms = [timing["ms"] for timing in by_table.values()]
            told = (
                f"{milliseconds(each['ms'])} ± {spread(each)}" if each else "-"
                for each in map(by_table.get, _WHERE)
            )
            name = update.strategy if update.trainer == "ablate" else "stock"
            apart = share(max(ms) / min(ms) - 1.0)
            rows.append((update.shape, name, update.precision, *told, apart))
    note = (
        "Medians of the same update in each table that has it. Tables take their turns one after "
        "the other, and a case has other neighbours in each: a ratio of two cases holds what every "
        "table says of both."
    )
    return Table("The same updates again", note, columns, rows)


def _rooflines(report: Report, timed: Timed) -> Table:
    columns = (
        "", "precision", "none", "stock", "none, products alone", "GFLOP", "in steps", "GB",
        "ms of products", "ms of memory", "ms of none", "ms of stock",
    )  # fmt: skip
    rows = []
    for row in report["rooflines"]:
        large, step = row["operations"]["large"], row["operations"]["step"]
        none = Update("ablate", row["shape"], row["precision"], "none")
        rows.append(
            (
                row["shape"],
                row["precision"],
                fraction(row["in_turn_ms"], timed.get(none)),
                fraction(row["in_turn_ms"], timed.get(none.stock())),
                fraction(row["products_ms"], timed.get(none)),
                f"{(large + step) / 1e9:.1f}",
                share(step / (large + step)),
                f"{sum(row['bytes'].values()) / 1e9:.2f}",
                milliseconds(row["products_ms"]),
                milliseconds(row["memory_ms"]),
                milliseconds(row["none_ms"]),
                milliseconds(row["stock_ms"]),
            )
        )
    note = (
        "The fraction of the ceilings that `none` and the stock trainer reach: what an update "
        "computes and moves, counted from the shapes, at the measured ceilings one after the other "
        "(or the products alone), over what it took."
    )
    return Table("Roofline", note, columns, rows)


def _ceilings(report: Report) -> Table:
    rows = []
    for each in report["ceilings"]["products"]:
        trials = f"{each['trials']} x " if each["trials"] > 1 else ""
        factors = f"{trials}[{each['m']} x {each['k']}] [{each['k']} x {each['n']}]"
        kind = f"{each['kind']} product" + (f", {each['shape']}" if each["shape"] else "")
        rate = f"{each['operations_per_second'] / 1e12:.3f} TFLOP/s"
        rows.append((kind, each["precision"], factors, rate))
    for each in report["ceilings"]["bandwidths"]:
        arrays = f"3 arrays of {size(each['array_bytes'])}"
        rate = f"{each['bytes_per_second'] / 1e9:.1f} GB/s"
        rows.append((f"triad, {each['kind']}", "fp32", arrays, rate))
    note = "The best of several tries. A step's product has its weight in the cache."
    return Table("Ceilings", note, ("", "precision", "size", "measured"), rows)


def _parts(report: Report) -> Table:
    columns = ("part", "way", "shape", "precision", "V", "to the best", "ms", "±")
    rows = [
        (
            row["part"],
            row["way"],
            row["shape"],
            row["precision"],
            f"{row['vocabulary']:,}",
            number(to_best, null=1.0),
            milliseconds(row["ms"]),
            spread(row),
        )
        for row, to_best in zip(report["parts"], to_the_best(report["parts"]), strict=True)
    ]
    note = (
        "softmax: the loss and its gradients; embedding: the table's gradient, norm and step; "
        "step: norm, clip and SGD of all else."
    )
    return Table("Parts of an update", note, columns, rows)


def to_the_best(rows: list[Row]) -> list[Interval | None]:
    """The ratio of each way of a part to the fastest way of it, in the order of the rows."""
    best: dict[tuple[str, ...], Row] = {}
    for row in rows:
        first = best.setdefault(_part(row), row)
        if row["ms"] < first["ms"]:
            best[_part(row)] = row
    return [
        _ITSELF if row is fastest else interval(lambda a, b: a / b, row, fastest)
        for row in rows
        for fastest in [best[_part(row)]]
    ]


def words(shape: Row) -> str:
    """As in `small (2 x 200, 20 x 20, V = 10,000)`."""
    net, window = (
        f"{shape['layers']} x {shape['hidden']}",
        f"{shape['unroll']} x {shape['batch']}",
    )
    return f"{shape['name']} ({net}, {window}, V = {shape['vocabulary']:,})"


def _rows(report: Report, shape: Row, precision: str) -> list[Row]:
    return [
        row
        for row in report["updates"]
        if (row["shape"], row["precision"]) == (shape["name"], precision)
    ]


def _part(row: Row) -> tuple[str, ...]:
    return tuple(str(row[name]) for name in ("part", "shape", "precision", "vocabulary"))
