"""What is written against what a person would say."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.text.markup import speakable


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("This is **bold**, *this* and ***that*** too.", "This is bold, this and that too."),
        ("An __underlined__ and _slanted_ snake_case word.", "An underlined and slanted snake case word."),
        ("**The end, cut off", "The end, cut off"),
        ("~~Gone~~ for good.", "Gone for good."),
        ("# A heading\nText.", "A heading. Text."),
        ("- milk\n- eggs\n* bread", "milk. eggs. bread"),
        ("1. Open it.\n2) Close it.", "one, Open it. two, Close it."),
        ("- [x] done\n- [ ] open", "done. open"),
        ("> Quoted\n> twice", "Quoted. twice"),
        ("See [the manual](https://example.com/a(b).html) now.", "See the manual now."),
        ("See [the manual](https://example.com 'Title') now.", "See the manual now."),
        ("See [the manual][1] now[2].", "See the manual now."),
        ("![A cat](cat.png) sleeps.", "A cat sleeps."),
        ("Type `ls` and <b>enter</b>.", "Type ls and enter."),
        ("Tom &amp; Ann", "Tom and Ann"),
        ("| Day | Rain |\n|---|:-:|\n| Mon | yes |", "Day, Rain. Mon, yes"),
        ("One\n\n---\n\nTwo", "One. Two"),
        ("Before\n```python\nx = 1\n```\nafter", "Before. after"),
        ("A cut ```python\nx = 1", "A cut"),
        ("Done! 🎉👍🏽 Bye 👩‍👩‍👧 :-)", "Done! Bye"),
        ("Press 1️⃣ now", "Press one now"),
        ("\\*no emphasis\\*", "no emphasis"),
        (r"\( \frac{1}{2} \times 4 = 2 \)", "one half times four equals two"),
        ("2 * 3 = 6", "two times three equals six"),
        ("2**10", "two to the power of ten"),
    ],
)
def test_markup_is_not_said(written: str, said: str) -> None:
    assert speakable(written) == said


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("1,234", "one thousand two hundred and thirty-four"),
        ("3.5 and 0.05 and .5", "three point five and zero point zero five and point five"),
        ("-4 or −4", "minus four or minus four"),
        (
            "Agent 007 has 12345678901234567.",
            "Agent zero zero seven has " + "one two three four five six seven"
            " eight nine zero one two three four five six seven.",
        ),
        ("1st, 2nd, 3rd, 21st", "first, second, third, twenty-first"),
        ("In the 1990s and '80s", "In the nineteen nineties and eighties"),
        (
            "In 1905, 2000, 2007 and 2024.",
            "In nineteen oh-five, two thousand, two thousand and seven and twenty twenty-four.",
        ),
        (
            "1200 + 34 = 1234",
            "one thousand two hundred plus thirty-four equals one thousand two hundred and thirty-four",
        ),
        ("(1879–1955)", "(eighteen seventy-nine to nineteen fifty-five)"),
        ("3-5 or 10–12", "three to five or ten to twelve"),
        ("5 - 3 = 2 and 5-3=2", "five minus three equals two and five minus three equals two"),
        (
            "Add 1/2, 3/4 and 2 1/2 cups, or 1½.",
            "Add one half, three quarters and two and a half cups, or one and a half.",
        ),
        ("It scored 7/10 and 5/8.", "It scored seven out of ten and five eighths."),
        (
            "Call 911 or 555-123-4567.",
            "Call nine one one or five five five, one two three, four five six seven.",
        ),
        ("+49 30 1234567", "plus four nine, three zero, one two three four five six seven"),
        ("Version 3.11.2", "Version three point eleven point two"),
        ("16:9 on a 4K, 3D MP3 GPT-4", "sixteen to nine on a four K, three D MP three GPT four"),
        ("2x faster, 3x4", "two times faster, three by four"),
        ("H2O, H₂O, 5-year-old", "H two O, H two O, five-year-old"),
        ("120/80, 45/50, 50/50", "one hundred and twenty over eighty, forty-five out of fifty, fifty-fifty"),
        ("3 × 10^8", "three times ten to the power of eight"),
        ("5² = 25, 2^10, x^2", "five squared equals twenty-five, two to the power of ten, x squared"),
        ("No. 5, #7 and #fun", "number five, number seven and hashtag fun"),
        ("World War II, Henry VIII, Louis XIV", "World War two, Henry the eighth, Louis the fourteenth"),
    ],
)
def test_numbers(written: str, said: str) -> None:
    assert speakable(written) == said


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("10:30", "ten thirty"),
        ("7:05 pm", "seven oh five P-M"),
        ("At 7:05 p.m. we eat.", "At seven oh five P-M we eat."),
        ("We eat at 7:05 p.m.", "We eat at seven oh five P-M."),
        ("12:00 and 9:00 am", "twelve o'clock and nine A-M"),
        ("14:00, 14:30, 00:00, 0:15", "fourteen hundred, fourteen thirty, midnight, zero fifteen"),
        ("1:02:03", "one oh two and three seconds"),
        ("From 10:30-11:00 or 9am - 5pm.", "From ten thirty to eleven o'clock or nine A-M to five P-M."),
        ("It is 7.05pm.", "It is seven oh five P-M."),
        ("It is 7 AM.", "It is seven A-M."),
        ("2024-03-04", "March fourth, twenty twenty-four"),
        (
            "3/4/2024, 31/12/1999",
            "March fourth, twenty twenty-four, December thirty-first, nineteen ninety-nine",
        ),
        ("March 3, 1999", "March third, nineteen ninety-nine"),
        ("Jan. 5, Sept 6", "January fifth, September sixth"),
        ("On 14 March 1879", "On the fourteenth of March eighteen seventy-nine"),
        ("on the 3rd of May", "on the third of May"),
        ("July 4-6", "July fourth to sixth"),
        ("May 5:30 be fine?", "May five thirty be fine?"),
    ],
)
def test_dates_and_times(written: str, said: str) -> None:
    assert speakable(written) == said


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("$5.50", "five dollars and fifty cents"),
        ("$1, $1.01, $0.99, £0.01", "one dollar, one dollar and one cent, ninety-nine cents, one penny"),
        ("€3 and 5 € and 7 EUR", "three euros and five euros and seven euros"),
        ("£1.2 million", "one point two million pounds"),
        ("$5k, $3bn", "five thousand dollars, three billion dollars"),
        ("$1,234.56", "one thousand two hundred and thirty-four dollars and fifty-six cents"),
        ("-$5", "minus five dollars"),
        ("$3-5", "three to five dollars"),
        ("$10–$20", "ten to twenty dollars"),
        ("$3-5 million", "three to five million dollars"),
        ("25% or 3-5 %", "twenty-five percent or three to five percent"),
        ("5 km/h", "five kilometers per hour"),
        ("1 km/h, 1 mile", "one kilometer per hour, one mile"),
        ("20°C, 1 °F, 90°", "twenty degrees Celsius, one degree Fahrenheit, ninety degrees"),
        ("-5°C", "minus five degrees Celsius"),
        ("20 degrees C", "twenty degrees Celsius"),
        ("3 kg, 16 GB, 2.5 GHz", "three kilograms, sixteen gigabytes, two point five gigahertz"),
        ("10-12 kg", "ten to twelve kilograms"),
        ("a 5-kg bag", "a five kilogram bag"),
        (
            "6 ft, 50 m², 9.8 m/s²",
            "six feet, fifty square meters, nine point eight meters per second squared",
        ),
        ("1/4 tsp, 2 1/2 kg", "one quarter of a teaspoon, two and a half kilograms"),
        ("149.6 million km", "one hundred and forty-nine point six million kilometers"),
        ("2 L of water/day", "two liters of water per day"),
        ("100 Mbps, 3 kWh", "one hundred megabits per second, three kilowatt hours"),
        ("She is 5'10\" tall.", "She is five foot ten tall."),
        ("30s, 5 min, 2 h", "thirty seconds, five minutes, two hours"),
    ],
)
def test_money_and_units(written: str, said: str) -> None:
    assert speakable(written) == said


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("Go to https://www.example.com/docs?x=1.", "Go to example dot com slash docs."),
        ("Go to www.example.com, now", "Go to example dot com, now"),
        ("See example.org/downloads.", "See example dot org slash downloads."),
        ("https://example.org/a/8f3b2c/x_1", "example dot org"),
        ("Mail me@my-site.co.uk!", "Mail me at my dash site dot co dot uk!"),
        ("Edit config.yaml in /etc/hosts", "Edit config dot yaml in slash etc slash hosts"),
        ("Dr. Smith met Mr Lee and Ms. Poe.", "Doctor Smith met Mister Lee and Miz Poe."),
        ("12 Main St., near St. Mary", "twelve Main Street, near Saint Mary"),
        ("She lives on Main St.", "She lives on Main Street."),
        ("Fruit, e.g. apples, pears, etc.", "Fruit, for example apples, pears, et cetera."),
        ("9am-5pm Mon.-Fri.", "nine A-M to five P-M Monday to Friday."),
        ("i.e. this vs. that", "that is this versus that"),
        ("The U.S. is big. J. R. Tolkien", "The U-S is big. J R Tolkien"),
        ("He is from the U.S.A.", "He is from the U-S-A."),
        ("Tom & Ann @ home", "Tom and Ann at home"),
        ("2+2=4, 3 × 4 ÷ 2", "two plus two equals four, three times four divided by two"),
        ("C++ and C#", "C plus plus and C sharp"),
        ("he/she, and/or, TCP/IP", "he or she, and or, TCP IP"),
        ("x < 5 > 3 ≥ 1", "x less than five more than three at least one"),
        ("about ~5, 24/7", "about about five, twenty-four seven"),
        ("It’s fine.", "It's fine."),
        ("a -> b → c", "a - b to c"),
    ],
)
def test_addresses_abbreviations_and_signs(written: str, said: str) -> None:
    assert speakable(written) == said


@pytest.mark.parametrize("nothing", ["", "...", "🙂", "---", "**", "```\nx = 1\n```", "|---|---|", " \n "])
def test_nothing_to_say(nothing: str) -> None:
    assert speakable(nothing) == ""


def test_other_languages_keep_their_numbers() -> None:
    assert speakable("**3,5 km** 🙂 um 10:30", "de") == "3,5 km um 10:30"
    assert speakable("20°C", "en-GB") == "twenty degrees Celsius"


_TEXTS = st.one_of(
    st.text(max_size=80),
    st.text("0123456789.,:/-–$€%°'\"# \nkmsxghCAPMM*_|()[]²½+=^~<>&@", max_size=60),
)


@given(_TEXTS)
def test_whatever_stands_there_becomes_words_on_one_line(text: str) -> None:
    said = speakable(text)
    assert said == " ".join(said.split())
    assert not re.search(r"[\d*`|#^_\\]", said)
