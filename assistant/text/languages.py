"""Languages that can be recognized: their codes, as Whisper has them, and their English names."""

from __future__ import annotations

import re

_NAMES = """
af afrikaans|am amharic|ar arabic|as assamese|az azerbaijani|ba bashkir|be belarusian|bg bulgarian
bn bengali|bo tibetan|br breton|bs bosnian|ca catalan|cs czech|cy welsh|da danish|de german|el greek
en english|es spanish|et estonian|eu basque|fa persian|fi finnish|fo faroese|fr french|gl galician
gu gujarati|ha hausa|haw hawaiian|he hebrew|hi hindi|hr croatian|ht haitian creole|hu hungarian
hy armenian|id indonesian|is icelandic|it italian|ja japanese|jw javanese|ka georgian|kk kazakh
km khmer|kn kannada|ko korean|la latin|lb luxembourgish|ln lingala|lo lao|lt lithuanian|lv latvian
mg malagasy|mi maori|mk macedonian|ml malayalam|mn mongolian|mr marathi|ms malay|mt maltese
my myanmar|ne nepali|nl dutch|nn nynorsk|no norwegian|oc occitan|pa punjabi|pl polish|ps pashto
pt portuguese|ro romanian|ru russian|sa sanskrit|sd sindhi|si sinhala|sk slovak|sl slovenian
sn shona|so somali|sq albanian|sr serbian|su sundanese|sv swedish|sw swahili|ta tamil|te telugu
tg tajik|th thai|tk turkmen|tl tagalog|tr turkish|tt tatar|uk ukrainian|ur urdu|uz uzbek
vi vietnamese|yi yiddish|yo yoruba|yue cantonese|zh chinese
"""
NAMES: dict[str, str] = {
    code: name for entry in re.split(r"[|\n]", _NAMES.strip()) for code, _, name in [entry.partition(" ")]
}
"""Code -> English name."""

_OTHERS = {"nb": "no", "jv": "jw", "iw": "he", "in": "id", "fil": "tl", "mandarin": "zh", "castilian": "es"}
_OTHERS |= {
    "flemish": "nl",
    "valencian": "ca",
    "burmese": "my",
    "moldavian": "ro",
    "pushto": "ps",
    "eng": "en",
}
_CODES = {name: code for code, name in NAMES.items()} | {code: code for code in NAMES} | _OTHERS


def language_code(said: str) -> str | None:
    """The code of a language that is named as "en", "en-US", "en_GB.UTF-8" or "English"; None for none."""
    plain = said.strip().lower()
    return _CODES.get(plain) or _CODES.get(re.split(r"[-_.@ ]", plain)[0])
