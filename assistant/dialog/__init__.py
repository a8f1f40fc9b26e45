"""The conversation: listening, turn-taking, and answering."""
