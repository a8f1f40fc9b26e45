"""Language models on a server that speaks the API of OpenAI."""
