"""Names that parsers, encodings and shells trip over are names: of folders, and in what is kept."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from rows import name_row, trial_row

from ablate.errors import AblateError
from ablate.store import Store
from ablate.store.about import About
from ablate.store.listing import list_results

NAMES = {
    "percent": "a%20b",
    "scheme": "exp:1",
    "url": "file:",
    "query": "a?b=c",
    "fragment": "a#b",
    "glob": "[a]*",
    "quotes": """it's "q" `x` $y""",
    "dash": "-x",
    "line": "a\nb",
    "letters": "é ü 漢",
    "undecodable": os.fsdecode(b"un\xffdec"),
}


TOKENS = {"valid": np.float32([-1.0, -2.0])}


@pytest.mark.parametrize("relative", [True, False], ids=["relative", "absolute"])
@pytest.mark.parametrize("name", [pytest.param(name, id=case) for case, name in NAMES.items()])
def test_a_results_folder_may_have_any_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, relative: bool
) -> None:
    """Whatever is written comes back, from that folder alone, and every sentence can be encoded."""
    monkeypatch.chdir(tmp_path)
    results = Path(name) if relative else tmp_path / name
    store = Store.of(results, "study", "quick")
    with store.lock(), pytest.raises(AblateError) as held:
        store.lock().__enter__()
    assert held.value.given == store.folder
    store.write(trial_row(), [{"epoch": 1}], TOKENS)
    store.write(trial_row("b2"), [{"epoch": 1}], TOKENS)
    store.write_cells([name_row()])
    file = tmp_path / name / "mine.toml"
    file.write_text("")
    store.claim(About.of(file, "Where?"))

    assert list_results(results) == (store,)
    assert store.tokens().column("log_prob").to_pylist() == [-1.0, -2.0, -1.0, -2.0]
    about = store.about()
    assert about is not None
    assert Path(about.path) == file
    assert os.listdir(tmp_path) == [name]
    assert name in os.fsdecode(os.listdir(os.fsencode(tmp_path))[0])
    (store.folder / "trials" / "a1-1.parquet").write_bytes(b"broken")
    damage, aside = store.whole().damage(), store.set_damage_aside()
    assert aside is not None
    for said in (damage, aside.said, store.command("run")):
        assert said
        assert said.encode()
    assert list(store.committed()) == ["b2"]


@pytest.mark.parametrize("text", ["\ud800", "a\udcffb", "\x00", "\U0001f600 é", "a\nb\r"])
def test_any_text_can_be_kept(tmp_path: Path, text: str) -> None:
    """What UTF-8 has no bytes for is written out; everything else comes back as it was."""
    store = Store.of(tmp_path, "study", "quick")
    store.write(trial_row(corpus=text, platform=text), [{"epoch": 1}], TOKENS)
    store.write_failure(trial_row("b2", status="failed", error=text))
    store.write_cells([name_row(label=text, corpus=text, arguments=text)])
    store.write_cells([name_row(label=text, corpus=text, arguments=text)])

    kept = text.encode("utf-8", "backslashreplace").decode()
    rows = store.trials().to_pylist()
    assert [(row["corpus"], row["platform"], row["error"]) for row in rows] == [
        (kept, kept, None),
        ("toy", None, kept),
    ]
    (cell,) = store.cells().to_pylist()
    assert (cell["label"], cell["corpus"]) == (kept, kept)
    store.check()


@pytest.mark.parametrize(
    ("number", "words"),
    [
        pytest.param(errno.ENOSPC, "No space left on device", id="full"),
        pytest.param(errno.EROFS, "Read-only file system", id="read-only"),
        pytest.param(errno.EDQUOT, "quota exceeded", id="quota"),
    ],
)
@pytest.mark.parametrize("at", range(6))
def test_a_disk_that_fails_in_the_middle_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, words: str, at: int
) -> None:
    """One sentence at whichever write it happens; what was committed before is whole."""
    store = Store.of(tmp_path, "study", "quick")
    store.write_cells([name_row()])
    store.write(trial_row(), [{"epoch": 1}], TOKENS)
    whole, left = os.fsync, at

    def fsync(descriptor: int) -> None:
        nonlocal left
        if left == 0:
            raise OSError(number, os.strerror(number))
        left -= 1
        whole(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        with pytest.raises(AblateError, match=words) as raised:
            store.write(trial_row("b2"), [{"epoch": 1}], TOKENS)
    assert raised.value.given in (store.folder, *store.folder.iterdir())
    store.check()
    # The last of them is that of the folder, after the row was renamed: the commit.
    assert sorted(store.committed()) == (["a1", "b2"] if at == 5 else ["a1"])
    store.sweep()
    store.write(trial_row("b2", attempt=2), [{"epoch": 1}], TOKENS)
    assert sorted(store.committed()) == ["a1", "b2"]
