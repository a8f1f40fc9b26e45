"""Language models in GGUF, run by llama.cpp."""
