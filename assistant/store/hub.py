"""Where the files of a Hugging Face repository lie.

``huggingface_hub`` knows the address, the mirror (HF_ENDPOINT), the offline switch and the
person's token; fetching, resuming and checking are ``download``'s, as for every other source.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from assistant.store.catalog import HuggingFace
from assistant.store.web import Link, SourceFailed


def links(source: HuggingFace, files: Iterable[str]) -> dict[str, Link]:
    """A link for each of the model's files. Raises SourceFailed when the package is not there."""
    try:
        from huggingface_hub import constants, get_token, hf_hub_url  # noqa: PLC0415  an optional package
    except ImportError as error:
        raise SourceFailed("the Python package huggingface_hub is not installed") from error
    if constants.HF_HUB_OFFLINE:
        raise SourceFailed("HF_HUB_OFFLINE is set")
    endpoint = os.environ.get("HF_ENDPOINT") or None
    token = get_token()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return {
        file: Link(
            hf_hub_url(
                source.repo, source.files.get(file, file), revision=source.revision, endpoint=endpoint
            ),
            headers,
        )
        for file in files
    }
