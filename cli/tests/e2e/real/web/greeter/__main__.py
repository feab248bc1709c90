import sys

from . import greet

print(greet(sys.argv[1:]))
