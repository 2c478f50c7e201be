"""A bench of tiny shapes by the real code: the facts that it gives, and how they are shown."""

import json

import pytest
import torch
from bench import ceilings, documents, files, memory, options, run, show, stock
from bench.__main__ import main
from bench.options import Options
from bench.parts import WAYS, arguments
from bench.shapes import Shape
from bench.trainers import Case, build, task_of
from click.testing import CliRunner

from ablate.errors import AblateError

TINY = Shape("tiny", layers=2, hidden=8, unroll=4, batch=3, vocabulary=30)

OPTIONS = Options(
    shapes=(TINY,),
    strategies=("none", "gal2016", "zaremba2014"),
    precisions=("fp32", "bf16"),
    device="cpu",
    threads=1,
    repeat=2,
    warm=1,
    cohorts=(1, 2),
    lengths=(1, 2),
    products=(16,),
    vocabularies=(30, 50),
)


@pytest.fixture(autouse=True, scope="module")
def no_collection():
    """A round begins with a collection, which takes longer here than all rounds of tiny shapes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gc.collect", lambda: 0)
        yield


@pytest.fixture(scope="module")
def report():
    """One bench, as JSON holds it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ceilings, "array_bytes", lambda: 1 << 16)
        patch.setattr(run, "peaks", lambda cases, device, threads: [2_000_000] * len(cases))
        told = []
        found = run.run(OPTIONS, told.append, command=["make", "bench"])
    assert told[0] == "ceilings: products and memory"
    return json.loads(json.dumps(found))


def test_every_case_is_there(report):
    """Each strategy in each precision, `none` on both of its paths in fp32, and two of stock."""
    cases = [
        (row["precision"], row["trainer"], row["strategy"], row["path"], row["gates"])
        for row in report["updates"]
    ]
    assert cases == [
        ("fp32", "ablate", "none", "fused", "-"),
        ("fp32", "ablate", "none", "looped", "-"),
        ("fp32", "ablate", "gal2016", "looped", "apart"),
        ("fp32", "ablate", "zaremba2014", "fused", "shared"),
        ("fp32", "stock", "none", None, None),
        ("fp32", "stock", "dropout", None, None),
        ("bf16", "ablate", "none", "looped", "-"),
        ("bf16", "ablate", "gal2016", "looped", "apart"),
        ("bf16", "ablate", "zaremba2014", "looped", "shared"),
        ("bf16", "stock", "none", None, None),
        ("bf16", "stock", "dropout", None, None),
    ]


def test_facts_are_complete_and_agree(report):
    """Positive times, ratios that are those of the times, masks where there are some."""
    assert report["schema"] == run.SCHEMA
    for row in report["updates"]:
        assert row["train"]["ms"] > 0
        assert row["evaluate"]["ms"] > 0
        assert row["train"]["repeat"] == 2
        assert row["peak_bytes"] == 2_000_000
        none = min(
            other["train"]["ms"]
            for other in report["updates"]
            if (other["precision"], other["trainer"], other["strategy"])
            == (row["precision"], "ablate", "none")
        )
        assert row["ratio"] == pytest.approx(row["train"]["ms"] / none)
        samples = row["trainer"] == "ablate" and row["strategy"] != "none"
        assert (row["masks"] is not None) == samples
    assert [(row["precision"], row["strategy"], row["size"]) for row in report["cohorts"]] == [
        (precision, strategy, size)
        for precision in ("fp32", "bf16")
        for strategy in ("none", "gal2016")
        for size in (1, 2)
    ]
    for row in report["cohorts"]:
        assert row["ms_a_trial"] == pytest.approx(row["train"]["ms"] / row["size"])
    assert all(row["tokens"] == [12, 24] for row in report["lengths"])
    for row in report["rooflines"]:
        assert row["fraction"] == pytest.approx(row["in_turn_ms"] / row["none_ms"])
    kinds = [(each["kind"], each["trials"]) for each in report["ceilings"]["products"]]
    assert kinds == [("large", 1), ("large", 1), ("step", 1), ("step", 2), ("step", 1), ("step", 2)]


