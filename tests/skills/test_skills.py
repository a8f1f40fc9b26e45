"""What the assistant answers to commands, and what it does."""

# ruff: noqa: E501  a table is read in lines

from __future__ import annotations

import logging
import sqlite3
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from assistant import skills as room
from assistant.skills import Forget, Mute, Outcome, Repeat, SkillContext, Stop, Volume
from assistant.skills.builtin.ringing import announcement
from assistant.skills.list_book import ListBook
from assistant.skills.timer_book import TimerBook
from tests.skills.conftest import ENGLISH, Home
from tests.skills.test_timer_book import fill_the_disk


def action(home: Home, text: str) -> object:
    match = home.skills.match(text)
    assert match is not None
    return match.run().action


def test_matching_changes_nothing(home: Home) -> None:
    for _ in range(3):
        assert home.skills.match("set a timer for ten minutes")
        assert home.skills.match("add milk to the shopping list")
    assert home.timers.all() == []
    assert home.lists.items("shopping") == []


@pytest.mark.parametrize(
    ("at", "words"),
    [
        ("15:00", "It's three o'clock."),
        ("15:10", "It's ten past three."),
        ("18:30", "It's half past six."),
        ("16:45", "It's quarter to five."),
        ("12:15", "It's quarter past twelve."),
        ("12:00", "It's noon."),
        ("00:00", "It's midnight."),
        ("23:55", "It's five to twelve."),
        ("09:07", "It's nine oh seven."),
        ("15:42", "It's three forty-two."),
        ("00:31", "It's twelve thirty-one."),
    ],
)
def test_the_time(home: Home, at: str, words: str) -> None:
    home.time.wall = datetime.fromisoformat(f"2025-11-23T{at}+00:00")
    assert home.say("what time is it") == words


def test_the_date(home: Home) -> None:
    assert home.say("what day is it") == "It's Sunday, November twenty-third."
    assert home.say("what day is tomorrow") == "Tomorrow is Monday, November twenty-fourth."
    assert home.say("what day was yesterday") == "Yesterday was Saturday, November twenty-second."
    assert home.say("what year is it") == "It's twenty twenty-five."
    assert home.say("what month is it") == "It's November."


def test_a_kitchen_with_several_timers(home: Home) -> None:
    assert home.say("how long is left") == "There are no timers."
    assert home.say("cancel the timer") == "There are no timers."
    assert home.say("set a timer for ten minutes called pasta") == "Ten minutes, pasta, starting now."
    assert home.say("how long is left") == "Ten minutes left on the pasta timer."
    assert (
        home.say("set a timer for one minute and thirty seconds")
        == "One minute and thirty seconds, starting now."
    )
    home.time.run(60)
    assert home.say("how long is left on the pasta timer") == "Nine minutes left on the pasta timer."
    assert home.say("what timers do i have") == (
        "You have two timers: the one minute and thirty second timer with thirty seconds left "
        "and the pasta timer with nine minutes left."
    )
    assert home.say("cancel the timer").endswith("Which one?")
    assert home.say("add two minutes to the pasta timer") == "Okay, eleven minutes left on the pasta timer."
    assert home.say("cancel the tea timer").startswith("There is no such timer. You have two timers:")
    assert home.say("cancel the pasta timer") == "The pasta timer is canceled."
    home.time.run(31)
    assert (
        announcement(home.timers.due(), home.time.wall) == "Your one minute and thirty second timer is done."
    )
    assert home.say("five more minutes") == "Okay, five minutes more."
    home.time.run(301)
    assert len(home.timers.due()) == 1
    assert home.say("stop the timer") == "Okay."
    assert home.timers.due() == []
    assert home.say("cancel all timers") == "There are no timers."


def test_alarms(home: Home) -> None:
    assert home.say("what alarms do i have") == "No alarm is set."
    assert (
        home.say("set an alarm for half past six tomorrow")
        == "Your alarm is set for half past six tomorrow morning."
    )
    assert home.say("when is my alarm") == "Your alarm is set for half past six tomorrow morning."
    assert home.say("set an alarm for 7 am every weekday") == (
        "Your alarm is set for seven o'clock in the morning, Monday to Friday."
    )
    assert home.say("cancel my alarm") == (
        "Your alarms are set for half past six tomorrow morning and seven o'clock in the morning, Monday to Friday. Which one?"
    )
    assert home.say("cancel my 6:30 alarm") == "The alarm for half past six tomorrow morning is canceled."
    home.time.run(15 * 3600)
    assert announcement(home.timers.due(), home.time.wall) == "You missed your alarm at seven o'clock."
    assert home.say("snooze for ten minutes") == "Okay, ten minutes more."
    assert len(home.timers.all("alarm")) == 2
    assert home.say("delete all alarms") == "Both alarms are canceled."


