"""Contact-centre automation: the domain. Knows call flows, chains and vendors; never imports Prefect."""

__version__ = "0.1.0"