def test_the_machine_is_described(report):
    """What a reader needs, and no name of a host."""
    machine = report["machine"]
    for fact in ("cpu", "cores", "threads", "memory_bytes", "flags", "commit", "date", "command"):
        assert fact in machine
    assert machine["torch_version"] == torch.__version__
    assert machine["command"] == "make bench"


def test_tables_show_every_row(report):
    """The terminal's are never cut; Markdown has the same cells."""
    text, markdown = show.text(report), show.markdown(report)
    for words in (
        "Ratios.",
        "tiny (2 x 8, 4 x 3, V = 30), fp32.",
        "stock, dropout .5",
        "Roofline.",
    ):
        assert words in text
    assert "Command: make bench" in text
    assert "| gal2016 | looped | apart |" in markdown
    assert "| :-- | :-- | --: |" in markdown


def test_tables_show_what_few_strategies_leave(report):
    """Cohorts have strategies that were not asked for alone; a single call has no ratio."""
    few = report | {"updates": [row for row in report["updates"] if row["strategy"] != "gal2016"]}
    assert "gal2016" in show.text(few)
    once = json.loads(json.dumps(report))
    once["options"]["repeat"] = 1
    for row in (*once["updates"], *once["cohorts"], *once["lengths"]):
        for timing in (row.get("evaluate"), row.get("masks"), row.get("stock"), row["train"]):
            for each in timing if isinstance(timing, list) else [timing]:
                if each:
                    each |= {"repeat": 1, "calls": each["calls"][:1]}
    shown = show.markdown(once)
    assert "One call has no spread: no ratio is shown." in shown
    assert "| tiny | fp32 | - | zaremba2014 | - | gal2016 | - | - |" in shown


def test_parts_are_measured_by_themselves():
    """Every way of each part, at every vocabulary; those of words in float32 alone."""
    rows = run.run_parts(OPTIONS, lambda line: None)["parts"]
    assert len(rows) == 2 * (2 * 3 + 3 + 2 * 3)
    assert {row["way"] for row in rows if row["part"] == "softmax"} == set(WAYS["softmax"])
    assert min(row["ratio"] for row in rows) == 1.0


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_ways_of_the_softmax_agree(precision):
    """Their gradients are one another's."""
    given = arguments("softmax", TINY, precision, "cpu")
    tolerance = 1e-5 if precision == "fp32" else 0.1
    whole, *others = (way(*given) for way in WAYS["softmax"].values())
    for other in others:
        for one, gradient in zip(whole, other, strict=True):
            torch.testing.assert_close(
                gradient.float(), one.float(), atol=tolerance, rtol=tolerance
            )


@pytest.mark.parametrize("part", ["embedding", "step"])
def test_the_ways_of_a_step_agree(part):
    """The norms that they find are one another's."""
    found = []
    for way in WAYS[part].values():
        torch.manual_seed(0)
        norm = way(*arguments(part, TINY, "fp32", "cpu"))
        found.append(norm[0] if isinstance(norm, list | tuple) else norm)
    assert found[1:] == pytest.approx(found[:-1], rel=1e-5)


def test_the_stock_trainer_learns():
    """Its loss falls on a window that it sees again and again, in both precisions."""
    x_TB, y_TB = torch.randint(30, (2, 4, 3), generator=torch.Generator().manual_seed(0))
    for precision in ("fp32", "bf16"):
        torch.manual_seed(0)
        trainer = stock.StockTrainer(TINY, precision, dropout=0.0, device="cpu")
        losses = [trainer.update(x_TB, y_TB, learning_rate=1.0) for _ in range(20)]
        assert losses[-1] < losses[0] - 0.2
        assert trainer.evaluate(x_TB, y_TB) < losses[0]


def test_a_schedule_is_under_way():
    """A strategy that begins with nothing is timed at a rate that drops."""
    case = Case(trainer="ablate", shape=TINY, precision="fp32", strategy="morerio2017")
    trainer = build(case, "cpu")
    *_, output = trainer.masks(0)
    assert (output == 0).any()
    assert task_of(case, "cpu").updates > 0


