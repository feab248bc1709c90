"""What is to stay as it is, whatever a build does."""
import os


def facts(top):
    """All that is below a directory: names, kinds, owners, modes, times, sizes, contents."""
    found = {}
    for folder, folders, files in os.walk(top):
        for name in [".", *folders, *files]:
            path = os.path.join(folder, name)
            seen = os.lstat(path)
            content = open(path, "rb").read() if os.path.isfile(path) and not os.path.islink(path) else None
            found[path] = (seen.st_mode, seen.st_uid, seen.st_nlink, seen.st_mtime_ns, seen.st_size, content)
    return found
