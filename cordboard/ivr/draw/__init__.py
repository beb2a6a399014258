"""Call flows as pictures: Mermaid for Markdown, DOT for Graphviz, and SVG or one HTML file for people."""

from cordboard.ivr.draw.page import to_html
from cordboard.ivr.draw.svg import MAX_ARROWS, MAX_BOXES, to_svg
from cordboard.ivr.draw.text import to_dot, to_mermaid

__all__ = ["MAX_ARROWS", "MAX_BOXES", "to_dot", "to_html", "to_mermaid", "to_svg"]
