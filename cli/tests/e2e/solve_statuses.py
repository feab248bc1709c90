"""solve_statuses.py FILE STEP: the file is a stream of buildx's rawjson in which a step begins and ends, and prints STEP."""
import base64, json, sys
from datetime import datetime

lines = [json.loads(line) for line in open(sys.argv[1]) if line.startswith("{")]
assert lines, "nothing was said"
known, logs, ended = {}, b"", set()
for line in lines:
    assert set(line) <= {"vertexes", "statuses", "logs", "warnings"}, line
    for vertex in line.get("vertexes", []):
        known[vertex["digest"]] = vertex["name"]
        datetime.fromisoformat(vertex["started"].replace("Z", "+00:00")[:26].rstrip("+") + "+00:00")
        if "completed" in vertex:
            ended.add(vertex["digest"])
    for part in ("statuses", "logs", "warnings"):
        for entry in line.get(part, []):
            assert entry["vertex"] in known, entry
    for log in line.get("logs", []):
        logs += base64.b64decode(log["data"])
assert sys.argv[2].encode() in logs, logs
assert ended == set(known), set(known) - ended
