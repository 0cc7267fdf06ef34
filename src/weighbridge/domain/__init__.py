"""The arithmetic: pure, integers, standard library only. README.md here states the laws."""
