"""The skills that ship with the assistant, a topic each."""
