"""What mkdocs does beside rendering: pages from the code, links into the repository, llms.txt."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from docs.check_site import problems_of  # noqa: E402
from docs.reference_pages import PAGES  # noqa: E402
from oumi_fireworks.cli.schemas import SCHEMAS, schema_of  # noqa: E402

_NO_PROSE = ("#", "```", "|", "<", "!", "-")
"""How a paragraph begins that says nothing by itself."""

_OUTSIDE = re.compile(r"(\]\()((?:\.\./)+)([^)#\s]+)")
"""A link that leads up from a page."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what is made from the code."""
    for place, make in PAGES.items():
        files.append(File.generated(config, place, content=make()))
    for name in SCHEMAS:
        text = json.dumps(schema_of(name), indent=2)
        files.append(File.generated(config, f"schema/{name}.json", content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links to files beside docs/ lead into the repository: they are not part of the site."""
    here = Path(page.file.src_uri).parent

    def led(link: re.Match[str]) -> str:
        target = (ROOT / "docs" / here / link[2] / link[3]).resolve()
        if target.is_relative_to(ROOT / "docs"):
            return link[0]
        kind = "tree" if target.is_dir() else "blob"
        if not target.exists():
            raise PluginError(f"{page.file.src_uri}: {link[2]}{link[3]} is not there")
        return f"{link[1]}{config.repo_url}{kind}/main/{target.relative_to(ROOT).as_posix()}"

    return _OUTSIDE.sub(led, markdown)


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Keep the theme from asking GitHub for the project's stars."""
    return output.replace(' data-md-component="source"', "")


def on_env(env: object, config: MkDocsConfig, files: Files) -> None:
    """Write llms.txt: the pages of the site as a list for agents, with what each is about."""
    lines = [f"# {config.site_name}", "", f"> {config.site_description}"]
    for section in config.nav or []:
        ((title, pages),) = section.items()
        lines += ["", f"## {title}", ""]
        for each in pages if isinstance(pages, list) else [pages]:
            place = each if isinstance(each, str) else next(iter(each.values()))
            found = files.get_file_from_path(place)
            assert found is not None
            lines.append(_listed(found))
    target = Path(config.site_dir) / "llms.txt"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("\n".join(lines) + "\n", "utf-8")


def _listed(file: File) -> str:
    text = file.content_string
    title = next(line for line in text.splitlines() if line.startswith("# "))[2:]
    body = [part for part in text.partition(title)[2].split("\n\n") if part.strip()]
    first = next((part for part in body if not part.strip().startswith(_NO_PROSE)), "")
    sentence = re.split(r"(?<=[.])\s", " ".join(first.split()))[0]
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", sentence)
    return f"- [{title.strip('`')}]({file.url}): {plain}"


@event_priority(-200)  # after the plugin `offline`, at -100
def on_post_build(config: MkDocsConfig) -> None:
    """Look at what was built, and stop where a reader would be left alone."""
    problems = problems_of(Path(config.site_dir))
    if problems:
        raise PluginError("\n".join(problems))
