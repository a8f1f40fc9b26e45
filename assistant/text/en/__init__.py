"""How English that stands on paper is said: lists of rules, applied in the order in which they stand.

``english`` puts them together: its own for addresses, abbreviations and signs, ``times`` for dates and
clock times, ``quantities`` for money, units and all other numbers. All pure.
"""
