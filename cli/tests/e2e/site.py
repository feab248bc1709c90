#!/usr/bin/env python3
"""site.py ROOT DIRECTORY: has mdbook make the book of ROOT in DIRECTORY, and looks at what a browser would be given.

mdbook must have nothing to say against it; every link and anchor of every page must be there, and no page may need a network
to be looked at: scripts, styles, fonts and pictures lie beside it.
"""
import html.parser
import os
import re
import subprocess
import sys
import urllib.parse

# What a browser fetches by itself, by element and attribute.
FETCHED = {("script", "src"), ("link", "href"), ("img", "src"), ("iframe", "src"), ("source", "src")}
IN_STYLES = re.compile(r"url\(\s*['\"]?([^'\")]+)")


class Links(html.parser.HTMLParser):
    """The ids of a page, what it links to, and what a browser fetches for it."""

    def __init__(self):
        super().__init__()
        self.ids, self.links, self.fetched = set(), [], []

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name in ("id", "name") and value:
                self.ids.add(value)
            elif (tag, name) in FETCHED:
                self.fetched.append(value)
            elif (tag, name) == ("a", "href"):
                self.links.append(value)


def read(directory):
    """Every page of the book, by its path."""
    found = {}
    for folder, _, names in os.walk(directory):
        for name in names:
            if name.endswith(".html"):
                page = Links()
                with open(os.path.join(folder, name), encoding="utf-8") as file:
                    page.feed(file.read())
                found[os.path.normpath(os.path.join(folder, name))] = page
    return found


def problems(book):
    """What is wrong with the links of the pages."""
    for path, page in sorted(book.items()):
        # The page for addresses that are not there, and the one for printing, are seen from elsewhere.
        if os.path.basename(path) in ("404.html", "print.html"):
            continue
        for link in page.fetched + page.links:
            parts = urllib.parse.urlsplit(link)
            if parts.scheme or parts.netloc:
                if link in page.fetched and parts.scheme != "data":
                    yield f"{path}: is shown with the help of {link}"
                continue
            target = path
            if parts.path:
                target = os.path.normpath(os.path.join(os.path.dirname(path), urllib.parse.unquote(parts.path)))
            if not os.path.exists(target):
                yield f"{path}: {link} is not there"
            elif parts.fragment and target in book and urllib.parse.unquote(parts.fragment) not in book[target].ids:
                yield f"{path}: {link} has no such heading"


def styles(directory):
    """What styles fetch from elsewhere."""
    for folder, _, names in os.walk(directory):
        for name in filter(lambda name: name.endswith(".css"), names):
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                for address in IN_STYLES.findall(file.read()):
                    if address.startswith(("http:", "https:", "//")):
                        yield f"{name}: fetches {address}"


def main():
    root, directory = map(os.path.abspath, sys.argv[1:])
    build = subprocess.run(["mdbook", "build", "--dest-dir", directory, root], stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True, check=False)
    told = [line for line in build.stdout.splitlines() if re.search(r"\b(WARN|ERROR)\b|^warning|^error", line)]
    if build.returncode or told:
        sys.exit(f"mdbook ends with {build.returncode}:\n{build.stdout}")
    book = read(directory)
    wrong = [*problems(book), *styles(directory)]
    print("\n".join(wrong), end="\n" if wrong else "")
    print(f"{len(book)} passed, {len(wrong)} failed")
    sys.exit(1 if wrong or not book else 0)


main()
