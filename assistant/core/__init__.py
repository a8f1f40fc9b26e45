"""Values, events, states and errors that the other rooms share. Imports no other room."""