def test_an_alarm_rings_with_its_time(home: Home) -> None:
    home.say("set an alarm for 16:30 called dentist")
    home.time.run(20 * 60 + 1)
    assert announcement(home.timers.due(), home.time.wall) == "It's half past four. Dentist."


def test_what_was_missed_is_told_with_its_time(home: Home) -> None:
    home.say("set a timer for ten minutes called pasta")
    home.say("remind me in twenty minutes to call my mother")
    home.time.run(86_400)
    assert announcement(home.timers.due(), home.time.wall) == (
        "You missed your pasta timer at twenty past four yesterday. "
        "You missed a reminder to call your mother at half past four yesterday."
    )


def test_reminders(home: Home) -> None:
    assert (
        home.say("remind me to call my mother in an hour")
        == "Okay, I'll remind you in one hour: call your mother."
    )
    assert (
        home.say("remind me at six to feed the cat")
        == "Okay, I'll remind you at six o'clock this evening: feed the cat."
    )
    assert home.say("what reminders do i have") == (
        "You have two reminders: call your mother in one hour and feed the cat at six o'clock this evening."
    )
    assert (
        home.say("cancel the reminder to call my mother") == "The reminder to call your mother is canceled."
    )
    home.time.run(2 * 3600)
    assert announcement(home.timers.due(), home.time.wall - timedelta(minutes=10)) != ""
    assert home.say("cancel all my reminders") == "The reminder is canceled."


def test_lists(home: Home) -> None:
    assert home.say("what's on the shopping list") == "Your shopping list is empty."
    assert home.say("add milk to the shopping list") == "Milk is on your shopping list."
    assert home.say("add some eggs, bread and a cucumber to my grocery list") == (
        "Eggs, bread, and cucumber are on your shopping list."
    )
    assert (
        home.say("what's on the shopping list") == "On your shopping list: milk, eggs, bread, and cucumber."
    )
    assert home.say("remove the MILK from my shopping list") == "I took MILK off your shopping list."
    assert home.say("is milk on the shopping list") == "No, milk is not on your shopping list."
    assert home.say("is bread on the shopping list") == "Yes, bread is on your shopping list."
    assert home.say("take cheese off the shopping list") == "Cheese is not on your shopping list."
    assert home.say("what's on my to-do list") == "Your to do list is empty."
    assert home.say("clear the shopping list") == "Your shopping list is now empty."
    assert home.say("clear the shopping list") == "Your shopping list is already empty."


def test_notes(home: Home) -> None:
    assert home.say("read my notes") == "There are no notes."
    assert home.say("take a note: the key is under the mat") == "Noted."
    assert home.say("note to self, call the bank") == "Noted."
    assert home.say("read my notes") == "You have two notes: The key is under the mat. Call the bank."
    assert home.say("delete the last note") == "I deleted the note: call the bank."
    assert home.say("delete all my notes") == "One note deleted."


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("what is twelve times seven", "Twelve times seven is eighty-four."),
        ("what is 15 percent of 80", "Fifteen percent of eighty is twelve."),
        ("what is 10 divided by 3", "Ten divided by three is about three point three three."),
        ("what is 1 divided by 3000", "One divided by three thousand is about zero point zero zero zero three three three."),
        ("what is 5 divided by 2", "Five divided by two is two point five."),
        ("what is 5 divided by 0", "You can't divide by zero."),
        ("what is 0.1 plus 0.2", "Zero point one plus zero point two is zero point three."),
        ("what is 3 minus 10", "Three minus ten is minus seven."),
        ("what is minus 3 times minus 4", "Minus three times minus four is twelve."),
        ("what is two plus three times four", "Two plus three times four is fourteen."),
        ("what is the square root of 2", "The square root of two is about one point four one."),
        ("what is the square root of minus 4", "That doesn't have an answer in ordinary numbers."),
        ("what is the cube root of 27", "The cube root of twenty-seven is three."),
        ("what is 9 to the power of 64", "That number is too big for me."),
        ("what is 10 to the power of 99999999", "That number is too big for me."),
        ("what is two thirds of 90", "Two thirds of ninety is sixty."),
        ("what percent of 80 is 20", "Twenty is twenty-five percent of eighty."),
        ("how many feet are in a mile", "One mile is five thousand, two hundred and eighty feet."),
        ("convert 5 miles to kilometers", "Five miles are about eight point zero five kilometers."),
        ("what is 98.6 fahrenheit in celsius", "Ninety-eight point six degrees Fahrenheit is thirty-seven degrees Celsius."),
        ("what is minus 40 celsius in fahrenheit", "Minus forty degrees Celsius is minus forty degrees Fahrenheit."),
        ("how tall is five foot eleven in centimeters", "Five foot eleven is about one hundred and eighty centimeters."),
        ("how many ounces are in a cup", "One cup is eight fluid ounces."),
        ("how many ounces are in a pound", "One pound is sixteen ounces."),
        ("how many cups in half a gallon", "Half a gallon is eight cups."),
        ("convert 3 cups to miles", "Cups and miles measure different things."),
        ("how many litres are in a gallon", "One gallon is about three point seven nine liters."),
    ],
)  # fmt: skip
def test_sums_and_units(home: Home, question: str, answer: str) -> None:
    assert home.say(question).replace(",", "") == answer.replace(",", "")


