"""The echo canceller: takes the assistant's own voice out of what the microphone hears."""
