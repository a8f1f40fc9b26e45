"""Models on this disk: catalog, downloads, checks, imports, encryption.

Other rooms call ``open_store``. ``catalog`` lists what exists, ``store`` what is installed (``listing`` shows
it), and ``folder`` checks that it is complete. ``pull`` and ``importing`` bring models in through
``incoming``, and ``fetch`` gets one from one source, once its ``licences`` are accepted; ``indexes``,
``wheels``, ``download`` and ``web`` implement the sources. ``encrypting`` turns a model's files into
``sealed`` ones, and ``opening`` decrypts them into memory with the key from ``keys``.
"""

from assistant.store.listing import Entry
from assistant.store.store import Store, open_store

__all__ = ["Entry", "Store", "open_store"]
