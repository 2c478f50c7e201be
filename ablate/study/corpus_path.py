"""Where the path of a profile's corpus begins: one rule for what a file says and what is typed.

A path in a study file begins at that file, as the paths of its plugins do. A path typed on the
command line begins at the working directory.
"""

import json
import os
import shlex
from dataclasses import dataclass
from pathlib import Path

from ablate.data import Corpus, corpora, load_corpus
from ablate.data.corpora import check_name, folder_of
from ablate.data.note import visible
from ablate.data.text import PLAIN, Text
from ablate.errors import AblateError


@dataclass(frozen=True, slots=True)
class CorpusPath:
    """Where a corpus's path begins, and `other`: where else it may have been meant to begin.

    `rule` says why. `mend` takes the path that would be read from the other place as `path`.
    """

    begins: Path = Path()
    other: Path = Path()
    rule: str = ""
    mend: str = ""

    @classmethod
    def in_file(cls, folder: Path) -> "CorpusPath":
        """Of a path that a study file in `folder` holds."""
        return cls(
            folder, Path(), "a path in a study file begins at that file", "write corpus = {toml}"
        )

    @classmethod
    def typed(cls, folder: Path) -> "CorpusPath":
        """Of a path typed on the command line, to a study whose file is in `folder`."""
        rule = "a path on the command line begins at the working directory"
        return cls(Path(), folder, rule, "write --data {shell}")

    def check(self, spec: str) -> None:
        """Raise AblateError where `spec` is no built-in name and does not look like a path."""
        try:
            check_name(spec, self.begins)
        except AblateError as error:
            raise self._with_hint(spec, error) from None

    def load(self, spec: str, text: Text = PLAIN) -> Corpus:
        """Return the corpus that `spec` means here.

        Raises AblateError as `load_corpus` does; where the folder is only at the other place, the
        error says so and how to name it.
        """
        try:
            return load_corpus(spec, text, begins=self.begins)
        except AblateError as error:
            raise self._with_hint(spec, error) from None

    def hidden_folder(self, spec: str) -> str | None:
        """A sentence where the built-in corpus `spec` hides a folder of its name here."""
        folder = folder_of(spec, self.begins)
        if spec not in corpora() or not os.path.isdir(folder):
            return None
        return (
            f"corpus {spec} is the built-in one: the folder {visible(str(folder))} is not read; "
            f"write ./{spec} for it"
        )

    def _with_hint(self, spec: str, error: AblateError) -> AblateError:
        here, there = folder_of(spec, self.begins), folder_of(spec, self.other)
        if not spec or os.path.exists(here) or not os.path.isdir(there):
            return error
        path = os.path.relpath(there, self.begins)
        # A bare word is looked up as a name first.
        path = path if os.sep in path else os.path.join(os.curdir, path)
        mend = self.mend.format(toml=json.dumps(visible(path)), shell=shlex.quote(visible(path)))
        return AblateError(
            f"{error}; {self.rule}, and {visible(str(there))} is there: {mend}",
            given=spec,
            allowed=path,
        )
