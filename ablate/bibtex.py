"""BibTeX as a strategy, a noise or a schedule brings it: one entry or more, each closed."""

import itertools
import re
from typing import Any, Final

from ablate.errors import WrongValue

#: How an entry begins; the group is its key.
KEY: Final = re.compile(r"@\w+\s*\{\s*([^,\s{}]+)\s*,")

_STEP: Final = {"{": 1, "}": -1}


def check_citation(whose: str, paper: Any, bibtex: Any) -> None:
    """Raise WrongValue where `paper` is no text or `bibtex` no BibTeX; None is none of either."""
    if paper is not None and not (isinstance(paper, str) and paper.strip()):
        allowed = "a text such as 'arXiv:1409.2329' or 'doi:10.1109/...'"
        raise WrongValue(f"the paper of {whose}", allowed, paper)
    if bibtex is not None and not (isinstance(bibtex, str) and _is_bibtex(bibtex.strip())):
        allowed = "a BibTeX entry with a key and closed braces, as '@article{key, title = {...}}'"
        raise WrongValue(f"the bibtex of {whose}", allowed, bibtex)


def _is_bibtex(text: str) -> bool:
    depths = list(itertools.accumulate(_STEP.get(sign, 0) for sign in text))
    return bool(KEY.match(text)) and text[-1] == "}" and depths[-1] == 0 and min(depths) >= 0
