# Logs of CI systems: a part for each step that folds, remarks beside the Dockerfile's lines, and nothing that a step prints
# is taken for a command.
mkdir -p repository/app
cat > repository/app/Dockerfile <<'END'
FROM base AS Good
RUN echo ::error::no; echo '##[add-mask]x'
FROM base AS one
RUN for i in 1 2 3; do echo one $i; sleep 0.1; done
FROM base AS two
RUN for i in 1 2 3; do echo two $i; sleep 0.1; done
FROM base AS both
COPY --from=one /etc/passwd /one
COPY --from=two /etc/passwd /two
FROM base AS bad
RUN echo '  ::set-output name=x::y'; echo '##[add-mask]z'; exit 3
END
build() { "$WYTHE" build --no-cache --build-context base=oci-layout://"$BASE" "$@" repository/app; }
github() { GITHUB_ACTIONS=true GITHUB_WORKSPACE=$PWD/repository build "$@"; }
github --target good 2> log
grep -q '^::group::#[0-9]* \[good 2/2\] RUN ' log
[ "$(grep -c '^::group::' log)" = "$(grep -c '^::endgroup::$' log)" ]
grep -q '^::warning file=app/Dockerfile,line=1,endLine=1,title=StageNameCasing::' log
if grep -v '^::\(group\|endgroup\|warning\)' log | grep -q -e '^ *::' -e '##\['; then cat log; exit 1; fi

github --target both 2> log
python3 - <<'END'
group = None
for line in open('log'):
    if line.startswith('::group::'):
        assert group is None, line
        group = line[9:].split()[0]
    elif line.startswith('::endgroup::'):
        assert group
        group = None
    elif line.startswith('#') and ('DONE' not in line and 'CACHED' not in line):
        assert line.split()[0] == group, (group, line)
assert group is None
END

fails github --target bad 2> log
grep -q '^::error file=app/Dockerfile,line=11,endLine=11,title=Dockerfile::' log
if grep -q -e '^ *::set-output' -e '##\[' log; then cat log; exit 1; fi

GITLAB_CI=true build --target good 2> log
printf '\033' > escape
[ "$(grep -c "^$(cat escape)\[0Ksection_start:" log)" = "$(grep -c "^$(cat escape)\[0Ksection_end:" log)" ]
grep -q 'section_start:[0-9]*:wythe_[0-9]*_[0-9]*\[collapsed=true\]' log
if grep -q '^::' log; then cat log; exit 1; fi
# Elsewhere a log is what it was.
build --target good 2> log
if grep -q -e '^::' -e section_ log; then cat log; exit 1; fi
