#!/usr/bin/env python3
"""aws_command.py SERVICE OPERATION [--OPTION VALUE…]: whether AWS would understand a command. Nothing is sent.

What the command says is held against the description of the service that AWS's own SDK has (botocore): the operation, the
options, the form of what they say, its patterns and lists of words, and of policies that the actions in them exist.
aws_command.py --sent FILE does the same with the requests to ECR that ecr_service.py has noted.
"""
import json
import re
import sys

import botocore.session
from botocore import xform_name
from botocore.validate import ParamValidator

# Options of the command itself that the page may use.
OWN = {"region", "query", "output", "profile"}
# Actions of policies that are no operations, or not of the service that they are named after.
NO_OPERATIONS = {"sts:GetServiceBearerToken"}

session = botocore.session.get_session()


def fail(why):
    sys.exit(f"aws: {why}")


def read(value):
    """What an option says: the words, or those of a file."""
    if value.startswith("file://"):
        with open(value.removeprefix("file://"), encoding="utf-8") as file:
            return file.read()
    return value


def parsed(shape, values):
    """What the words behind an option say to a member of this shape."""
    kind = shape.type_name
    if kind == "boolean":
        return True
    if not values:
        fail(f"{shape.name} needs a value")
    text = read(values[0])
    if kind == "structure" or kind == "map" or text.lstrip()[:1] in ("[", "{") and kind != "string":
        return json.loads(text)
    if kind == "list":
        return [parsed(shape.member, [value]) for value in values]
    if len(values) > 1:
        fail(f"what is {values[1]!r}?")
    return {"integer": int, "long": int, "float": float, "double": float}.get(kind, str)(text)


def options(words):
    """The options with the words behind each."""
    found = []
    for word in words:
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            found.append((name, [value] if equals else []))
        elif found:
            found[-1][1].append(word)
        else:
            fail(f"what is {word!r}?")
    return found


def policy(text, place):
    """The actions of a policy are operations of the services that they name."""
    statements = json.loads(text)["Statement"]
    for statement in statements if isinstance(statements, list) else [statements]:
        actions = statement["Action"]
        for action in [actions] if isinstance(actions, str) else actions:
            service, _, operation = action.partition(":")
            if action not in NO_OPERATIONS and operation not in session.get_service_model(service).operation_names:
                yield f"{place}: no operation is called {action}"


def problems(shape, value, place):
    """What ParamValidator does not look at: lists of words, patterns, and texts that are documents."""
    kind = shape.type_name
    if kind == "structure":
        for name, one in value.items():
            if name in shape.members:
                yield from problems(shape.members[name], one, f"{place}.{name}")
    elif kind == "list":
        for number, one in enumerate(value):
            yield from problems(shape.member, one, f"{place}[{number}]")
    elif kind == "map":
        for name, one in value.items():
            yield from problems(shape.value, one, f"{place}.{name}")
    elif kind == "string":
        allowed, pattern, longest = (shape.metadata.get(key) for key in ("enum", "pattern", "max"))
        if allowed and value not in allowed:
            yield f"{place}: {value!r} is none of {', '.join(allowed)}"
        # Those of IAM's documents name characters in a way that is not Python's.
        if pattern and "\\u" not in pattern and not re.fullmatch(pattern, value, re.DOTALL):
            yield f"{place}: {value!r} is not {pattern}"
        if longest and len(value) > longest:
            yield f"{place}: longer than {longest}"
        if place.endswith("PolicyDocument"):
            yield from policy(value, place)


def check(operation, parameters):
    """Ends the program where these parameters are not those of an operation."""
    shape = operation.input_shape
    report = ParamValidator().validate(parameters, shape)
    if report.has_errors():
        fail(f"{operation.name}: {report.generate_report()}")
    # A list of parameters that are not known passes the validator: it is the service that refuses them.
    found = list(unknown(shape, parameters, operation.name)) + list(problems(shape, parameters, operation.name))
    if found:
        fail("\n".join(found))


def unknown(shape, value, place):
    """Members that no shape has."""
    if shape.type_name == "structure":
        for name, one in value.items():
            if name not in shape.members:
                yield f"{place} has no {name}"
            else:
                yield from unknown(shape.members[name], one, f"{place}.{name}")
    elif shape.type_name == "list":
        for one in value:
            yield from unknown(shape.member, one, f"{place}[]")


def named(names, called, what):
    """The one of these names that is called so on a command line."""
    found = [name for name in names if xform_name(name, "-") == called]
    return found[0] if found else fail(f"there is no {what} {called}")


def command(service, called, words):
    if service not in session.get_available_services():
        fail(f"there is no service {service}")
    model = session.get_service_model(service)
    operation = model.operation_model(named(model.operation_names, called, "operation"))
    members = operation.input_shape.members
    parameters = {}
    for name, values in options(words):
        if name == "cli-input-json":
            parameters |= json.loads(read(values[0]))
        elif name not in OWN:
            member = named(members, name, "option")
            parameters[member] = parsed(members[member], values)
    check(operation, parameters)
    print(f"aws: {operation.name} is understood")


def sent(path):
    model, count = session.get_service_model("ecr"), 0
    with open(path, encoding="utf-8") as log:
        for line in log:
            name, rest = line.split(" ", 1)
            body, _ = json.JSONDecoder().raw_decode(rest)
            check(model.operation_model(name), body)
            count += 1
    print(f"aws: {count} requests to ECR are understood")
    if count == 0:
        fail("nothing was sent")


if sys.argv[1] == "--sent":
    sent(sys.argv[2])
else:
    command(sys.argv[1], sys.argv[2], sys.argv[3:])
