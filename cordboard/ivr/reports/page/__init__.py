"""One self-contained HTML page with every call of a suite, its way through the flow and what it covers.

It asks nothing of any network. The calls stand in it as one block of JSON, from which `page.js` draws what is looked
at; whatever a user or a vendor named is only ever put on the page as text.
"""

from cordboard.ivr.reports.page.page import html_parts, to_html

__all__ = ["html_parts", "to_html"]
