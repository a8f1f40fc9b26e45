"""What people say, write and hit, collected from public reports: each case with what should come of it."""
