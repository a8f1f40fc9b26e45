"""Whether somebody has said all they wanted to say."""
