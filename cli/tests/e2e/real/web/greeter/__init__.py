"""Says what it is told."""


def greet(words):
    return " ".join(words).upper()
