"""A matplotlib figure as SVG inside a page: the same figure gives the same bytes, and it takes on the page's text colour."""

import io
import re
from typing import Any


def svg(figure: Any) -> str:
    """The picture alone: inside a page it needs no namespaces, and no word of who made it."""
    import matplotlib

    text = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "aimo", "svg.fonttype": "none", "font.family": "sans-serif"}):
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    svg = text.getvalue()[text.getvalue().index("<svg") :]
    return re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg).replace("#000000", "currentColor")
