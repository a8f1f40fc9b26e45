"""The echo canceller: removes the assistant's own voice from the microphone signal."""
