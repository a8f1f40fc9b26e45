"""The settings: their schema, the layers they come from, and what is wrong with them."""
