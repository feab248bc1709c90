import unittest

from greeter import greet


class Greeting(unittest.TestCase):
    def test_words_are_joined(self):
        self.assertEqual(greet(["a", "b"]), "A B")
