"""What mkdocs asks for while it builds: pages that are made from code or that lie beside the code.

Links between files of the repository are kept as they are on disk; here they become links between
pages of the site. A link to a file that the site does not have becomes its text.
"""

import os
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

# While it loads a hook, mkdocs imports from the hook's folder too.
from reference import PAGES, objects

ROOT = Path(__file__).parents[1]
RESULTS = "results/reference"
SHOWN = (".png", ".svg", ".html", ".csv", ".tex")

# Where a file outside of docs/ stands in the site.
BESIDE_THE_CODE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "ablate/README.md": "why/language.md",
    "ablate/engine/README.md": "why/engine.md",
    "ablate/training/README.md": "why/training.md",
    "ablate/study/README.md": "why/studies.md",
    "ablate/store/README.md": "why/store.md",
    "ablate/report/README.md": "why/reports.md",
    "ablate/auditing/README.md": "why/audit.md",
    "ablate/testing/README.md": "why/contracts.md",
    "benchmarks/bench/README.md": "evidence/how-speed-is-measured.md",
}

_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
_FENCE = re.compile(r"(^```.*?^```$)", re.DOTALL | re.MULTILINE)


def moved() -> dict[str, str]:
    """Where every file of the repository stands in the site that lies outside of docs/."""
    runs, others = {}, {}
    for path in sorted((ROOT / RESULTS).rglob("*")):
        source, below = (path.relative_to(top).as_posix() for top in (ROOT, ROOT / RESULTS))
        if path.name == "README.md":
            runs[source] = f"evidence/{path.parent.name}.md"
        elif path.suffix in SHOWN:
            others[source] = f"evidence/{below}"
    return BESIDE_THE_CODE | runs | others


def on_config(config: Any) -> Any:
    """Name every run under Evidence, so that a new one needs no entry."""
    (evidence,) = (part["Evidence"] for part in config.nav if "Evidence" in part)
    runs = (site for source, site in moved().items() if re.match(rf"{RESULTS}.*\.md$", source))
    evidence += [{Path(site).stem: site} for site in runs]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the pages and figures that do not lie in docs/."""
    for source, site in moved().items():
        files.append(File.generated(config, site, abs_src_path=str(ROOT / source)))
    for name, module in PAGES.items():
        files.append(File.generated(config, f"reference/{name}.md", content=module.page()))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Expand what `objects.md` marks, and turn links to files into links to pages."""
    site = page.file.src_uri
    if site == "reference/objects.md":
        markdown = objects.expanded(markdown)
    sites = moved()
    source = next((source for source, where in sites.items() if where == site), f"docs/{site}")
    parts = _FENCE.split(markdown)
    parts[::2] = [
        _LINK.sub(lambda found: _linked(found, source, site, sites), part) for part in parts[::2]
    ]
    return "".join(parts)


def _linked(found: re.Match[str], source: str, site: str, sites: dict[str, str]) -> str:
    sign, text, target = found.groups()
    path, mark, anchor = target.partition("#")
    if "://" in target or not path:
        return found[0]
    wanted = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
    where = sites.get(wanted) or wanted.removeprefix("docs/")
    if where == wanted:
        return text
    to = posixpath.relpath(where, posixpath.dirname(site) or os.curdir)
    return f"{sign}[{text}]({to}{mark}{anchor})"
