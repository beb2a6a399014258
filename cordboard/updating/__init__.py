"""Updating a live call flow that others edit too: an edit is merged, checked, rehearsed, saved once, read back.

    the merged flow …                                     and then
    could not be made: both sides changed the same        `conflict`; nothing is sent, all three values are shown
    has faults, or a call of a suite is not as it must be `invalid`; nothing is sent
    is what is live already                               `unchanged`; nothing is sent
    nobody agreed to it, where somebody was to            `declined`; nothing is sent
    was saved, with the version that was read             `saved`, or `unverified` where another flow is read back
    was refused: somebody saved in between                once more from the start, with what is live now

A save names the version that it was made for (`If-Match`), so it can take effect on no other flow than the one that was
checked, and not twice, however often it is sent. Each edit has a key of its own in the ledger, made from its content:
an edit that was saved is not made again by a rerun, also where somebody took it back since. Writers that share a ledger
take turns at a flow, which saves them work and decides nothing.
"""
