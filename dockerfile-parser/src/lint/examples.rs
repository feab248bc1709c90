//! What each rule objects to and what it would rather see, for its page in `docs/checks`.

/// A rule's example and reason.
#[derive(Clone, Copy, Debug)]
pub(super) struct Example {
    pub(super) rule: &'static str,
    pub(super) reason: &'static str,
    pub(super) bad: &'static str,
    pub(super) good: &'static str,
}

const fn example(
    rule: &'static str,
    reason: &'static str,
    bad: &'static str,
    good: &'static str,
) -> Example {
    Example { rule, reason, bad, good }
}

/// One example for each rule.
pub(super) const EXAMPLES: &[Example] = &[
    example(
        "StageNameCasing",
        "Names of stages are compared without regard to case, so that capitals tell nothing apart and only make names harder to recognise.",
        "FROM scratch AS Build\n",
        "FROM scratch AS build\n",
    ),
    example(
        "FromAsCasing",
        "`FROM` and `AS` belong to one line and are easier to read in one case.",
        "FROM scratch as build\n",
        "FROM scratch AS build\n",
    ),
    example(
        "NoEmptyContinuation",
        "An empty line in a continued instruction is passed over today. It looks like the end of the instruction and may become one.",
        "FROM scratch\nENV A=1 \\\n\n    B=2\n",
        "FROM scratch\nENV A=1 \\\n    B=2\n",
    ),
    example(
        "ConsistentInstructionCasing",
        "Instructions may be in any case; a file that uses one is easier to read.",
        "FROM scratch\nENV A=1\nlabel b=2\n",
        "FROM scratch\nENV A=1\nLABEL b=2\n",
    ),
    example(
        "DuplicateStageName",
        "Where two stages have one name, the name means the later one, and the earlier can no longer be reached from below it.",
        "FROM scratch AS build\nFROM scratch AS build\n",
        "FROM scratch AS build\nFROM scratch AS test\n",
    ),
    example(
        "ReservedStageName",
        "`scratch` is the empty image and `context` the build context. A stage of that name hides them from whoever reads the file.",
        "FROM alpine AS scratch\n",
        "FROM alpine AS base\n",
    ),
    example(
        "JSONArgsRecommended",
        "The shell form runs under a shell, which does not hand on the signals that ask a container to stop.",
        "FROM alpine\nCMD serve --port 80\n",
        "FROM alpine\nCMD [\"serve\", \"--port\", \"80\"]\n",
    ),
    example(
        "MaintainerDeprecated",
        "`MAINTAINER` can be said once and read by few tools; a label is found by all of them.",
        "FROM scratch\nMAINTAINER me@example.com\n",
        "FROM scratch\nLABEL org.opencontainers.image.authors=me@example.com\n",
    ),
    example(
        "UndefinedArgInFrom",
        "An argument that is not declared before the first `FROM` is empty in `FROM`. Most are misspelt.",
        "ARG VERSION=3\nFROM alpine:${VERSOIN}\n",
        "ARG VERSION=3\nFROM alpine:${VERSION}\n",
    ),
    example(
        "WorkdirRelativePath",
        "A relative directory is below that of the base image, and moves when the base image changes its own.",
        "FROM alpine\nWORKDIR app\n",
        "FROM alpine\nWORKDIR /app\n",
    ),
    example(
        "UndefinedVar",
        "A variable that nothing sets is replaced by nothing, without an error.",
        "FROM scratch\nENV HOME=/data\nWORKDIR $HOEM/x\n",
        "FROM scratch\nENV HOME=/data\nWORKDIR $HOME/x\n",
    ),
    example(
        "MultipleInstructionsDisallowed",
        "Of several `CMD`, `ENTRYPOINT` or `HEALTHCHECK` in a stage only the last has an effect.",
        "FROM alpine\nCMD [\"one\"]\nCMD [\"two\"]\n",
        "FROM alpine\nCMD [\"two\"]\n",
    ),
    example(
        "LegacyKeyValueFormat",
        "Without `=` everything behind the first blank is the value, so that a second pair on the line becomes part of the first.",
        "FROM scratch\nENV NAME value\n",
        "FROM scratch\nENV NAME=value\n",
    ),
    example(
        "InvalidBaseImagePlatform",
        "An image of another platform can be built upon, but its programs do not run. The rule needs an image that exists for one platform only, and a build for another.",
        "FROM example.com/only-for-arm64\n",
        "FROM example.com/for-every-platform\n",
    ),
    example(
        "RedundantTargetPlatform",
        "A stage is for the target platform when nothing else is said.",
        "FROM --platform=$TARGETPLATFORM alpine\n",
        "FROM alpine\n",
    ),
    example(
        "SecretsUsedInArgOrEnv",
        "Build arguments and variables are kept in the image, where everybody who has it can read them. Mount secrets instead.",
        "FROM alpine\nARG API_TOKEN\nRUN fetch\n",
        "FROM alpine\nRUN --mount=type=secret,id=api,env=API_TOKEN fetch\n",
    ),
    example(
        "InvalidDefaultArgInFrom",
        "Without a usable default the file builds only for those who know which argument to give.",
        "ARG TAG\nFROM busybox:${TAG}\n",
        "ARG TAG=latest\nFROM busybox:${TAG}\n",
    ),
    example(
        "FromPlatformFlagConstDisallowed",
        "A fixed platform makes the image wrong for all others. Name it in the stage where it is meant, or use an argument.",
        "FROM --platform=linux/amd64 alpine AS build\n",
        "FROM --platform=$BUILDPLATFORM alpine AS build\n",
    ),
    example(
        "CopyIgnoredFile",
        "The ignore file keeps the source out of the context, so that the copy fails or lacks files. The example goes with a `.dockerignore` that says `*.md`.",
        "FROM scratch\nCOPY notes.md /\n",
        "FROM scratch\nCOPY notes.txt /\n",
    ),
    example(
        "InvalidDefinitionDescription",
        "`--call=outline` and `--call=targets` show comments that begin with the name of what is below them. The rule is on with `check=experimental=all` only.",
        "# check=experimental=all\n\n# compiles everything\nFROM scratch AS build\n",
        "# check=experimental=all\n\n# build compiles everything\nFROM scratch AS build\n",
    ),
    example(
        "ExposeProtoCasing",
        "Names of protocols are written in lower case wherever else ports are named.",
        "FROM scratch\nEXPOSE 80/TCP\n",
        "FROM scratch\nEXPOSE 80/tcp\n",
    ),
    example(
        "ExposeInvalidFormat",
        "An image says which ports it listens on. Where they are reached is said when it is run.",
        "FROM scratch\nEXPOSE 127.0.0.1:80:8080\n",
        "FROM scratch\nEXPOSE 8080\n",
    ),
    example(
        "InvalidExecForm",
        "What is nearly a JSON array is taken as text for the shell, which then looks for a command that begins with a bracket.",
        "FROM alpine\nCMD ['serve']\n",
        "FROM alpine\nCMD [\"serve\"]\n",
    ),
    example(
        "EmptyCopySource",
        "A source that expands to nothing means the whole context. It is told by builds, which know the values.",
        "FROM scratch\nARG DIR\nCOPY $DIR /app\n",
        "FROM scratch\nARG DIR=src\nCOPY $DIR /app\n",
    ),
    example(
        "UnknownCopyOwner",
        "A user that is not in `/etc/passwd` means root, and a group that is not in `/etc/group` means that of the user, here as in BuildKit. It is told by builds, when the step runs.",
        "FROM alpine\nCOPY --chown=ngnix site /srv/\n",
        "FROM alpine\nCOPY --chown=nginx site /srv/\n",
    ),
    example(
        "OverwrittenCopySource",
        "Where the destination is no directory, each source replaces the one before. It is told by builds, when the step runs.",
        "FROM scratch\nCOPY a b /app\n",
        "FROM scratch\nCOPY a b /app/\n",
    ),
    example(
        "CopiedSocket",
        "An image holds no sockets: an empty file takes the place, here as in BuildKit. Programs leave them behind, `.git/fsmonitor--daemon.ipc` for one; the ignore file keeps them out. It is told by builds, when the step runs.",
        "FROM scratch\nCOPY . /app/\n",
        "FROM scratch\nCOPY src /app/\n",
    ),
    example(
        "MisspeltStage",
        "A name that no stage has means an image, which is then looked for at a registry. Where an image is meant, its tag says so.",
        "FROM alpine AS build\nFROM scratch\nCOPY --from=biuld /app /app\n",
        "FROM alpine AS build\nFROM scratch\nCOPY --from=build /app /app\n",
    ),
];
