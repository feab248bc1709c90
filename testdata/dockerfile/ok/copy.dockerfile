FROM scratch AS a
COPY --from=a --chown=1:2 --chmod=755 --link --parents=false --exclude=*.md --exclude=*.txt f g /o/
COPY ["f x", "/o/"]
COPY -- --odd /o/
ADD --checksum=sha256:0 --keep-git-dir=true --unpack=FALSE https://example.org/x /o/
COPY f\ x /d/
COPY f --chown=1 /o/
