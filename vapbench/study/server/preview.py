"""Every page of a study at once, as a laptop and a phone show it; best looked at before anything is frozen."""

from __future__ import annotations

from html import escape

from starlette.responses import Response

from vapbench.study.protocol import Protocol

SCREENS = (
    *("consent", "before", "instructions", "trial", "break", "after", "done"),
    *("busy", "full", "declined", "screened_out", "withdrawn", "closed"),
)
_WHERE_ASKED = ("before", "after")
"""Pages that only a study with such questions has."""
OPEN = "The study is open and its protocol frozen: a change of study.yaml no longer counts."
_PHONE = ("consent", "before", "instructions", "phone")


def preview_page(protocol: Protocol, frozen: bool) -> Response:
    """Frames of every page, in every language; ``frozen``: the study is open."""
    parts = []
    for language in protocol.languages:
        parts.append(f'<h2 lang="{language}">{language}</h2><h3>Laptop</h3><div class="frames">')
        parts += [_frame(name, language, "laptop") for name in SCREENS if _has(protocol, name)]
        parts.append('</div><h3>Phone</h3><div class="frames">')
        parts += [_frame(name, language, "phone") for name in _PHONE if _has(protocol, name)]
        parts.append("</div>")
    title = f"Preview: {escape(protocol.title)}"
    head = f'<meta charset="utf-8"><title>{title}</title><link rel="stylesheet" href="/page/preview.css">'
    said = OPEN if frozen else "Nothing is frozen yet: edit study.yaml and start the preview again."
    body = f"<h1>{title}</h1><p>{said} Answers given here are thrown away.</p>{''.join(parts)}"
    page = f'<!doctype html><html lang="en"><head>{head}</head><body>{body}</body></html>'
    return Response(page, media_type="text/html")


def _has(protocol: Protocol, screen: str) -> bool:
    return screen not in _WHERE_ASKED or bool(getattr(protocol, screen))


def _frame(screen: str, language: str, device: str) -> str:
    address = f"/study?lang={language}&amp;screen={screen}"
    return (
        f'<figure class="{device}"><figcaption><a href="{address}">{screen}</a></figcaption>'
        f'<div><iframe src="{address}" title="{screen}, {device}" loading="lazy"></iframe></div></figure>'
    )
