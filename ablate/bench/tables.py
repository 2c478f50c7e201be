"""A bench's facts as tables of text; ratios stand first, and "-" where there is nothing."""

from collections.abc import Iterator
from typing import Any, NamedTuple

Report = dict[str, Any]
Row = dict[str, Any]


class Table(NamedTuple):
    """A heading, a sentence that says how to read it, columns and rows of text."""

    title: str
    note: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]


def tables(report: Report, *, brief: bool = False) -> Iterator[Table]:
    """Every table that the report has facts for; `brief` leaves out the long ones."""
    if "updates" in report:
        yield _figures(report)
        if not brief:
            for shape in report["options"]["shapes"]:
                for precision in report["options"]["precisions"]:
                    yield _updates(report, shape, precision)
        yield _cohorts(report)
        yield _lengths(report)
        yield _rooflines(report)
        if not brief:
            yield _ceilings(report)
    if "parts" in report:
        yield _parts(report)


def _figures(report: Report) -> Table:
    columns = (
        "", "precision", "gates shared, at most", "by", "gates apart, at most", "by", "stock/none",
        "stock fp32/none",
    )  # fmt: skip
    rows = []
    for shape in report["options"]["shapes"]:
        for precision in report["options"]["precisions"]:
            own = [
                row
                for row in report["updates"]
                if (row["shape"], row["precision"]) == (shape["name"], precision)
            ]
            none = [row for row in own if row["trainer"] == "ablate" and row["strategy"] == "none"]
            best = min(none, key=lambda row: row["train"]["ms"], default=None)
            slowest = [_slowest(own, gates) for gates in ("shared", "apart")]
            rows.append(
                (
                    shape["name"],
                    precision,
                    *(cell for pair in slowest for cell in pair),
                    _ratio(best and best["faster_than_stock"]),
                    _ratio(best and best["faster_than_stock_fp32"]),
                )
            )
    note = (
        "The largest ratio of a strategy's update to that of `none` on `none`'s fastest path, and "
        "how many times faster `none` is than the stock trainer, in its precision and in fp32."
    )
    return Table("Ratios", note, columns, rows)


def _slowest(rows: list[Row], gates: str) -> tuple[str, str]:
    known = [row for row in rows if row["gates"] == gates and row["ratio"] is not None]
    worst = max(known, key=lambda row: row["ratio"], default=None)
    return (_ratio(worst["ratio"]), worst["strategy"]) if worst else ("-", "-")


def _updates(report: Report, shape: Row, precision: str) -> Table:
    rows = [
        row
        for row in report["updates"]
        if (row["shape"], row["precision"]) == (shape["name"], precision)
    ]
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
    return Table(f"{words(shape)}, {precision}", note, columns, [_update(row) for row in rows])


def _update(row: Row) -> tuple[str, ...]:
    stock = row["trainer"] == "stock"
    name = {"none": "stock", "dropout": "stock, dropout .5"}[row["strategy"]] if stock else ""
    return (
        name or row["strategy"],
        row["path"] or "-",
        row["gates"] or "-",
        _ratio(row["ratio"]),
        _ratio(row["evaluate_ratio"]),
        _percent(row["masks_share"]),
        _ratio(row["faster_than_stock"]),
        _ratio(row["faster_than_stock_fp32"]),
        _ms(row["train"]["ms"]),
        _percent(row["train"]["spread"]),
        _ms(row["evaluate"]["ms"]),
        _megabytes(row["peak_bytes"]),
    )


def _cohorts(report: Report) -> Table:
    columns = (
        "", "precision", "trials", "one/it", "stock/it", "stock fp32/it", "ms a trial", "±", "MB",
    )  # fmt: skip
    rows = [
        (
            row["strategy"],
            row["precision"],
            str(row["size"]),
            _ratio(row["faster_than_one"]),
            _ratio(row["faster_than_stock"]),
            _ratio(row["faster_than_stock_fp32"]),
            _ms(row["ms_a_trial"]),
            _percent(row["train"]["spread"]),
            _megabytes(row["peak_bytes"]),
        )
        for row in report["cohorts"]
    ]
    shape = report["options"]["shapes"][0]
    note = (
        "How many times faster a trial of a cohort is than one alone, and than the stock trainer."
    )
    return Table(f"Cohorts at {words(shape)}", note, columns, rows)


def _lengths(report: Report) -> Table:
    factors = report["options"]["lengths"]
    columns = (
        "", "", "precision", "exponent", "fixed ms", "ms a 1,000 tokens", "off the line",
        *(f"ms at {factor}x" for factor in factors),
    )  # fmt: skip
    rows = [
        (
            row["shape"],
            row["strategy"],
            row["precision"],
            f"{row['exponent']:.3f}",
            _ms(row["line"]["fixed"]),
            _ms(1000 * row["line"]["slope"]),
            _percent(row["line"]["deviation"]),
            *(_ms(timing["ms"]) for timing in row["train"]),
        )
        for row in report["lengths"]
    ]
    note = (
        "Exponent of the fit ms ~ tokens^e, where 1 is linear; and the straight line fixed + slope "
        "x tokens, with the largest deviation from it. SGD is what is fixed."
    )
    return Table("Time against tokens", note, columns, rows)


def _rooflines(report: Report) -> Table:
    columns = (
        "", "precision", "none", "stock", "none, products alone", "GFLOP", "in steps", "GB",
        "ms of products", "ms of memory", "ms of none", "ms of stock",
    )  # fmt: skip
    rows = []
    for row in report["rooflines"]:
        large, step = row["operations"]["large"], row["operations"]["step"]
        rows.append(
            (
                row["shape"],
                row["precision"],
                _ratio(row["fraction"]),
                _ratio(row["stock_fraction"]),
                _ratio(row["fraction_of_products"]),
                f"{(large + step) / 1e9:.1f}",
                _percent(step / (large + step)),
                f"{sum(row['bytes'].values()) / 1e9:.2f}",
                _ms(row["products_ms"]),
                _ms(row["memory_ms"]),
                _ms(row["none_ms"]),
                _ms(row["stock_ms"]),
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
            _ratio(row["ratio"]),
            _ms(row["ms"]),
            _percent(row["spread"]),
        )
        for row in report["parts"]
    ]
    note = (
        "softmax: the loss and its gradients; embedding: the table's gradient, norm and step; "
        "step: norm, clip and SGD of all else."
    )
    return Table("Parts of an update", note, columns, rows)


def words(shape: Row) -> str:
    """As in `small (2 x 200, 20 x 20, V = 10,000)`."""
    net, window = (
        f"{shape['layers']} x {shape['hidden']}",
        f"{shape['unroll']} x {shape['batch']}",
    )
    return f"{shape['name']} ({net}, {window}, V = {shape['vocabulary']:,})"


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _megabytes(value: int | None) -> str:
    return "-" if value is None else f"{value / 1e6:.0f}"


def size(count: int) -> str:
    return f"{count / 2**30:.0f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"