@pytest.mark.skipif(not memory._STATUS.exists(), reason="the process has no status to read")
def test_a_larger_net_needs_more_memory():
    """By about its parameters: 4 MB of them with copies, against 40 MB."""
    few, many = (
        Case(
            trainer="stock",
            shape=Shape("s", 1, 64, 4, 3, vocabulary=words),
            precision="fp32",
            strategy="none",
        )
        for words in (8_000, 80_000)
    )
    small, large = memory.peaks([few, many], "cpu", threads=1)
    parameters = 2 * 64 * 4
    assert large > 80_000 * parameters
    assert small < large / 3


def test_json_is_written_and_read(tmp_path, report):
    """What `--from` shows is what was measured."""
    path = tmp_path / "bench.json"
    files.write(report, path)
    assert files.read(path) == report
    ran = CliRunner().invoke(main, ["--from", str(path), "--markdown"])
    assert ran.exit_code == 0, ran.output
    assert ran.output == show.markdown(report) + "\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("{", "is no JSON", id="json"),
        pytest.param("[]", "is no bench; give what `bench --json FILE` wrote", id="bench"),
        pytest.param('{"schema": 0, "machine": {}}', "is of schema 0", id="schema"),
    ],
)
def test_another_file_is_refused(tmp_path, text, words):
    """One sentence, with what to give instead."""
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(AblateError, match=words):
        files.read(path)


def test_the_documents_hold_what_was_measured():
    """`python -m bench.documents` writes them."""
    text = documents.NOTE.read_text(encoding="utf-8")
    assert documents.note(text) == text
    if documents.WHOLE.exists():
        assert documents.WHOLE.read_text(encoding="utf-8") == documents.whole()


def test_the_documents_take_a_file(tmp_path, report):
    """Whatever lies in the folder has a section."""
    files.write(report, tmp_path / "cpu.json")
    assert show.markdown(report) in documents.whole(tmp_path)
    assert "## `cpu.json`" in documents.whole(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(
            ["--shapes", "smal"], "no shape is called 'smal'; did you mean 'small'?", id="shape"
        ),
        pytest.param(["--shapes", ","], "--shapes names nothing; give one or more", id="no-shape"),
        pytest.param(
            ["--strategies", "zoneot"], "no strategy is called 'zoneot'; did you", id="strategy"
        ),
        pytest.param(
            ["--precision", "fp16"], "no precision is called 'fp16'; did you mean", id="precision"
        ),
        pytest.param(["--device", "gpu"], "there is no device 'gpu'", id="device"),
        pytest.param(["--threads", "9999"], "--threads 9999: this process has", id="threads"),
        pytest.param(["--repeat", "0"], "0 is not in the range x>=1", id="repeat"),
        pytest.param(["--json", "/nowhere/x.json"], "there is no folder '/nowhere'", id="json"),
        pytest.param(["--json", "/"], "is a folder; name a file in it", id="folder"),
        pytest.param(["--from", "/nowhere"], "--from /nowhere cannot be read: No such", id="from"),
        pytest.param(["--from", "x", "--quick"], "--from shows an earlier bench", id="both"),
    ],
)
def test_mistakes_are_told_at_once(arguments, words):
    """One message, exit code 2, and nothing was measured."""
    ran = CliRunner().invoke(main, arguments)
    assert ran.exit_code == 2
    assert words in ran.stderr
    assert not ran.stdout


def test_options_have_defaults():
    """Two shapes, every strategy, both precisions; `none` is never left out."""
    found = options.read_options()
    assert [shape.name for shape in found.shapes] == ["small", "medium"]
    assert found.precisions == ("fp32", "bf16")
    assert options.read_options(strategies="zoneout").strategies == ("none", "zoneout")
    quick = options.read_options(quick=True, repeat=4)
    assert ([shape.name for shape in quick.shapes], quick.repeat) == (["small"], 4)
    assert options.read_options(precision="auto").precisions in (("fp32",), ("bf16",))
