"""Models on this disk: the catalogue, fetching, checking, importing.

``open_store`` is the way in for everybody else. Room by room: ``catalog`` says what exists,
``store`` what is here, ``folder`` whether it is whole; ``pull`` and ``importing`` bring models in
through ``incoming``, ``fetch`` from one source; ``indexes``, ``hub``, ``wheels``, ``download`` and
``web`` are what sources are made of.
"""

from assistant.store.store import Entry, Store, open_store

__all__ = ["Entry", "Store", "open_store"]
