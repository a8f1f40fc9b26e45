"""What model files say of themselves, read as hostile input."""
