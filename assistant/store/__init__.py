"""Models on this disk: the catalogue, fetching, checking, importing, encrypting.

Other rooms call ``open_store``. Module by module: ``catalog`` says what exists,
``store`` what is here (``listing`` shows it), ``folder`` whether it is whole; ``pull`` and ``importing``
bring models in through ``incoming``, ``fetch`` from one source, when their ``licences`` were agreed to;
``indexes``, ``wheels``, ``download`` and ``web`` are what sources are made of. ``encrypting``
makes ``sealed`` files of a model's, and ``opening`` reads them into memory with the key of ``keys``.
"""

from assistant.store.listing import Entry
from assistant.store.store import Store, open_store

__all__ = ["Entry", "Store", "open_store"]
