"""Vendors: what they speak (`wire`, pure), how we talk to them (`session`), and one module for each vendor.

wire       requests and verdicts as values; the table of outcomes      cxone    NICE CXone's operations
evidence   error texts, request ids and rate advice out of a reply     webhook  status webhooks that we send
transport  one exchange: time, size and redirects bounded              token    client credentials, one fetch for all
limiter    how many, how fast          restraint  when not to send     attempts what one call does next
login      credentials into a session  cxone_debug  simulations at the vendor
"""
