# Flags that nobody gives are what the environment and the files say, in that order; the file of a project may say little.
mkdir -p project config/wythe
export XDG_CONFIG_HOME=$PWD/config
user=config/wythe/config.toml project=project/wythe.toml
printf 'FROM scratch AS one\nCOPY Dockerfile /one\nFROM one AS two\nCOPY Dockerfile /two\nFROM two AS three\nCOPY Dockerfile /three\n' > project/Dockerfile
cd project

# Which of the stages are built, of which the last has the number of files.
files() {
  rm -rf ../out
  "$WYTHE" build --progress=plain -o type=local,dest=../out "$@" . > /dev/null 2> err || return
  ls ../out
}
[ "$(files | wc -l)" = 3 ]
printf '[flags.build]\ntarget = "one"\n' > "../$user"
[ "$(files | wc -l)" = 1 ]
printf '[flags.build]\ntarget = "two"\n' > "../$project"
[ "$(files | wc -l)" = 2 ]
[ "$(WYTHE_BUILD_TARGET=three files | wc -l)" = 3 ]
[ "$(WYTHE_BUILD_TARGET=three files --target one | wc -l)" = 1 ]
# Where a file is named it is the only one.
printf '# nothing\n' > ../other.toml
[ "$(WYTHE_CONFIG=../other.toml files | wc -l)" = 3 ]

# refused WORD…: the command ends for the file, before anything is built.
refused() {
  status=0
  files > /dev/null || status=$?
  cat err
  [ "$status" = 2 ]
  for word; do grep -qF -- "$word" err; done
  [ ! -e ../out ]
  [ ! -e ../taken ]
}
printf '[flags.build]\n\nno-cash = true\n' > "../$user"
refused config/wythe/config.toml 'line 3' 'did you mean `no-cache`?'
"$WYTHE" build --help > /dev/null
rm "../$user"

for line in 'output = "type=local,dest=../taken"' 'on-error = "touch ../taken"' 'secret = "id=a,src=/etc/passwd"' \
  'network = "host"' 'isolation = "chroot"' 'push = true' 'build-context = "one=/etc"' 'build-arg = "HOME"' \
  'file = "../project/Dockerfile"' 'cache-to = "type=local,dest=../taken"' 'strict = false' 'tag = "debian"'; do
  printf '[flags.build]\n%s\n' "$line" > "../$project"
  refused wythe.toml 'line 2' 'a project may'
done
for text in '[flags]\nstore = "../taken"' '[flags]\ninsecure-registry = "r"' '[registry."docker.io"]\nmirrors = ["r"]' '[store]'; do
  printf "$text\n" > "../$project"
  refused wythe.toml 'a project may not'
done
ln -sf /etc/passwd "../$project"
refused wythe.toml 'it is a link'
rm "../$project"

# What the environment says of progress.
shown() { env "$@" "$WYTHE" build . 2>&1 > /dev/null; }
shown BUILDKIT_PROGRESS=rawjson | grep -q '"vertexes"'
shown CI=true | grep -q '^#1 '
[ -z "$(shown BUILDKIT_PROGRESS=plain WYTHE_PROGRESS=quiet)" ]
printf '[flags]\nprogress = "json"\n' > "../$user"
shown | grep -q '"event"'
shown BUILDKIT_PROGRESS=plain | grep -q '^#1 '
# Nothing of ours has a colour, help included where nobody looks at it.
for variable in NO_COLOR=1 A=b; do
  if env "$variable" "$WYTHE" build --progress=plain . 2>&1 | grep "$(printf '\033')"; then exit 1; fi
done
