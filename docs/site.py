# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""What MkDocs does beyond ``docs/``: pages that stand elsewhere in the repository, and one of the API a package."""

import posixpath
import re
from pathlib import Path
from typing import Any, Dict, List

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = "torchmultimodal_reid"
# file of the repository -> page of the site
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "examples/README.md": "recipes/index.md",
    "examples/mmet/README.md": "recipes/mmet.md",
    "examples/vtbr/README.md": "recipes/vtbr.md",
}
FENCE = re.compile(r"^```.*?^```[^\n]*$", flags=re.DOTALL | re.MULTILINE)
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


def card_pages() -> Dict[str, str]:
    """Model card of each model of the zoo -> page of the site."""
    cards = sorted((ROOT / LIBRARY / "weights").glob("[!.]*/README.md"))
    return {str(c.relative_to(ROOT)): f"zoo/{c.parent.name}.md" for c in cards}


def api_pages() -> Dict[str, List[str]]:
    """Page of each package -> its public modules, the package itself first where its docstring says something."""
    pages: Dict[str, List[str]] = {}
    for path in sorted((ROOT / LIBRARY).rglob("*.py")):
        inside = path.relative_to(ROOT).with_suffix("")
        package = ".".join(inside.parts[:-1])
        if inside.name == "__init__":
            if has_docstring(path):
                pages.setdefault(package, []).insert(0, package)
        elif not inside.name.startswith("_"):
            pages.setdefault(package, []).append(f"{package}.{inside.name}")
    return {page_of(package): modules for package, modules in sorted(pages.items())}


def has_docstring(path: Path) -> bool:
    lines = path.read_text(encoding="utf-8").splitlines()
    code = [line for line in lines if line and not line.startswith("#")]
    return bool(code) and code[0].startswith('"""')


def page_of(package: str) -> str:
    """The page of a package: ``api/modules.losses.md``, the library's own being ``api/index.md``."""
    return f"api/{package[len(LIBRARY) + 1 :] or 'index'}.md"


def api_page(page: str, modules: List[str]) -> str:
    """Text of a page: MkDocs' plugin puts each module's docstrings after its line."""
    title = posixpath.basename(page)[: -len(".md")]
    title = LIBRARY if title == "index" else title
    return f"# {title}\n\n" + "\n".join(f"::: {module}\n" for module in modules)


def on_config(config: Any) -> Any:
    """Adds the model cards and the pages of the API to the navigation."""
    place = config.nav.index("zoo.md")
    config.nav[place + 1 : place + 1] = list(card_pages().values())
    config.nav.append({"API": list(api_pages())})
    return config


def on_files(files: Any, config: Any) -> Any:
    """Adds the pages that are not in ``docs/``."""
    from mkdocs.structure.files import File

    for source, page in {**PAGES, **card_pages()}.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=text))
    for page, modules in api_pages().items():
        text = api_page(page, modules)
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Makes links between files of the repository links between pages of the site."""
    place = page.file.src_uri
    sources = {page: source for source, page in {**PAGES, **card_pages()}.items()}
    source = sources.get(place, f"docs/{place}")
    return "".join(
        part if part.startswith("```") else rewrite(part, source, place)
        for part in re.split(f"({FENCE.pattern})", markdown, flags=FENCE.flags)
    )


def rewrite(text: str, source: str, place: str) -> str:
    """Links of a text that stands in the file ``source``, as they read on the page ``place``.

    A link to a file that is no page becomes its text alone; one to a file that is not there stays, and MkDocs says so.
    """
    pages = {**PAGES, **card_pages()}

    def replace(match: Any) -> str:
        picture, words, target = match.groups()
        path, hash_, anchor = target.partition("#")
        if not path or ":" in path:
            return match.group(0)
        file = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
        if file in pages:
            goal = pages[file]
        elif file.startswith("docs/"):
            goal = file[len("docs/") :]
        elif f"{file}/README.md" in pages:
            goal = pages[f"{file}/README.md"]
        elif (ROOT / file).exists():
            return words if words.startswith("`") else f"`{words}`"
        else:
            return match.group(0)
        goal = posixpath.relpath(goal, posixpath.dirname(place) or ".")
        return f"{picture}[{words}]({goal}{hash_}{anchor})"

    return LINK.sub(replace, text)