def test_volume(home: Home) -> None:
    assert action(home, "turn it up") == Volume(0.6)
    assert action(home, "turn down the volume by 30 percent") == Volume(0.2)
    assert action(home, "set the volume to 7") == Volume(0.7)
    assert action(home, "volume 25%") == Volume(0.25)
    assert home.say("what's the volume") == "The volume is at fifty percent."
    home.volume = 1.0
    assert action(home, "louder") is None
    home.volume = 0.05
    assert action(home, "set the volume to 140 percent") == Volume(1.0)
    assert action(home, "set the volume to 140 percent") == Volume(1.0)


def test_words_to_the_loop(home: Home) -> None:
    assert home.skills.match("never mind").run() == Outcome("", Stop())  # type: ignore[union-attr]
    assert action(home, "say that again") == Repeat()
    assert action(home, "stop listening") == Mute()
    assert action(home, "forget what i said") == Forget()


def test_chance(home: Home) -> None:
    assert {home.say("flip a coin") for _ in range(30)} == {"It's heads.", "It's tails."}
    assert all("together" in home.say("roll three dice") for _ in range(5))
    assert home.say("pick a number between 3 and 3") == "Three."
    assert home.say("roll 500 dice") == "I can roll up to twenty dice."


def test_a_name_that_ends_the_sentence_may_go_on(home: Home) -> None:
    def ends_open(text: str) -> bool:
        match = home.skills.match(text)
        assert match is not None
        return match.ends_open

    assert ends_open("remind me at six to feed the cat")
    assert ends_open("set a timer for ten minutes called pasta")
    assert not ends_open("set a timer for ten minutes")
    assert not ends_open("what time is it")
    assert not ends_open("add milk to the shopping list")


def test_a_fault_is_spoken_and_never_raised(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    home.say("set a timer for ten minutes")
    fill_the_disk(home.timers)
    long_name = "noodles" * 25
    answers = [home.say(f"set a timer for ten minutes called {long_name}") for _ in range(40)]
    assert answers[-1] == "It could not be saved because the disk is full."
    assert "code=storage-full" in caplog.text
    assert "noodles" not in caplog.text
    home.timers._database._connection.execute("DROP TABLE timers")
    assert home.say("what timers do i have").startswith("timers.db cannot be used")


def test_nothing_said_is_logged(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    home.say("remind me in ten minutes to buy marzipan")
    home.say("add marzipan to the shopping list")
    assert "marzipan" not in caplog.text.lower()


def test_every_skill_function_has_a_sentence() -> None:
    called = {name for module in room.TOPICS for name, _ in room._functions(module)}
    text = ENGLISH.read_text(encoding="utf-8")
    assert [name for name in sorted(called) if f"\n  {name}:" not in text] == []


def test_skills_survive_a_restart(home: Home, tmp_path: Path) -> None:
    home.say("set a timer for ten minutes called pasta")
    home.say("add milk to the shopping list")
    timers = TimerBook(tmp_path / "timers.db", home.time.clocks("next boot"))
    lists = ListBook(tmp_path / "lists.db")
    again = room.load([ENGLISH], SkillContext(timers, lists, clock=lambda: home.time.wall))
    match = again.match("how long is left")
    assert match is not None
    assert match.run().speech == "Ten minutes left on the pasta timer."
    assert lists.items("shopping") == ["milk"]
    timers.close()
    lists.close()


def test_sqlite_can_be_shared_between_threads() -> None:
    """``Match.run`` may be called from a worker thread: SQLite itself must be built for that."""
    assert sqlite3.threadsafety > 0


def test_a_timer_until_a_time_of_day_is_extended_and_paused(home: Home) -> None:
    home.say("set a timer until noon tomorrow")
    [before] = home.timers.all("timer")
    home.say("add ten minutes to the timer")
    assert home.timers.all("timer")[0].left_s == pytest.approx(before.left_s + 600)
    assert home.say("pause the timer").startswith("Paused with")
    home.time.run(2 * 86400)
    assert home.timers.due() == []
    home.say("resume the timer")
    assert home.timers.all("timer")[0].left_s == pytest.approx(before.left_s + 600)
