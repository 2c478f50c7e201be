"""Ratios of medians, as JSON has them: to `none`, to the stock trainer, to the machine's ceilings.

What is shown of them, and with which bounds, is for `intervals` to say.
"""

from dataclasses import asdict
from typing import Any

from bench.ceilings import Bandwidth, Product
from bench.options import Options
from bench.roofline import Ceilings, roofline, work

Row = dict[str, Any]


def with_ratios(rows: list[Row]) -> list[Row]:
    """Each row with its ratios: to `none` on its fastest path, and of the stock trainer to it.

    Both are of one precision; `faster_than_stock_fp32` is the float32 trainer's in all rows.
    """
    fastest: dict[tuple[str, str, str], Row] = {}
    for row in rows:
        if row["strategy"] == "none":
            place = (row["shape"], row["precision"], row["trainer"])
            if place not in fastest or row["train"]["ms"] < fastest[place]["train"]["ms"]:
                fastest[place] = row
    done = []
    for row in rows:
        shape, precision, train = row["shape"], row["precision"], row["train"]["ms"]
        none = fastest.get((shape, precision, "ablate"))
        stock, stock_fp32 = (fastest.get((shape, each, "stock")) for each in (precision, "fp32"))
        masks = row["masks"]
        done.append(
            row
            | {
                "ratio": train / none["train"]["ms"] if none else None,
                "evaluate_ratio": (
                    row["evaluate"]["ms"] / min_evaluation(rows, none) if none else None
                ),
                "masks_share": masks["ms"] / train if masks else None,
                "faster_than_stock": stock["train"]["ms"] / train if stock else None,
                "faster_than_stock_fp32": (
                    stock_fp32["train"]["ms"] / train if stock_fp32 else None
                ),
            }
        )
    return done


def min_evaluation(rows: list[Row], like: Row) -> float:
    """The fastest evaluation of `none` at the shape and in the precision of `like`."""
    same = ("shape", "precision", "trainer", "strategy")
    return min(row["evaluate"]["ms"] for row in rows if all(row[key] == like[key] for key in same))


def rooflines(
    options: Options,
    products: list[Product],
    bandwidth: list[Bandwidth],
    alone: list[Row],
) -> list[Row]:
    """What each shape's update would take at the ceilings, and the fraction that is reached."""
    rows = []
    for shape in options.shapes:
        for precision in options.precisions:
            needed = work(shape, precision)
            at_best = Ceilings(
                _best(products, "large", precision),
                _best(products, "step", precision, shape.name),
                next(each.bytes_per_second for each in bandwidth if each.kind == "memory"),
            )
            bound = roofline(needed, at_best)
            measured = {
                row["trainer"]: row["train"]["ms"]
                for row in sorted(alone, key=lambda row: -row["train"]["ms"])
                if (row["shape"], row["precision"], row["strategy"])
                == (shape.name, precision, "none")
            }
            rows.append(
                {
                    "shape": shape.name,
                    "precision": precision,
                    "operations": {"large": needed.large, "step": needed.step},
                    "bytes": dict(needed.bytes),
                    **asdict(bound),
                    "products_ms": bound.products_ms,
                    "in_turn_ms": bound.in_turn_ms,
                    "none_ms": measured.get("ablate"),
                    "stock_ms": measured.get("stock"),
                    "fraction": _over(bound.in_turn_ms, measured.get("ablate")),
                    "fraction_of_products": _over(bound.products_ms, measured.get("ablate")),
                    "stock_fraction": _over(bound.in_turn_ms, measured.get("stock")),
                }
            )
    return rows


def _best(products: list[Product], kind: str, precision: str, shape: str = "") -> float:
    return max(
        each.operations_per_second
        for each in products
        if (each.kind, each.precision, each.shape, each.trials if kind == "step" else 1)
        == (kind, precision, shape, 1)
    )


def _over(bound: float, measured: float | None) -> float | None:
    return bound / measured if measured else None
