"""Language models in GGUF, computed by llama.cpp."""
