"""The hand-overs between the sound callback and the event loop."""

from __future__ import annotations

import threading

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from assistant.audio.ring import Playlist, Ring
from assistant.core.types import Pcm16


def numbered(begin: int, count: int) -> Pcm16:
    return np.arange(begin, begin + count).astype(np.int16)


@given(st.lists(st.tuples(st.integers(0, 12), st.booleans()), max_size=60))
def test_a_ring_gives_back_what_it_took_in_order(steps: list[tuple[int, bool]]) -> None:
    ring, sent = Ring(capacity=10), 0
    expected: list[int] = []
    got: list[int] = []
    for count, reads in steps:
        before = ring.dropped
        ring.write(numbered(sent, count))
        expected += range(sent, sent + count - (ring.dropped - before))
        sent += count
        if reads:
            got += ring.read().tolist()
    got += ring.read().tolist()

    assert got == expected
    assert ring.written + ring.dropped == sent
    assert len(ring.read()) == 0


@given(st.lists(st.tuples(st.integers(0, 12), st.booleans(), st.booleans()), max_size=60))
def test_silence_is_written_like_zeros(steps: list[tuple[int, bool, bool]]) -> None:
    ring, other = Ring(capacity=10), Ring(capacity=10)
    for count, is_silent, reads in steps:
        pcm = np.zeros(count, np.int16) if is_silent else numbered(1, count)
        other.write(pcm)
        if is_silent:
            ring.write_silence(count)
        else:
            ring.write(pcm)
        assert (ring.written, ring.unread, ring.dropped) == (other.written, other.unread, other.dropped)
        if reads:
            assert ring.read().tolist() == other.read().tolist()


def test_a_ring_goes_on_behind_what_was_skipped() -> None:
    ring = Ring(capacity=10)
    ring.write(numbered(0, 7))
    ring.skip(4)
    assert ring.unread == 3
    assert ring.read().tolist() == [4, 5, 6]


def test_a_ring_is_filled_before_it_drops() -> None:
    ring = Ring(capacity=10)
    ring.write(numbered(0, 7))
    ring.write(numbered(7, 7))

    assert (ring.written, ring.dropped) == (10, 4)
    assert ring.read().tolist() == list(range(10))


def test_a_ring_between_two_threads_loses_nothing() -> None:
    ring, count = Ring(capacity=1000), 50_000
    got: list[Pcm16] = []

    def write() -> None:
        sent = 0
        while sent < count:
            written = ring.written
            ring.write(numbered(sent % 32_768, min(37, 32_768 - sent % 32_768, count - sent)))
            sent += ring.written - written

    writer = threading.Thread(target=write)
    writer.start()
    while sum(map(len, got)) < count:
        got.append(ring.read())
    writer.join()

    assert np.array_equal(np.concatenate(got), np.arange(count) % 32_768)


def play(playlist: Playlist, frames: int, channels: int = 1) -> tuple[int, np.ndarray]:
    out = np.full((frames, channels), 99, np.int16)
    return playlist.fill(out), out


@given(st.lists(st.integers(0, 30), max_size=10), st.lists(st.integers(1, 25), min_size=1, max_size=30))
def test_a_playlist_plays_all_sounds_without_gaps_and_then_silence(
    sounds: list[int], blocks: list[int]
) -> None:
    playlist, total = Playlist(fade_samples=5), sum(sounds)
    for index, count in enumerate(sounds):
        playlist.append(numbered(1 + sum(sounds[:index]), count))

    played = [play(playlist, frames) for frames in blocks]

    heard = np.concatenate([out[:, 0] for _, out in played])
    assert heard.tolist() == [*range(1, total + 1), *[0] * len(heard)][: len(heard)]
    assert sum(count for count, _ in played) == min(total, len(heard))
    assert playlist.empty == (len(heard) >= total)


def test_every_channel_gets_the_sound() -> None:
    playlist = Playlist(fade_samples=5)
    playlist.append(numbered(1, 3))

    assert play(playlist, 4, channels=2)[1].tolist() == [[1, 1], [2, 2], [3, 3], [0, 0]]


def test_a_cut_fades_and_keeps_what_is_appended_after_it() -> None:
    playlist = Playlist(fade_samples=5)
    playlist.append(np.full(100, 1000, np.int16))
    play(playlist, 10)

    playlist.cut()
    assert playlist.empty
    playlist.append(np.full(3, 7, np.int16))

    count, out = play(playlist, 12)
    assert count == 8
    assert out[:, 0].tolist() == [1000, 750, 500, 250, 0, 7, 7, 7, 0, 0, 0, 0]


def test_a_cut_of_silence_is_nothing() -> None:
    playlist = Playlist(fade_samples=5)
    playlist.cut()

    assert play(playlist, 10)[0] == 0


def test_what_was_appended_and_cut_before_it_began_is_never_heard() -> None:
    playlist = Playlist(fade_samples=5)
    play(playlist, 1)
    playlist.cut()
    play(playlist, 1)
    playlist.append(np.full(3, 7, np.int16))
    playlist.cut()
    playlist.cut()

    assert play(playlist, 10)[0] == 0


def test_a_playlist_is_silent_when_its_last_sample_was_followed_by_silence() -> None:
    playlist = Playlist(fade_samples=4)
    assert playlist.silent
    playlist.append(numbered(1, 8))
    assert not playlist.silent
    play(playlist, 8)
    assert not playlist.silent, "it does not know yet whether more comes"
    play(playlist, 8)
    assert playlist.silent
    playlist.append(numbered(1, 8))
    playlist.cut()
    assert not playlist.silent, "there is another queue to take up"
    assert not play(playlist, 8)[1].any(), "what was cut before it began is not faded out"
    assert playlist.silent
